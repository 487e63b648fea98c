"""Before and after with the traffic mix held constant: aggregates by segment are all it needs.

Delta = sum over segments s of pi_s (new share in s - old share in s), pi the new traffic's mix:
the same estimand as `nibai.stats.reweight`, with the segments as the only thing known of an input.
Assumes that within a segment requests are alike. Source: nibai's drift.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.block_intervals import Differences, differences
from nibai.stats.output_blocks import Int64Array
from nibai.stats.shares import Scope, common_names, scope_of, shares_of

Cells = Mapping[str, Int64Array]
"""Answers by segment, block and class: each an array (G, K)."""


@dataclass(frozen=True, slots=True, eq=False)
class Stratified:
    """`naive` = what the mix explains + what the model did, exactly, per class.

    `coverage` is the share of (old, new) answers in the `kept` segments; without any kept segment
    there is no `model`.
    """

    naive: Differences
    model: Differences | None
    kept: tuple[str, ...]
    coverage: tuple[float, float]

    @property
    def scope(self) -> Scope:
        """What the coverage allows to speak about."""
        return scope_of(self.coverage)


def poststratify(before: Cells, after: Cells, rng: np.random.Generator) -> Stratified:
    """The effect of the change on the share of each class at the new traffic's mix of segments.

    >>> rng = np.random.default_rng(0)
    >>> old = {"a": np.full((10, 2), [90, 10]), "b": np.full((10, 2), [10, 90])}
    >>> new = {"a": np.full((10, 2), [180, 20]), "b": np.full((10, 2), [10, 90])}
    >>> found = poststratify(old, new, rng)
    >>> [round(float(part.value[0]), 3) for part in (found.naive, found.model)]
    [0.133, 0.0]
    """
    sizes = [{name: int(cell.sum()) for name, cell in side.items()} for side in (before, after)]
    kept = common_names(sizes[0], sizes[1])
    coverage = (_share(sizes[0], kept), _share(sizes[1], kept))
    whole = [{"": np.sum(list(side.values()), axis=0)} for side in (before, after)]
    naive = _difference(whole[0], whole[1], {"": 1.0}, rng)
    model = _difference(before, after, shares_of(sizes[1], kept), rng) if kept else None
    return Stratified(naive, model, kept, coverage)


def cells_of(
    codes: Int64Array, segments: Int64Array, blocks: Int64Array, names: Sequence[str], classes: int
) -> dict[str, Int64Array]:
    """Counts of rows by segment, block and class."""
    rows = int(blocks.max()) + 1 if len(blocks) else 0
    flat = (segments * rows + blocks) * classes + codes
    counted = np.bincount(flat, minlength=len(names) * rows * classes)
    parts = counted.reshape(len(names), rows, classes)
    return {name: parts[i] for i, name in enumerate(names) if parts[i].any()}


def _difference(
    before: Cells, after: Cells, weights: Mapping[str, float], rng: np.random.Generator
) -> Differences:
    old, old_blocks = _standardised(before, weights)
    new, new_blocks = _standardised(after, weights)
    return differences(new - old, -old_blocks, new_blocks, rng)


def _standardised(cells: Cells, weights: Mapping[str, float]) -> tuple[Float64Array, Float64Array]:
    """Shares at the given weights of the segments, and what each block adds to their error."""
    value: Float64Array | float = 0.0
    blocks: Float64Array | float = 0.0
    for name, weight in weights.items():
        counts = cells[name].astype(np.float64)
        total = counts.sum()
        share = counts.sum(axis=0) / total
        value = value + weight * share
        blocks = blocks + weight * (counts - counts.sum(axis=1, keepdims=True) * share) / total
    return np.asarray(value), np.asarray(blocks)


def _share(sizes: Mapping[str, int], kept: Sequence[str]) -> float:
    total = sum(sizes.values())
    return sum(sizes[name] for name in kept) / total if total else 0.0
