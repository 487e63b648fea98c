"""How fast CloudWatch may be asked: two token buckets, of calls and of datapoints.

Quotas of an account are shared with everybody who reads it; the defaults leave most of them.
Source: aws.md, sections 4 and 14 (R3).
"""

from __future__ import annotations

import threading

CALLS_PER_SECOND = 20.0
DATAPOINTS_PER_SECOND = 90_000.0
BURST_SECONDS = 2.0


class Pace:
    """Says how long to wait before the next call; thread-safe, without a clock of its own.

    >>> pace = Pace(calls_per_second=2.0, datapoints_per_second=1e9)
    >>> [round(pace.delay(calls=1, datapoints=1, now=0.0), 1) for _ in range(6)]
    [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]
    """

    def __init__(
        self,
        calls_per_second: float = CALLS_PER_SECOND,
        datapoints_per_second: float = DATAPOINTS_PER_SECOND,
    ) -> None:
        self._buckets = (_Bucket(calls_per_second), _Bucket(datapoints_per_second))
        self._lock = threading.Lock()

    def delay(self, *, calls: int, datapoints: int, now: float) -> float:
        """Seconds to wait before asking for this; asking is counted on."""
        with self._lock:
            waits = [
                bucket.take(amount, now)
                for bucket, amount in zip(self._buckets, (calls, datapoints), strict=True)
            ]
        return max(waits)


class _Bucket:
    """Amounts that are free again at a steady rate; a debt is waited for."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._full = per_second * BURST_SECONDS
        self._left = self._full
        self._at: float | None = None

    def take(self, amount: float, now: float) -> float:
        if self._at is not None and now > self._at:
            self._left = min(self._full, self._left + (now - self._at) * self._per_second)
        self._at = now if self._at is None else max(now, self._at)
        self._left -= amount
        return max(0.0, -self._left / self._per_second)
