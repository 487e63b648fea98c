"""What was measured: minutes of series. Times are seconds since the epoch (UTC)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Provenance(StrEnum):
    """How the buckets of a series came about; anything but exact widens an interval.

    Exact: of each request; tc: counted by CloudWatch; explicit: spread between the bounds of an
    explicit histogram; percentile_fit: fitted; quartile_fit: fitted from quartiles and p99 alone;
    sampled: of traced requests, weighted for the others; scalar: no buckets at all.
    """

    EXACT = "exact"
    TC = "tc"
    EXPLICIT = "explicit"
    PERCENTILE_FIT = "percentile_fit"
    QUARTILE_FIT = "quartile_fit"
    SAMPLED = "sampled"
    SCALAR = "scalar"


class Outcome(StrEnum):
    """How one request ended."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What one series of minutes is about; an empty string means "not split by this"."""

    endpoint: str
    variant: str
    replica: str
    segment: str
    metric: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One minute of one series: bucket counts plus the cell.

    `buckets` and `bucket_counts` have the same shape (K,), sentinels of `nibai.histogram` included;
    errors and timeouts are counted both in the overflow bucket and in the cell.
    """

    key: SeriesKey
    minute: int
    buckets: NDArray[np.int32]
    bucket_counts: NDArray[np.int64]
    count: int
    sum: float
    min: float
    max: float
    errors: int = 0
    timeouts: int = 0
    scale: int = 5
    provenance: Provenance = Provenance.EXACT


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open interval [start, end) in seconds since the epoch."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class ExpectedAnswers:
    """Requests of a variant in the hour from `hour` on, of which a `share` (0 to 1) is captured."""

    endpoint: str
    variant: str
    hour: float
    requests: int
    share: float
