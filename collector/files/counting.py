"""Rows of files counted into blocks: runs in equal parts, live windows by block and load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from collector.inputs import Opened
from nibai.histogram import OVERFLOW_BUCKET, BlockHistograms, Int64Array, merge
from nibai.model import BlockSeries, LoadStrata, ReplicaSample, Window
from nibai.stats.cells import split
from nibai.stats.clock import DAY, HOUR, RUN_BLOCKS, WEEK_DAYS, BlockPlan
from nibai.stats.load import slots_per_block, stratify
from nibai.store.files.layout import Binned, Bins, Blocks, Layout, ReplicaSpan, Stray

PARALLEL = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of one replica of one side inside one opened source.

    `whole`: the window of the log that the piece is a part of, where several sources are one.
    """

    role: int
    name: str
    opened: Opened
    layout: Layout
    span: ReplicaSpan
    whole: Window | None = None

    @property
    def window(self) -> Window | None:
        """First to last row, of the whole log; None without a clock."""
        if self.whole is not None:
            return self.whole
        if self.span.start is None or self.span.end is None:
            return None
        return Window(self.span.start, self.span.end)


def by_log(pieces: Sequence[Piece]) -> list[list[int]]:
    """Positions of the pieces of each replica: those of one log together, in order of time."""
    found: dict[object, list[int]] = {}
    for i, piece in enumerate(pieces):
        found.setdefault(i if piece.whole is None else (piece.role, piece.whole), []).append(i)
    return [sorted(at, key=lambda i: pieces[i].span.start or 0.0) for at in found.values()]


@dataclass(frozen=True, slots=True)
class Counted:
    """One replica for each log, what counting told of each piece, and how load was cut.

    `load` is None where no load rule applies.
    """

    replicas: list[ReplicaSample]
    strays: list[Mapping[int, Stray]]
    load: LoadStrata | None = None


@dataclass(frozen=True, slots=True)
class _Grid:
    """Blocks of one piece, each cut into slots; `stratum` of each slot once it is known."""

    window: Window | None
    start: float
    seconds: float
    blocks: int
    slots: int = 1
    stratum: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    strata: int = 1

    @property
    def cut(self) -> Blocks:
        return Blocks(self.start, self.seconds / self.slots, self.blocks * self.slots)

    def block(self, slot: Int64Array) -> Int64Array:
        """Block number of rows by slot, that of the stratum's first block included."""
        block = slot // self.slots
        return block if self.strata == 1 else self.stratum[slot] * self.blocks + block


def count_runs(pieces: Sequence[Piece]) -> Counted:
    """Every piece in eight equal parts of its own time."""
    grids = []
    for piece in pieces:
        window = piece.window
        start, seconds = (0.0, 0.0) if window is None else (window.start, window.seconds)
        grids.append(_Grid(window, start, seconds / RUN_BLOCKS, RUN_BLOCKS))
    binned = _binned(pieces, grids)
    return Counted(_replicas(*_together(pieces, grids, binned)), _strays(binned))


def count_live(pieces: Sequence[Piece], plan: BlockPlan, *, match_load: bool) -> Counted:
    """Every piece in the blocks of its side, by stratum of load where load varies."""
    slots = _slots(plan)
    windows = (plan.baseline, plan.candidate)
    grids = [
        _Grid(w, w.start, plan.block_seconds, plan.blocks, slots)
        for w in (windows[piece.role] for piece in pieces)
    ]
    binned = _binned(pieces, grids)
    pieces, grids, counts = _together(pieces, grids, binned)
    load = None
    if match_load and plan.gate is None:
        load, grids = _stratified(pieces, grids, counts)
    return Counted(_replicas(pieces, grids, counts), _strays(binned), load)


def _slots(plan: BlockPlan) -> int:
    if plan.baseline.seconds >= WEEK_DAYS * DAY:
        return max(round(plan.block_seconds / HOUR), 1)
    return slots_per_block(plan.block_seconds)


def _binned(pieces: Sequence[Piece], grids: Sequence[_Grid]) -> list[Binned]:
    # Each source has its own connection; sources without a free core wait their turn.
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(_read, pieces, grids))


def _together(
    pieces: Sequence[Piece], grids: Sequence[_Grid], binned: Sequence[Binned]
) -> tuple[list[Piece], list[_Grid], list[list[Bins]]]:
    """The parts of each log as one."""
    logs = by_log(pieces)
    return (
        [pieces[at[0]] for at in logs],
        [grids[at[0]] for at in logs],
        [_added([one for i in at for one in binned[i].bins]) for at in logs],
    )


def _added(bins: list[Bins]) -> list[Bins]:
    """Bins of one shape, one for each segment."""
    segments: dict[str, list[Bins]] = {}
    for one in bins:
        segments.setdefault(one.segment, []).append(one)
    return [
        replace(
            same[0],
            block=np.concatenate([one.block for one in same]),
            bucket=np.concatenate([one.bucket for one in same]),
            count=np.concatenate([one.count for one in same]),
            sums=np.sum([one.sums for one in same], axis=0),
        )
        for same in segments.values()
    ]


def _read(piece: Piece, grid: _Grid) -> Binned:
    if not piece.span.rows:
        return Binned(())
    return piece.opened.table.bins(piece.layout, grid.cut, piece.span)


def _strays(binned: Sequence[Binned]) -> list[Mapping[int, Stray]]:
    return [one.strays for one in binned]


def _stratified(
    pieces: Sequence[Piece], grids: list[_Grid], counts: Sequence[Sequence[Bins]]
) -> tuple[LoadStrata | None, list[_Grid]]:
    arrivals: list[list[Int64Array]] = [[], []]
    for piece, grid, bins in zip(pieces, grids, counts, strict=True):
        arrivals[piece.role].append(_arrivals(bins, grid.cut.count))
    if not all(any(row.any() for row in side) for side in arrivals):
        return None, grids
    baseline, candidate = (np.stack(side) for side in arrivals)
    found = stratify(baseline, candidate, grids[0].cut.seconds)
    strata = len(found.load.edges) + 1
    return found.load, [
        _Grid(g.window, g.start, g.seconds, g.blocks, g.slots, found.slots[piece.role], strata)
        for piece, g in zip(pieces, grids, strict=True)
    ]


def _arrivals(bins: Sequence[Bins], slots: int) -> Int64Array:
    """Requests per slot, failed ones included."""
    found = np.zeros(slots, dtype=np.int64)
    for one in bins:
        found += np.bincount(one.block, weights=one.count, minlength=slots).astype(np.int64)
    return found


def _replicas(
    pieces: Sequence[Piece], grids: Sequence[_Grid], counts: Sequence[Sequence[Bins]]
) -> list[ReplicaSample]:
    return [
        _replica(piece.name, grid, bins)
        for piece, grid, bins in zip(pieces, grids, counts, strict=True)
    ]


def _replica(name: str, grid: _Grid, bins: Sequence[Bins]) -> ReplicaSample:
    segments = {one.segment: _series(one, grid) for one in bins}
    times = grid.start + grid.seconds * np.arange(grid.blocks, dtype=np.float64)
    found = segments or {"": BlockSeries.empty(grid.blocks)}
    return ReplicaSample(name, found, times, grid.seconds, window=grid.window)


def _series(bins: Bins, grid: _Grid) -> BlockSeries:
    blocks = grid.blocks
    together = BlockHistograms.from_rows(
        grid.block(bins.block), bins.bucket, bins.count, blocks=blocks * grid.strata
    )
    parts = split(together, grid.strata) if grid.strata > 1 else ()
    block, failed = bins.block // grid.slots, bins.bucket == OVERFLOW_BUCKET
    errors = np.bincount(block[failed], weights=bins.count[failed], minlength=blocks)
    sums = bins.sums.reshape(blocks, grid.slots).sum(axis=1)
    return BlockSeries(
        merge(parts) if parts else together,
        errors.astype(np.int64),
        np.zeros(blocks, dtype=np.int64),
        sums,
        parts,
    )
