"""Traffic cut by segment and load, and the weights that make both sides alike in both.

Each load weighs the smaller of its two shares, so that no request counts more than 1/overlap times;
within a load the segments have the first side's shares. Assumes that within a cell requests are
alike. Source: nibai's statistics.md, sections 8 and 9; how they combine: docs/decisions/load.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array, merge
from nibai.model import Comparison, ReplicaSample, Side
from nibai.stats.sides import in_segment

MIN_CELL_REQUESTS = 100
"""Requests per side below which a segment's stratum is joined with its neighbour in load."""

Strata = Mapping[str, Sequence[BlockHistograms]]
"""Segment -> block histograms of each fine load stratum."""

Cell = tuple[str, tuple[int, ...]]
"""A segment and the load strata that it is joined over."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadCells:
    """The cells that both sides have, and their weights.

    `weights` are the common loads at the first side's segment shares within each load, `reverse`
    the same at the second side's; both sum to 1. `groups` names the cells that are centred together
    (`standardised_table`).
    """

    cells: Mapping[str, Cell]
    weights: Mapping[str, float]
    reverse: Mapping[str, float]
    groups: Mapping[str, str]

    def cut(self, strata: Strata) -> dict[str, BlockHistograms]:
        """One side (or one replica of it) by cell; cells without a request are left out."""
        found = {}
        for name, (segment, group) in self.cells.items():
            if segment in strata:
                part = merge([strata[segment][stratum] for stratum in group])
                if part.n.any():
                    found[name] = part
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Both sides by segment and fine load stratum; `groups`: the stratum of each fine one."""

    first: Strata
    second: Strata
    groups: Sequence[int]

    def cells(self, kept: Sequence[str]) -> LoadCells | None:
        """The cells of these segments."""
        return load_cells(self.first, self.second, kept, self.groups)


def load_of(comparison: Comparison, wanted: tuple[str, str] | None = None) -> Load | None:
    """The sides of a comparison in the order of its log ratio, None where load is not matched."""
    if comparison.load is None or not comparison.load.edges:
        return None
    sides = (comparison.baseline, comparison.candidate)
    first, second = sides[::-1] if comparison.higher_is_better else sides
    return Load(pooled_strata(first, wanted), pooled_strata(second, wanted), comparison.load.groups)


def split(stacked: BlockHistograms, strata: int) -> tuple[BlockHistograms, ...]:
    """Histograms whose block is `stratum * G + block`, as G blocks for each stratum."""
    blocks = stacked.blocks // strata
    return tuple(stacked.take(np.arange(i * blocks, (i + 1) * blocks)) for i in range(strata))


def replica_strata(
    replica: ReplicaSample, wanted: tuple[str, str] | None = None
) -> dict[str, tuple[BlockHistograms, ...]]:
    """Block histograms of one replica by segment and load stratum."""
    return {
        label: series.strata
        for label, series in replica.segments.items()
        if series.strata and in_segment(label, wanted)
    }


def pooled_strata(
    side: Side, wanted: tuple[str, str] | None = None
) -> dict[str, tuple[BlockHistograms, ...]]:
    """Block-wise sums of all replicas by segment and load stratum."""
    found: dict[str, list[Sequence[BlockHistograms]]] = {}
    for replica in side.replicas:
        for label, strata in replica_strata(replica, wanted).items():
            found.setdefault(label, []).append(strata)
    return {
        label: tuple(merge(parts) for parts in zip(*strata, strict=True))
        for label, strata in sorted(found.items())
    }


def load_cells(
    first: Strata, second: Strata, kept: Sequence[str], groups: Sequence[int]
) -> LoadCells | None:
    """Cells of the kept segments and their common weights, None when no load is common.

    `groups`: the stratum of each fine one, which gives the weights; strata are what is centred.
    A segment's strata that are thin on either side are joined with their neighbours in load; such a
    cell keeps its own mix of loads.
    """
    names = [name for name in kept if name in first and name in second]
    if not names:
        return None
    n = [_counts(side, names) for side in (first, second)]
    target = _target(n[0].sum(axis=0), n[1].sum(axis=0))
    if not target.any():
        return None
    weights = [_within(target, side) for side in n]
    found: dict[str, Cell] = {}
    shares: list[dict[str, float]] = [{}, {}]
    for i, name in enumerate(names):
        for group in _joined(np.minimum(n[0][i], n[1][i]), target > 0):
            at = list(group)
            if min(float(side[i, at].sum()) for side in n) > 0:
                cell = cell_name(name, group)
                found[cell] = (name, group)
                for share, side in zip(shares, weights, strict=True):
                    share[cell] = float(side[i, at].sum())
    if not found:
        return None
    centred = {cell: cell_name(name, (groups[at[0]],)) for cell, (name, at) in found.items()}
    return LoadCells(found, _normalised(shares[0]), _normalised(shares[1]), centred)


def cell_name(segment: str, strata: Sequence[int]) -> str:
    """A cell's key: a segment at loads number so and so.

    >>> cell_name("size=s", (2, 3))
    'size=s @ load 2+3'
    """
    return f"{segment} @ load {'+'.join(map(str, strata))}"


def _counts(side: Strata, names: Sequence[str]) -> Float64Array:
    """Requests per segment and stratum, shape (S, L)."""
    return np.array(
        [[float(part.n.sum()) for part in side[name]] for name in names], dtype=np.float64
    )


def _target(first: Float64Array, second: Float64Array) -> Float64Array:
    """Common shares of the strata: the smaller of both sides' shares, summing to 1."""
    least: Float64Array = np.minimum(first / first.sum(), second / second.sum())
    total = float(least.sum())
    return least / total if total > 0 else least


def _within(target: Float64Array, counts: Float64Array) -> Float64Array:
    """Weight of each segment and stratum: common load, own segment shares within a load."""
    totals = counts.sum(axis=0)
    return np.asarray(target * counts / np.where(totals > 0, totals, 1.0))


def _joined(least: Float64Array, common: np.ndarray) -> list[tuple[int, ...]]:
    """Consecutive common strata, joined until each has enough requests on both sides."""
    groups: list[tuple[int, ...]] = [(int(i),) for i in np.flatnonzero(common)]
    while len(groups) > 1:
        sizes = [float(least[list(group)].sum()) for group in groups]
        thin = int(np.argmin(sizes))
        if sizes[thin] >= MIN_CELL_REQUESTS:
            break
        beside = [i for i in (thin - 1, thin + 1) if 0 <= i < len(groups)]
        other = min(beside, key=lambda i: sizes[i])
        low, high = sorted((thin, other))
        groups[low : high + 1] = [groups[low] + groups[high]]
    return groups


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items() if weight > 0}
