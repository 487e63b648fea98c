"""How far the inputs moved: a classifier that tells the requests of after from those of before.

Ridge-penalised logistic regression on principal components and their squares, cross-fitted over
whole blocks of time, so that no row is scored by a model that saw its neighbours in time. Its odds
weigh old rows as the new traffic would. Source: nibai's drift.md, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import Float64Array
from nibai.stats.block_intervals import block_sums
from nibai.stats.output_blocks import Int64Array
from nibai.stats.student import critical_value

COMPONENTS = 30
"""Features up to which they are taken as they are; of more, this many principal components."""

ALL_PRODUCTS = 10
"""Columns up to which all their products are looked at, too: dependence may move alone."""

SOME_PRODUCTS = 4
"""Leading columns whose products are looked at where there are more."""

FAR = 3.0
"""Standard deviations at which a column ends."""

FOLDS = 5
PENALTY = 1.0
MAX_STEPS = 25
MAX_LOGIT = 12.0
TOLERANCE = 1e-6
NEGLIGIBLE = 1e-9
LOOKED_AT = 10_000
"""Rows that tell whether a feature has two values only."""

FIT_ROWS = 50_000
"""Rows that a model is fitted on at most; all rows are weighed by it."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What of the features the models see; learned from both periods together."""

    centre: Float64Array
    scale: Float64Array
    axes: Float64Array | None
    curved: Int64Array

    def __call__(self, features: Float64Array) -> Float64Array:
        """The columns of a model, a constant first, shape (n, columns)."""
        z = (features - self.centre) / self.scale
        if self.axes is not None:
            z = z @ self.axes
        # One far row must not carry the weight of all others.
        z = np.clip(z, -FAR, FAR)
        few = z.shape[1] if z.shape[1] <= ALL_PRODUCTS else SOME_PRODUCTS
        products = [z[:, i] * z[:, j] for i in range(few) for j in range(i)]
        return np.column_stack([np.ones(len(z)), z, z[:, self.curved] ** 2 - 1, *products])


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Cross-fitted odds of "after" for the rows of before, and how well the periods are told apart.

    `weights` (n,) have a mean near 1 and carry the old rows to the new traffic. `auc` 0.5: the
    inputs did not move as far as this classifier sees; `low` and `high` are its interval by blocks.
    """

    weights: Float64Array
    auc: float
    low: float
    high: float

    @property
    def effective_rows(self) -> float:
        """How many equally weighted old rows the weighted ones are worth."""
        total = float(self.weights.sum())
        return total * total / float(self.weights @ self.weights)

    @property
    def effective_share(self) -> float:
        """`effective_rows` as a share of all old rows."""
        return self.effective_rows / len(self.weights)


def learn_basis(before: Float64Array, after: Float64Array) -> Basis:
    """Standardised features and their squares, or principal components of more than 30 of them."""
    both = np.concatenate([before, after])
    centre, scale = both.mean(axis=0), both.std(axis=0)
    # A constant feature becomes a column of zeros.
    scale = np.where(scale > NEGLIGIBLE * (1 + np.abs(centre)), scale, np.inf)
    if both.shape[1] <= COMPONENTS:
        # The square of a column of two values says nothing that the column does not.
        curved = [i for i, column in enumerate(both.T) if len(np.unique(column[:LOOKED_AT])) > 2]  # noqa: PLR2004
        return Basis(centre, scale, None, np.array(curved, dtype=np.int64))
    z = (both - centre) / scale
    values, vectors = np.linalg.eigh(z.T @ z / len(z))
    keep = np.flatnonzero(values > NEGLIGIBLE * float(values.max()))[::-1][:COMPONENTS]
    axes = vectors[:, keep] / np.sqrt(values[keep])
    return Basis(centre, scale, axes, np.arange(len(keep), dtype=np.int64))


def fold_of(blocks: Int64Array, folds: int = FOLDS) -> Int64Array:
    """The fold of each row: neighbouring blocks go to different folds, rows of a block together."""
    return np.asarray(blocks % folds)


def tell_apart(
    before: Float64Array,
    after: Float64Array,
    blocks: tuple[Int64Array, Int64Array],
    level: float = 0.95,
) -> Domain:
    """The domain classifier on model columns (n, c) and (m, c) with the blocks of their rows.

    >>> rng = np.random.default_rng(4)
    >>> old, new = rng.normal(size=(4000, 2)), rng.normal(0.5, 1, size=(4000, 2))
    >>> basis, at = learn_basis(old, new), np.arange(4000) // 100
    >>> found = tell_apart(basis(old), basis(new), (at, at))
    >>> round(found.auc, 2), found.effective_rows < 3000
    (0.68, True)
    """
    x = np.concatenate([before, after])
    is_after = np.repeat([False, True], [len(before), len(after)])
    fold = np.concatenate([fold_of(side) for side in blocks])
    logits = np.zeros(len(x))
    for k in range(FOLDS):
        out = fold == k
        if out.any() and not out.all():
            rows = thinned(np.flatnonzero(~out))
            logits[out] = x[out] @ logistic(x[rows], is_after[rows])
    clipped = np.clip(logits, -MAX_LOGIT, MAX_LOGIT)
    weights = np.exp(clipped[~is_after]) * len(before) / max(len(after), 1)
    auc, low, high = area(logits[~is_after], logits[is_after], blocks, level)
    return Domain(weights, auc, low, high)


def thinned(rows: Int64Array) -> Int64Array:
    """Every k-th of the rows, so that at most `FIT_ROWS` remain."""
    return rows[:: max(-(-len(rows) // FIT_ROWS), 1)]


def logistic(x: Float64Array, y: NDArray[np.bool_]) -> Float64Array:
    """Coefficients of a ridge-penalised logistic regression by Newton's method; column 0 is free.

    x (n, c) with a constant first, y (n,).
    """
    penalty = np.full(x.shape[1], PENALTY)
    penalty[0] = NEGLIGIBLE
    coefficients = np.zeros(x.shape[1])
    for _ in range(MAX_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ coefficients, -MAX_LOGIT, MAX_LOGIT)))
        gradient = x.T @ (y - p) - penalty * coefficients
        curvature = (x * (p * (1 - p))[:, None]).T @ x
        step = np.linalg.solve(curvature + np.diag(penalty), gradient)
        coefficients = coefficients + step
        if float(np.abs(step).max()) < TOLERANCE:
            break
    return np.asarray(coefficients)


def area(
    before: Float64Array,
    after: Float64Array,
    blocks: tuple[Int64Array, Int64Array],
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Area under the curve of scores (n,) and (m,) with its interval; blocks are the units.

    The placements of DeLong, DeLong and Clarke-Pearson (1988), summed by block.
    """
    if not len(before) or not len(after):
        return 0.5, 0.0, 1.0
    placed = [_placements(after, before), 1 - _placements(before, after)]
    value = float(placed[0].mean())
    variance, freedom = 0.0, 0
    for one, at in zip((placed[1], placed[0]), blocks, strict=True):
        sums = block_sums(((one - value) / len(one))[:, None], at)[:, 0]
        variance += len(sums) / max(len(sums) - 1, 1) * float(sums @ sums)
        freedom += len(sums) - 1
    half = critical_value(level, freedom) * float(np.sqrt(variance))
    return value, max(value - half, 0.0), min(value + half, 1.0)


def _placements(of: Float64Array, among: Float64Array) -> Float64Array:
    """For each value the share of `among` below it, ties counting half."""
    order = np.sort(among)
    below = np.searchsorted(order, of, "left") + np.searchsorted(order, of, "right")
    return np.asarray(below / (2 * len(order)))
