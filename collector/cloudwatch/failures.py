"""Failed requests joined to the latencies of their minute: a fast failure must not look fast.

CloudWatch counts requests and failures beside latencies, not with them. A failed request is
infinitely slow here; whether it has a latency too is not documented (aws.md, 16), so both are met:
those without one are added, those with one are taken from the fastest buckets, where a failure that
answers at once would hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from collector.cloudwatch.execute import Answered, Points
from collector.cloudwatch.plan import Wanted
from nibai.histogram import OVERFLOW_BUCKET
from nibai.model import Observation, Provenance


@dataclass(frozen=True, slots=True)
class Failed:
    """Requests and failed ones of one series by time; without them nothing is known to fail."""

    requests: Mapping[float, float]
    failed: Mapping[float, float]

    def at(self, moment: float, with_latency: int) -> tuple[int, int]:
        """(failed requests, those of them that have no latency) of a period."""
        failed = round(self.failed.get(moment, 0.0))
        requests = round(self.requests.get(moment, 0.0))
        return failed, min(max(requests - with_latency, 0), failed)


def failures_of(answered: Answered, wanted: Wanted) -> Failed:
    """What the call says of a series' failures."""
    if not wanted.failures:
        return Failed({}, {})
    first, *rest = (answered.statistics(one)["Sum"] for one in wanted.failures)
    failed: Points = {}
    for points in rest:
        for moment, count in points.items():
            failed[moment] = failed.get(moment, 0.0) + count
    return Failed(first, failed)


def joined(one: Observation, failed: int, without_latency: int) -> Observation:
    """The observation with its failed requests in the overflow bin.

    >>> from nibai.model import SeriesKey
    >>> made = joined(
    ...     Observation(SeriesKey("e", "v", "", "", "m"), 0, np.array([1, 9]), np.array([2, 5]), 7,
    ...                 3.5, 0.1, 0.9), 4, 1)
    >>> made.buckets.tolist(), made.bucket_counts.tolist(), made.count, made.errors
    ([9, 32767], [4, 4], 8, 4)
    """
    if not failed:
        return one
    together = replace(one, count=one.count + without_latency, errors=failed)
    if one.provenance is Provenance.SCALAR:
        return together
    order = np.argsort(one.buckets, kind="stable")
    buckets, counts = one.buckets[order], one.bucket_counts[order].copy()
    taken = failed - without_latency
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    counts -= np.clip(taken - before, 0, counts)
    kept = counts > 0
    return replace(
        together,
        buckets=np.append(buckets[kept], np.int32(OVERFLOW_BUCKET)).astype(np.int32),
        bucket_counts=np.append(counts[kept], failed),
    )
