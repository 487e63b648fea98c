"""Failed requests of each minute: the slowest of all, because they never got an answer.

Bedrock publishes no latency of requests that it throttled or lost; left out of a distribution,
refusing requests would look like a speed-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from collector.bedrock.counts import Minutes
from collector.bedrock.series import Model
from nibai.histogram import OVERFLOW_BUCKET
from nibai.model import Observation, Provenance, SeriesKey

LATENCY = "latency"


def with_failures(
    observed: Sequence[Observation], failed: Minutes, whole: Iterable[Model]
) -> list[Observation]:
    """The same minutes with their failed requests beyond every bucket.

    Minutes without any latency are made for models that came `whole` only.

    >>> failed = Counter({("bedrock/a/chat", "m", 7): 2})
    >>> with_failures([], failed, [Model("bedrock/a/chat", "m")])[0].errors
    2
    >>> with_failures([], failed, [])
    []
    """
    left = Counter(failed)
    found = []
    for one in observed:
        place = (one.key.endpoint, one.key.variant, one.minute)
        errors = left.pop(place, 0) if one.key.metric == LATENCY else 0
        found.append(_failing(one, errors) if errors else one)
    alone = {(one.endpoint, one.variant) for one in whole}
    return found + [
        _only_failures(*place, errors)
        for place, errors in sorted(left.items())
        if place[:2] in alone
    ]


def _failing(one: Observation, errors: int) -> Observation:
    return replace(
        one,
        buckets=np.append(one.buckets, OVERFLOW_BUCKET).astype(np.int32),
        bucket_counts=np.append(one.bucket_counts, errors).astype(np.int64),
        count=one.count + errors,
        errors=one.errors + errors,
    )


def _only_failures(endpoint: str, variant: str, minute: int, errors: int) -> Observation:
    nothing = Observation(
        SeriesKey(endpoint, variant, "", "", LATENCY),
        minute,
        np.zeros(0, dtype=np.int32),
        np.zeros(0, dtype=np.int64),
        0,
        0.0,
        float("nan"),
        float("nan"),
        provenance=Provenance.TC,
    )
    return _failing(nothing, errors)
