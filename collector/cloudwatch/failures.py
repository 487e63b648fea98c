"""Failed requests joined to the latencies of their minute: a fast failure must not look fast.

CloudWatch counts requests and failures beside latencies, not with them. A failed request is
infinitely slow here; whether it has a latency too is not documented (aws.md, 16), so both are met:
those without one are added, those with one are taken from the fastest buckets, where a failure that
answers at once would hide. Asynchronous endpoints count no requests (aws.md, 2.2): as many failed
ones as can be are taken to have a latency there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from collector.cloudwatch.execute import Answered
from collector.cloudwatch.plan import Wanted
from collector.cloudwatch.points import NONE, Numbers, Points
from nibai.histogram import OVERFLOW_BUCKET
from nibai.model import Observation, Provenance

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Failed:
    """Requests, and failed ones in `parts` (4xx, 5xx), of one series; without them none fails."""

    requests: Points
    parts: tuple[Points, ...]

    @property
    def times(self) -> Numbers:
        """When failures were counted."""
        return np.unique(np.concatenate([NONE.times, *(one.times for one in self.parts)]))

    def at(self, times: Numbers, with_latency: Counts) -> tuple[Counts, Counts]:
        """(failed requests, those of them that have no latency) of periods, each (T,)."""
        counted = [np.rint(np.nan_to_num(one.at(times))) for one in (self.requests, *self.parts)]
        requests = counted[0].astype(np.int64)
        failed = np.zeros_like(with_latency)
        for part in counted[1:]:
            failed += part.astype(np.int64)
        # No more of them have a latency than there are latencies, whatever is said of requests.
        without = np.maximum(np.maximum(requests, failed) - with_latency, 0)
        return failed, np.minimum(without, failed)

    def uncounted(self, times: Numbers) -> NDArray[np.bool_]:
        """Where nothing counts all requests, as of asynchronous endpoints; (T,)."""
        return np.isnan(self.requests.at(times))


def failures_of(answered: Answered, wanted: Wanted) -> Failed:
    """What the call says of a series' failures."""
    if not wanted.failures:
        return Failed(NONE, ())
    first, *rest = (answered.statistics(one)["Sum"] for one in wanted.failures)
    return Failed(first, tuple(rest))


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
