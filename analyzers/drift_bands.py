"""How far a distance between two sides gets when nothing has changed: the rows, shuffled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nibai.answer_rows import AnswerColumn, AnswerRows, RowKind
from nibai.prediction_evidence import DriftScore

Values = NDArray[Any]
Sides = tuple[Values, Values]

LEVEL = 0.95

ROUNDING = 1e-9
"""Relative error of the sums behind a distance: shuffles add up in another order."""


def values_of(column: AnswerColumn) -> Sides:
    """Numbers to compute with: of labels their number in order, of texts the length."""
    if column.kind is RowKind.TEXT:
        lengths = [np.array([float(len(text)) for text in side]) for side in column.sides]
        return lengths[0], lengths[1]
    if column.kind is RowKind.NUMBER:
        numbers = [np.asarray(side, dtype=np.float64) for side in column.sides]
        return numbers[0], numbers[1]
    labels = sorted({str(label) for side in column.sides for label in side})
    number = {label: at for at, label in enumerate(labels)}
    codes = [np.array([number[str(label)] for label in side]) for side in column.sides]
    return codes[0], codes[1]


def sampled(rows: AnswerRows, most: int, rng: np.random.Generator) -> AnswerRows:
    """At most so many rows of each side, in order; the same rows of both where they are pairs."""
    sizes = [len(side) for side in rows.columns[0].sides]
    if max(sizes) <= most:
        return rows
    taken = [np.sort(rng.permutation(size)[:most]) for size in sizes]
    return rows.take(taken[0], taken[0] if rows.paired else taken[1])


def shuffles(rows: AnswerRows, sides: Sides, n: int, rng: np.random.Generator) -> Iterator[Sides]:
    """Both sides n times as they might as well have been if nothing had changed.

    Of pairs each swaps its sides or not; windows deal out their blocks anew, whole.
    """
    old, new = sides
    for _ in range(n):
        if rows.paired:
            swap = rng.integers(2, size=len(old), dtype=np.int8) > 0
            yield np.where(swap, new, old), np.where(swap, old, new)
        else:
            yield _dealt(_blocks(rows, sides), rng)


def described(name: str, value: float, null: Sequence[float], rows: AnswerRows) -> DriftScore:
    """A distance beside the middle 95 % of those of shuffled rows."""
    low, high = np.quantile(np.array(null), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    usual = value <= high * (1 + ROUNDING)
    said = "as without any change" if usual else "more than without any change"
    how = "swapped pairs" if rows.paired else "exchanged blocks"
    return DriftScore(name, value, low, high, f"{said} (95% of {len(null)} {how})")


def _blocks(rows: AnswerRows, sides: Sides) -> tuple[list[Values], list[Values]]:
    """The blocks of either side; every row its own where no blocks are known."""
    numbers = rows.blocks or tuple(np.arange(len(side)) for side in sides)
    parts = []
    for side, block in zip(sides, numbers, strict=True):
        order = np.argsort(block, kind="stable")
        ends = np.flatnonzero(np.diff(block[order])) + 1
        parts.append(np.split(side[order], ends))
    return parts[0], parts[1]


def _dealt(blocks: tuple[list[Values], list[Values]], rng: np.random.Generator) -> Sides:
    together = [*blocks[0], *blocks[1]]
    order = rng.permutation(len(together)).tolist()
    cut = len(blocks[0])
    first, second = ([together[at] for at in part] for part in (order[:cut], order[cut:]))
    return np.concatenate(first), np.concatenate(second)
