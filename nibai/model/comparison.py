"""What analyzers are given: both sides of a metric in blocks, and the unchanged past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import BlockHistograms
from nibai.model.measurements import Window
from nibai.model.verdicts import Reason


class WindowKind(StrEnum):
    """Continuous traffic of one endpoint, or bounded experiments on fresh replicas."""

    LIVE = "live window"
    RUNS = "runs"


class UnitKind(StrEnum):
    """The level that varies with the treatment (statistics.md, section 4)."""

    BLOCK = "block"
    HOST = "host"
    RUN = "run"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class RecordedAs:
    """Requests of which no bucket of their own was recorded, or that stand for others.

    `fitted`: buckets made from percentiles; `quartered`: from quartiles and p99 alone; `spread`:
    from counts between explicit bounds; `sampled`: some were traced and weighted for the others;
    `unbinned`: only count, sum, minimum and maximum are known (they are in no histogram).
    """

    fitted: int = 0
    spread: int = 0
    unbinned: int = 0
    quartered: int = 0
    sampled: int = 0

    def __add__(self, other: RecordedAs) -> RecordedAs:
        """Of both together."""
        return RecordedAs(
            self.fitted + other.fitted,
            self.spread + other.spread,
            self.unbinned + other.unbinned,
            self.quartered + other.quartered,
            self.sampled + other.sampled,
        )


@dataclass(frozen=True, slots=True, eq=False)
class BlockSeries:
    """One metric of one unit and segment in G blocks of equal length.

    `histograms` has G blocks. `errors`, `timeouts` (already in the overflow bin) and `sums` (of the
    finite values, base units) have shape (G,). `strata`: the same requests by stratum of load, each
    with G blocks; empty where load is not matched.
    """

    histograms: BlockHistograms
    errors: NDArray[np.int64]
    timeouts: NDArray[np.int64]
    sums: NDArray[np.float64]
    strata: tuple[BlockHistograms, ...] = ()
    recorded: RecordedAs = RecordedAs()

    @classmethod
    def empty(cls, blocks: int) -> BlockSeries:
        """Blocks without a request."""
        none = np.zeros(blocks, dtype=np.int64)
        return cls(BlockHistograms.empty(blocks), none, none.copy(), np.zeros(blocks))

    @property
    def blocks(self) -> int:
        """Number of blocks, G."""
        return self.histograms.blocks


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaSample:
    """What one replica, host or run did: block series per segment.

    `segments` always holds at least one entry; all traffic is the sum of its entries, and without
    segments the one entry is called "". A segment is written "name=value", several joined by ",".
    `block_starts` has shape (G,) (seconds since the epoch, or since the run's start when no clock
    is known). `offered` is the number of requests sent, when the user knows it.
    `design_point` names what matches this unit with one of the other side (round, load, host).
    """

    name: str
    segments: Mapping[str, BlockSeries]
    block_starts: NDArray[np.float64]
    block_seconds: float
    window: Window | None = None
    offered: int | None = None
    design_point: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Baseline or candidate: one or several units, in matching order where they match."""

    label: str
    replicas: tuple[ReplicaSample, ...]


@dataclass(frozen=True, slots=True)
class LoadStrata:
    """Load of (baseline, candidate) in arrivals per minute and replica, cut into joint strata.

    `edges` stand between fine strata, which weigh requests; `groups` number the stratum that each
    of them belongs to. No edges: load barely varies and is not matched. `shares` are those of the
    requests in each stratum, `overlap` is the sum of the smaller shares, and `arrivals` the 5th,
    50th and 95th percentile over slots of `slot_seconds`.
    """

    edges: tuple[float, ...]
    groups: tuple[int, ...]
    shares: tuple[tuple[float, ...], tuple[float, ...]]
    overlap: float
    arrivals: tuple[tuple[float, float, float], tuple[float, float, float]]
    slot_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The unchanged past of the judged series, all replicas together, in parts finer than blocks.

    `segments` holds P parts each; a block is `parts_per_block` parts, a window `blocks` blocks.
    `pairs` (J, 2) are the first parts of windows as far apart as the judged ones, oldest first:
    `slides` neighbouring pairs weigh as much as one independent pair. `valid` (J,) is False where
    a pair spans a known change or other kinds of days. `pairs_per_day`: what another day adds.
    """

    segments: Mapping[str, BlockHistograms]
    blocks: int
    parts_per_block: int
    part_seconds: float
    pairs: NDArray[np.int64]
    valid: NDArray[np.bool_]
    slides: int
    pairs_per_day: float
    changes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Both sides of one metric, blocks paired by position.

    `gate` is set when the windows cannot be compared at all (for example `unmatched_clock`).
    `same_hosts`: the same replicas before and after (live), so that time blocks are the unit.
    `clock` is False when neither file had a time column. `half_split`: the two sides are the two
    halves in time of one run. `higher_is_better` inverts ratios; unit is that of the values.
    `matched`: units of both sides pair up by design point, in order. `arrivals_known`: failed
    requests are in the data (or `offered` was given), so that completed counts may differ.
    `history` is None where no calibration applies (runs, hosts) and where nothing is known; `load`
    where no load rule applies (runs, no clock).
    """

    metric: str
    kind: WindowKind
    unit: UnitKind
    baseline: Side
    candidate: Side
    value_unit: str = "s"
    higher_is_better: bool = False
    same_hosts: bool = False
    matched: bool = False
    clock: bool = True
    half_split: bool = False
    sweep_order: tuple[str | None, str | None] = (None, None)
    arrivals_known: bool = False
    gate: Reason | None = None
    notes: tuple[str, ...] = ()
    history: History | None = None
    load: LoadStrata | None = None
