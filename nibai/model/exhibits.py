"""What the report shows."""

from __future__ import annotations

from dataclasses import dataclass

from nibai.model.verdicts import Estimate


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The speed-up at one quantile."""

    quantile: float
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The speed-up of one segment at one quantile."""

    segment: str
    quantile: float
    estimate: Estimate
    requests: tuple[int, int]


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """A quantile of one block of one side (seconds since the epoch, or since the run's start)."""

    side: str
    replica: str
    start: float
    quantile: float
    value: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class Density:
    """Shares of requests per value bin; edges has one element more than shares, in base units."""

    side: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    censored_share: float
    zero_share: float


@dataclass(frozen=True, slots=True)
class DecompositionRow:
    """log2(raw) = like_for_like + load + mix + support, exactly, at one quantile."""

    quantile: float
    raw: float
    like_for_like: float
    load: float
    mix: float
    support: float
    simpson: bool


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A quantile of one host, replica, run or day (base units) and its ratio to the side's typical.

    The typical value is the geometric mean of the side's units; a ratio above 1 is a larger value.
    """

    side: str
    name: str
    quantile: float
    value: float | None
    ratio: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class LoadRow:
    """A quantile of one side in one stratum of load (base units).

    `stratum` numbers the strata of both sides together from the quietest on; `rate` is the middle
    of its arrivals, per second and replica.
    """

    side: str
    stratum: int
    rate: float
    quantile: float
    value: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class Exhibits:
    """Everything the charts show about one metric; stored with the audit, so it never changes."""

    metric: str
    value_unit: str
    curve: tuple[CurvePoint, ...] = ()
    densities: tuple[Density, ...] = ()
    segments: tuple[SegmentRow, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    decomposition: tuple[DecompositionRow, ...] = ()
    clock: bool = True
    unit: str = "replica"
    units: tuple[UnitRow, ...] = ()
    load: tuple[LoadRow, ...] = ()
