"""What other judges say about pairs of windows: textbook tests and the rule of Kayenta.

Each gives a p-value-like score per pair, flagged when it is at most the nominal level. A margin is
added the way their users do: the effect that is shown must be larger too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nibai.histogram import Float64Array

KAYENTA_TOLERANCE = 0.25

PairFunction = Callable[[Float64Array, Float64Array], Float64Array]
"""Of baselines and candidates, both of shape (K, w), to shape (K,)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A judge of two windows: its score, the |log ratio| it shows, its nominal level."""

    name: str
    title: str
    nominal: float
    score: PairFunction
    effect: PairFunction


def welch(b: Float64Array, c: Float64Array) -> Float64Array:
    """Two-sided p of Welch's t-test; constant windows differ when their values do."""
    n, m = b.shape[1], c.shape[1]
    vb, vc = b.var(axis=1, ddof=1) / n, c.var(axis=1, ddof=1) / m
    error = np.sqrt(vb + vc)
    difference = c.mean(axis=1) - b.mean(axis=1)
    known = error > 0
    safe = np.where(known, error, 1.0)
    freedom = safe**4 / np.maximum(vb**2 / (n - 1) + vc**2 / (m - 1), 1e-300)
    p = 2.0 * special.stdtr(freedom, -np.abs(difference) / safe)
    return np.asarray(np.where(known, p, difference == 0.0))


def mann_whitney(b: Float64Array, c: Float64Array) -> Float64Array:
    """Two-sided normal p of the tie-corrected rank sum with continuity correction."""
    from scipy import stats  # noqa: PLC0415 - takes two seconds, which tests of others need not wait

    n, m = b.shape[1], c.shape[1]
    ranks = stats.rankdata(np.concatenate([b, c], axis=1), axis=1)
    middle = (n + m + 1) / 2
    off = np.abs(ranks[:, n:].sum(axis=1) - m * middle)
    variance = n * m / ((n + m) * (n + m - 1)) * ((ranks - middle) ** 2).sum(axis=1)
    z = np.maximum(off - 0.5, 0.0) / np.sqrt(np.where(variance > 0, variance, 1.0))
    return np.asarray(np.where(variance > 0, 2.0 * special.ndtr(-z), 1.0))


def kolmogorov_smirnov(b: Float64Array, c: Float64Array) -> Float64Array:
    """Two-sided p of the two-sample test."""
    from scipy import stats  # noqa: PLC0415 - as above

    with warnings.catch_warnings():
        # with many ties the exact p cannot be had, and the asymptotic one is taken
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.array([stats.ks_2samp(x, y).pvalue for x, y in zip(b, c, strict=True)])


def kayenta(b: Float64Array, c: Float64Array) -> Float64Array:
    """Two-sided p at the edge of Kayenta's band.

    Its judge passes when the Mann-Whitney interval of the difference (confidence .98) reaches into
    ± .25 × the *estimated* difference. The interval lies beyond the band exactly when the rank-sum
    test of the candidate, shifted back by .25 × the estimate, has p < .02.
    """
    estimate = [np.median(np.subtract.outer(y, x)) for x, y in zip(b, c, strict=True)]
    return mann_whitney(b, c - KAYENTA_TOLERANCE * np.array(estimate)[:, None])


def mean_ratio(b: Float64Array, c: Float64Array) -> Float64Array:
    """|log ratio| of means; infinite when only one is zero."""
    return _log_ratio(b.mean(axis=1), c.mean(axis=1))


def median_ratio(b: Float64Array, c: Float64Array) -> Float64Array:
    """|log ratio| of medians; infinite when only one is zero."""
    return _log_ratio(np.median(b, axis=1), np.median(c, axis=1))


def _log_ratio(one: Float64Array, other: Float64Array) -> Float64Array:
    both = (one > 0) & (other > 0)
    ratio = np.where(both, other, 1.0) / np.where(both, one, 1.0)
    return np.asarray(np.where(both | (one == other), np.abs(np.log(ratio)), np.inf))


PEERS = (
    Peer("welch", "Welch t", 0.05, welch, mean_ratio),
    Peer("mann_whitney", "Mann–Whitney", 0.05, mann_whitney, median_ratio),
    Peer("ks", "KS", 0.05, kolmogorov_smirnov, median_ratio),
    Peer("kayenta", "Kayenta rule", 0.02, kayenta, median_ratio),
)


def beyond(effect: Float64Array, margin: float) -> NDArray[np.bool_]:
    """Whether the effect shown exceeds a margin (a share)."""
    return np.asarray(effect > np.log1p(margin)) if margin else np.ones(len(effect), np.bool_)
