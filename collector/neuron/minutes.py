"""Reports of some seconds as minutes of series: percentiles fitted, failures beyond all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from collector.neuron.report import COMPLETED, FAILED, NUMERICAL, TIMED_OUT, Executions
from nibai.conventions import ACCELERATOR_USE
from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET, bucket_index
from nibai.model import Observation, Provenance, SeriesKey
from nibai.stats.percentile_fit import rebuilt_counts

MODEL_LATENCY = "model_latency"
FINITE_OUTPUT = "finite_output"
"""Executions that produced numbers; numerical errors (NaN) are its failed requests."""


@dataclass(slots=True)
class _Sum:
    buckets: Counter[int] = field(default_factory=Counter)
    total: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    errors: int = 0
    timeouts: int = 0


@dataclass(slots=True)
class Minutes:
    """Minutes of the series of one endpoint and variant, as reports are added.

    A minute is handed over once: what belongs before `since` (seconds since the epoch) is counted
    in the first minute after it.
    """

    endpoint: str
    variant: str
    since: float
    _sums: dict[tuple[int, str, str], _Sum] = field(default_factory=dict)

    def add(self, executions: Executions, at: float) -> None:
        """Count one period that was under way at a time."""
        minute, outcomes = int(max(at, self.since) // 60), executions.outcomes
        completed, numerical = outcomes.get(COMPLETED, 0), outcomes.get(NUMERICAL, 0)
        timeouts = outcomes.get(TIMED_OUT, 0)
        # An answer that is no number is none: left out, it would look fast.
        errors = numerical + sum(outcomes.get(name, 0) for name in FAILED)
        for metric in {MODEL_LATENCY, *executions.latencies}:
            nodes = executions.latencies.get(metric)
            failing = metric == MODEL_LATENCY
            if (completed and nodes) or (failing and errors + timeouts):
                series = self._series(minute, executions.replica, metric)
                if completed and nodes:
                    _fit(series, completed, dict(nodes))
                if failing:
                    series.errors += errors
                    series.timeouts += timeouts
                    series.buckets[OVERFLOW_BUCKET] += errors + timeouts
        if executions.use:
            use = self._series(minute, executions.replica, ACCELERATOR_USE)
            for share, number in zip(executions.use, bucket_index(executions.use), strict=True):
                use.buckets[int(number)] += 1
                use.total += share
                use.low, use.high = min(use.low, share), max(use.high, share)
        if completed + numerical:
            finite = self._series(minute, executions.replica, FINITE_OUTPUT)
            finite.buckets[ZERO_BUCKET] += completed
            finite.buckets[OVERFLOW_BUCKET] += numerical
            finite.errors += numerical
            if completed:
                finite.low = finite.high = 0.0

    def taken(self, before: float) -> Iterator[Observation]:
        """Minutes that ended before a time."""
        for key in sorted(key for key in self._sums if (key[0] + 1) * 60 <= before):
            self.since = max(self.since, (key[0] + 1) * 60.0)
            yield self._observation(*key, self._sums.pop(key))

    def _series(self, minute: int, replica: str, metric: str) -> _Sum:
        return self._sums.setdefault((minute, replica, metric), _Sum())

    def _observation(self, minute: int, replica: str, metric: str, found: _Sum) -> Observation:
        kept = sorted((bucket, n) for bucket, n in found.buckets.items() if n)
        known = found.low <= found.high
        exact = metric in {FINITE_OUTPUT, ACCELERATOR_USE}
        return Observation(
            SeriesKey(self.endpoint, self.variant, replica, "", metric),
            minute,
            np.array([bucket for bucket, _ in kept], dtype=np.int32),
            np.array([n for _, n in kept], dtype=np.int64),
            sum(n for _, n in kept),
            found.total,
            found.low if known else float("nan"),
            found.high if known else float("nan"),
            errors=found.errors,
            timeouts=found.timeouts,
            provenance=Provenance.EXACT if exact else Provenance.QUARTILE_FIT,
        )


def _fit(series: _Sum, n: int, nodes: dict[float, float]) -> None:
    low, high = nodes.pop(0.0), nodes.pop(1.0)
    high = max(low, high)
    buckets, counts = rebuilt_counts(n, nodes, low, high)
    for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
        series.buckets[bucket] += count
        # Sums are not reported: the middles of the buckets stand for them.
        series.total += count * min(max(2.0 ** ((bucket + 0.5) / 32), low), high)
    series.low, series.high = min(series.low, low), max(series.high, high)
