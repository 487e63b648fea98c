"""Before and after, answered to different requests: what the inputs explain and what the model did.

Estimand: Delta = E over the new traffic of [new answer - old answer], per class of answers. Doubly
robust: right where the odds of "after" or the regression of the old answers on the inputs is.
Assumes that what the answers depend on is among the features. Source: nibai's drift.md, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.block_intervals import Differences, block_sums, differences
from nibai.stats.domain import (
    FOLDS,
    MAX_LOGIT,
    Domain,
    fold_of,
    learn_basis,
    logistic,
    tell_apart,
    thinned,
)
from nibai.stats.output_blocks import Int64Array

MIN_ROWS = 500
"""Rows per period, and effective old rows, below which nothing is adjusted."""

MIN_EFFECTIVE_SHARE = 0.3
MAX_AUC = 0.8
PENALTY = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """Answers of one period: class `codes` (n,), `features` (n, d), the `blocks` of time (n,)."""

    codes: Int64Array
    features: Float64Array
    blocks: Int64Array

    @property
    def n(self) -> int:
        """Number of answers."""
        return len(self.codes)


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """`naive` = what the inputs explain + what the model did, exactly, for each of K classes.

    `model` has the interval; `naive` is after minus before as it stands, with its own.
    """

    naive: Differences
    model: Differences
    domain: Domain

    @property
    def input_part(self) -> Float64Array:
        """What the moved inputs explain of the naive difference, shape (K,)."""
        return self.naive.value - self.model.value

    @property
    def moved_too_far(self) -> str | None:
        """Why the inputs forbid a comparison, None where they do not."""
        share = self.domain.effective_share
        if self.domain.auc > MAX_AUC:
            return (
                f"a classifier tells new inputs from old ones with an AUC of {self.domain.auc:.2f} "
                f"(at most {MAX_AUC:g})"
            )
        if share < MIN_EFFECTIVE_SHARE:
            return (
                f"only {share:.0%} of the old answers speak for the new inputs "
                f"(at least {MIN_EFFECTIVE_SHARE:.0%})"
            )
        if self.domain.effective_rows < MIN_ROWS:
            return (
                f"the old answers are worth {self.domain.effective_rows:,.0f} under the new inputs "
                f"(at least {MIN_ROWS})"
            )
        return None


def adjust(
    before: Period,
    after: Period,
    classes: int,
    rng: np.random.Generator | None,
    level: float = 0.95,
) -> Adjusted:
    """The doubly robust effect of the change on the share of each class.

    Without `rng` there are standard errors and no intervals.

    >>> rng = np.random.default_rng(1)
    >>> x, z = rng.normal(size=(6000, 1)), rng.normal(0.4, 1, size=(6000, 1))
    >>> at = np.arange(6000) // 100
    >>> one = Period((x[:, 0] > 0).astype(int), x, at)
    >>> two = Period((z[:, 0] > 0).astype(int), z, at)  # other inputs, the same model
    >>> found = adjust(one, two, 2, rng)
    >>> [abs(round(float(part[1]), 2)) for part in (found.naive.value, found.model.value)]
    [0.15, 0.0]
    """
    basis = learn_basis(before.features, after.features)
    x, z = basis(before.features), basis(after.features)
    domain = tell_apart(x, z, (before.blocks, after.blocks), level)
    folds = fold_of(before.blocks)
    indicator = _indicators(before.codes, classes)
    old, new = _predicted(x, z, indicator, folds)
    mean, after_sums = _centred(_indicators(after.codes, classes) - new, after.blocks)
    weights = domain.weights[:, None] / domain.weights.sum()
    residual = indicator - old
    correction = (weights * residual).sum(axis=0)
    before_sums = block_sums(weights * (residual - correction), before.blocks)
    model = differences(mean - correction, -before_sums, after_sums, rng)
    return Adjusted(naive(before, after, classes, rng), model, domain)


def naive(
    before: Period, after: Period, classes: int, rng: np.random.Generator | None
) -> Differences:
    """After minus before as they stand, inputs ignored."""
    old, before_sums = _centred(_indicators(before.codes, classes), before.blocks)
    new, after_sums = _centred(_indicators(after.codes, classes), after.blocks)
    return differences(new - old, -before_sums, after_sums, rng)


def lumped(
    codes: Sequence[Int64Array], classes: Sequence[str], least: int, at_most: int, rest: str
) -> tuple[list[Int64Array], tuple[str, ...]]:
    """The same codes with rare classes (and all beyond the `at_most` largest) as one class `rest`.

    >>> lumped([np.array([0, 0, 1]), np.array([0, 2, 0])], ["a", "b", "c"], 2, 5, "others")
    ([array([0, 0, 1]), array([0, 1, 0])], ('a', 'others'))
    """
    counts = np.bincount(np.concatenate(codes), minlength=len(classes))
    order = np.argsort(-counts, kind="stable")[:at_most]
    kept = sorted(int(i) for i in order if counts[i] >= least)
    renamed = np.full(len(classes), len(kept), dtype=np.int64)
    renamed[kept] = np.arange(len(kept))
    names = tuple(classes[i] for i in kept)
    if counts.sum() > counts[kept].sum():
        names = (*names, rest)
    return [renamed[one] for one in codes], names


def _indicators(codes: Int64Array, classes: int) -> Float64Array:
    return np.asarray(codes[:, None] == np.arange(classes), dtype=np.float64)


def _centred(values: Float64Array, blocks: Int64Array) -> tuple[Float64Array, Float64Array]:
    """Mean of rows, and what each block adds to its error."""
    mean = values.mean(axis=0)
    return mean, block_sums((values - mean) / len(values), blocks)


def _predicted(
    x: Float64Array, z: Float64Array, indicator: Float64Array, folds: Int64Array
) -> tuple[Float64Array, Float64Array]:
    """Old answers expected of old rows (by models that saw other blocks) and of new rows.

    A regression for all classes at once, then a curve per class: without it a confident model's
    shares are too flat, and moved inputs leave a bias.
    """
    old = np.empty_like(indicator)
    new = np.zeros((len(z), indicator.shape[1]))
    used = [k for k in range(FOLDS) if 0 < int((folds == k).sum()) < len(folds)]
    old[:] = indicator.mean(axis=0)
    for k in used:
        out = folds == k
        rows = thinned(np.flatnonzero(~out))
        coefficients = _ridge(x[rows], indicator[rows])
        links = _links(x[rows] @ coefficients, indicator[rows])
        old[out] = _linked(x[out] @ coefficients, links)
        new += _linked(z @ coefficients, links) / len(used)
    if not used:
        new[:] = indicator.mean(axis=0)
    return old, new


def _ridge(x: Float64Array, y: Float64Array) -> Float64Array:
    penalty = np.full(x.shape[1], PENALTY)
    penalty[0] = 0.0
    return np.asarray(np.linalg.solve(x.T @ x + np.diag(penalty), x.T @ y))


def _links(scores: Float64Array, y: Float64Array) -> list[Float64Array]:
    """Per class a logistic curve from the scores of the regression to shares."""
    return [
        logistic(_powers(score), column > 0) for score, column in zip(scores.T, y.T, strict=True)
    ]


def _linked(scores: Float64Array, links: list[Float64Array]) -> Float64Array:
    logits = [_powers(score) @ link for score, link in zip(scores.T, links, strict=True)]
    return np.asarray(1 / (1 + np.exp(-np.clip(np.stack(logits, axis=1), -MAX_LOGIT, MAX_LOGIT))))


def _powers(scores: Float64Array) -> Float64Array:
    """Shares lie between 0 and 1 and scores near them; far ones end."""
    t = np.clip(2 * scores - 1, -2, 2)
    return np.stack([np.ones_like(t), t, t * t, t**3], axis=1)
