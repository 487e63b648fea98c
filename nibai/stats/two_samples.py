"""Did anything at all move between two samples: tables of classes, and clouds of features.

Descriptions beside a verdict, never the verdict. Source: nibai's drift.md, section 5: both margins
of a table are random, and what is permuted is a block of time, never a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nibai.histogram import Float64Array
from nibai.stats.output_blocks import Int64Array

PERMUTATIONS = 499
TINY = 1e-12

CLOUD_ROWS = 500
"""Rows per side whose distances are computed; more are thinned evenly in time."""


@dataclass(frozen=True, slots=True)
class TableTest:
    """G of a 2 x K table with both margins random: `distance` is the total variation of shares.

    `p` assumes independent rows; divide `g` by the variance inflation of blocks where they are not.
    """

    g: float
    df: int
    p: float
    distance: float


@dataclass(frozen=True, slots=True)
class BlockTest:
    """A distance and what it is when whole blocks of time are dealt to the sides at random.

    `p` is its rank among the permutations, [`null_low`, `null_high`] hold 95 % of them.
    """

    distance: float
    p: float
    null_low: float
    null_high: float


def g_test(first: ArrayLike, second: ArrayLike, inflation: float = 1.0) -> TableTest:
    """Are the classes of two samples of counts (K,) as frequent? `inflation` of the variance.

    >>> found = g_test([50, 50], [70, 30])
    >>> round(found.g, 3), found.df, round(found.p, 4), round(found.distance, 2)
    (8.402, 1, 0.0037, 0.2)
    """
    table = np.array([first, second], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    rows = table.sum(axis=1)
    df = table.shape[1] - 1
    if df < 1 or not rows.all():
        return TableTest(0.0, max(df, 0), 1.0, 0.0)
    expected = np.outer(rows, table.sum(axis=0)) / rows.sum()
    ratios = np.where(table > 0, table / expected, 1.0)
    g = float(2 * (table * np.log(ratios)).sum()) / inflation
    shares = table / rows[:, None]
    return TableTest(g, df, chi_square_tail(g, df), float(np.abs(shares[0] - shares[1]).sum() / 2))


def chi_square_tail(x: float, df: int) -> float:
    """P(chi-square with df degrees of freedom > x)."""
    from scipy.special import gammaincc  # noqa: PLC0415 - keeps `import nibai.stats` light

    return float(gammaincc(df / 2, max(x, 0.0) / 2))


def table_test(first: Int64Array, second: Int64Array, rng: np.random.Generator) -> BlockTest:
    """Total variation between the class shares of blocks (G, K) and (H, K) of counts.

    >>> rng = np.random.default_rng(0)
    >>> one, two = rng.multinomial(200, [0.5, 0.5], 20), rng.multinomial(200, [0.6, 0.4], 20)
    >>> found = table_test(one, two, rng)
    >>> round(found.distance, 2), found.p
    (0.1, 0.002)
    """
    both = np.concatenate([first, second]).astype(np.float64)

    def distances(is_after: Float64Array) -> Float64Array:
        sides = [is_after @ both, (1 - is_after) @ both]
        shares = [side / np.maximum(side.sum(axis=1, keepdims=True), 1.0) for side in sides]
        return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=1) / 2)

    return _permuted(distances, np.arange(len(both)) >= len(first), rng)


def energy_test(
    first: Float64Array,
    second: Float64Array,
    blocks: tuple[Int64Array, Int64Array],
    rng: np.random.Generator,
) -> BlockTest:
    """Energy distance of rows (n, d) and (m, d), which should have comparable scales.

    >>> rng = np.random.default_rng(0)
    >>> one, two = rng.normal(size=(400, 2)), rng.normal(0.5, 1, size=(400, 2))
    >>> at = np.arange(400) // 20
    >>> energy_test(one, two, (at, at), rng).p
    0.002
    """
    sides = [_thinned(*side) for side in zip((first, second), blocks, strict=True)]
    x = np.concatenate([rows for rows, _ in sides])
    before = int(sides[0][1].max(initial=-1)) + 1
    at = np.concatenate([sides[0][1], sides[1][1] + before])
    total = int(at.max(initial=-1)) + 1
    # Rows of a block stand together, so that sums over blocks are sums over runs.
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(total))
    by_row = np.add.reduceat(_distances(x[order]), starts, axis=0)
    between = np.add.reduceat(by_row, starts, axis=1)
    sizes = np.bincount(at, minlength=total).astype(np.float64)
    return _permuted(lambda deals: _energy(between, sizes, deals), np.arange(total) >= before, rng)


def _permuted(
    distances: Callable[[Float64Array], Float64Array],
    is_after: np.ndarray,
    rng: np.random.Generator,
) -> BlockTest:
    """`distances` of deals (P, G) of blocks to the sides, 1.0 for after."""
    deals = np.array([is_after, *(rng.permutation(is_after) for _ in range(PERMUTATIONS))])
    all_found = distances(deals.astype(np.float64))
    found, drawn = float(all_found[0]), all_found[1:]
    p = (1 + int((drawn >= found - TINY).sum())) / (1 + PERMUTATIONS)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return BlockTest(found, p, float(low), float(high))


def _thinned(rows: Float64Array, blocks: Int64Array) -> tuple[Float64Array, Int64Array]:
    step = max(-(-len(rows) // CLOUD_ROWS), 1)
    return rows[::step], np.unique(blocks[::step], return_inverse=True)[1].astype(np.int64)


def _distances(x: Float64Array) -> Float64Array:
    squares = (x * x).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0.0)))


def _energy(between: Float64Array, sizes: Float64Array, is_after: Float64Array) -> Float64Array:
    """Root of twice the mean distance between the sides minus the mean distances within them."""
    to_after = is_after @ between
    inside = (to_after * is_after).sum(axis=1)
    across = to_after.sum(axis=1) - inside
    outside = between.sum() - inside - 2 * across
    n = np.maximum(is_after @ sizes, 1.0)
    m = np.maximum(sizes.sum() - n, 1.0)
    square = 2 * across / (n * m) - inside / (n * n) - outside / (m * m)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))
