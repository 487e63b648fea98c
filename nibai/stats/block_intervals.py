"""Intervals of several shares at once from what each block of time adds to the estimate.

An estimate of K differences is the sum of what the blocks of either period contribute. Blocks are
the units: their signs are drawn at random (a wild block bootstrap of the largest studentised
difference), which keeps the correlation between the K shares and the heaviness of their tails.
Assumes blocks independent of each other; the largest of K is what the critical value is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.output_blocks import Int64Array
from nibai.stats.student import critical_value, lower_tail

DRAWS = 1999
MIN_BLOCKS = 8
"""Blocks per period below which no interval is given: signs of few blocks say nothing."""


TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """K differences between two periods with their block-wise uncertainty; arrays (K,).

    `largest` are draws of the largest absolute studentised difference when nothing changed.
    `blocks` are (before, after).
    """

    value: Float64Array
    se: Float64Array
    df: Float64Array
    blocks: tuple[int, int]
    largest: Float64Array

    @property
    def enough_blocks(self) -> bool:
        """Whether both periods have the blocks that an interval needs."""
        return min(self.blocks) >= MIN_BLOCKS

    def together(self, level: float) -> tuple[Float64Array, Float64Array]:
        """Low and high of all K differences, right together with probability `level`."""
        half = np.maximum(self.se, TINY) * self.critical(level)
        return self.value - half, self.value + half

    def each(self, level: float) -> tuple[Float64Array, Float64Array]:
        """Low and high of every difference by itself at `level` (Student's t)."""
        critical = np.array([critical_value(level, df) for df in self.df])
        half = np.maximum(self.se, TINY) * critical
        return self.value - half, self.value + half

    def critical(self, level: float) -> float:
        """The critical value of the largest of K; never below that of one alone."""
        if not len(self.largest):
            return math.inf
        least = critical_value(level, float(self.df.min()))
        return max(float(np.quantile(self.largest, level)), least)

    def p_within(self, margin: float) -> float:
        """P-value of the two one-sided tests "every difference is within the margin"."""
        inside = (margin - np.abs(self.value)) / np.maximum(self.se, TINY)
        return max(
            1 - lower_tail(float(t), float(df)) for t, df in zip(inside, self.df, strict=True)
        )

    def furthest(self, margin: float = 0.0) -> int:
        """Index of the difference that is most surely beyond the margin."""
        beyond = np.abs(self.value) - margin
        return int(np.argmax(beyond / np.maximum(self.se, TINY)))

    def studentised(self) -> float:
        """The largest difference in standard errors."""
        return float(np.max(np.abs(self.value) / np.where(self.se > 0, self.se, math.inf)))

    def p_beyond(self, margin: float) -> float:
        """P-value against "no difference is beyond the margin", for the largest of K."""
        top = self.furthest(margin)
        far = float(abs(self.value[top]) - margin) / max(float(self.se[top]), TINY)
        if far <= 0 or not len(self.largest):
            return 1.0
        drawn = (1 + float((self.largest >= far).sum())) / (1 + len(self.largest))
        alone = 2 * (1 - lower_tail(far, float(self.df[top])))
        return max(drawn, alone)


def block_sums(values: Float64Array, blocks: Int64Array) -> Float64Array:
    """Sums of the rows of `values` (n, K) by block, shape (G, K)."""
    return np.stack([np.bincount(blocks, column) for column in values.T], axis=1)


def differences(
    value: Float64Array,
    before: Float64Array,
    after: Float64Array,
    rng: np.random.Generator | None,
) -> Differences:
    """From the K estimates and the centred contributions of blocks, shapes (G, K) and (H, K).

    Without `rng` there are standard errors and no intervals.
    """
    sides = (before, after)
    variances = [_variance(side) for side in sides]
    total = variances[0] + variances[1]
    freedom = sum(
        (v * v / max(len(side) - 1, 1) for v, side in zip(variances, sides, strict=True)),
        start=np.zeros_like(total),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(freedom > 0, total * total / freedom, 1.0)
    largest = np.empty(0)
    if rng is not None and min(map(len, sides)) > 1:
        largest = _largest(sides, rng)
    return Differences(value, np.sqrt(total), df, (len(before), len(after)), largest)


def _variance(contributions: Float64Array) -> Float64Array:
    n = len(contributions)
    centred = contributions - contributions.mean(axis=0)
    return np.asarray(n / max(n - 1, 1) * (centred * centred).sum(axis=0))


def _largest(sides: tuple[Float64Array, Float64Array], rng: np.random.Generator) -> Float64Array:
    total, variance = 0.0, 0.0
    for side in sides:
        n = len(side)
        centred = side - side.mean(axis=0)
        sums = rng.choice((-1.0, 1.0), size=(DRAWS, n)) @ centred
        total = total + sums
        # Signs leave squares alone, so the variance of a draw needs its sum only.
        squares = (centred * centred).sum(axis=0)
        variance = variance + n / (n - 1) * np.maximum(squares - sums * sums / n, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variance > 0, np.abs(total) / np.sqrt(variance), 0.0)
    return np.asarray(t.max(axis=1))
