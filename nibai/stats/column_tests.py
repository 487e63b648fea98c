"""Two samples of answers, both of them random: the tests that drift tools get wrong.

Neither decides a claim of nibai. They are here for people who look at p-values of whole columns.
Source: nibai's drift.md, section 10.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.stats.two_samples import chi_square_tail

FEW = 10
"""Classes with fewer answers than this on both sides together are counted as one."""


def contingency_p(baseline: ArrayLike, candidate: ArrayLike) -> float:
    """P-value of Pearson's chi-square of a 2 x K table, shapes (K,) of counts; 1 for one class.

    Both rows are samples, and so the expected counts come from both. (Taking the baseline's shares
    for known truth, as a test of fit does, rejects a third of unchanged pairs.)

    >>> round(contingency_p([120, 90, 90], [90, 110, 100]), 3)
    0.033
    """
    table = np.array([baseline, candidate], dtype=np.float64)
    rare = table.sum(axis=0) < FEW
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    if len(columns) < 2 or not rows.all():  # noqa: PLR2004 - nothing to compare
        return 1.0
    expected = np.outer(rows, columns) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return chi_square_tail(statistic, len(columns) - 1)


def dependent_ks(baseline: ArrayLike, candidate: ArrayLike) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of two series in time order, and its p-value.

    The p-value counts each series as the number of independent values that its autocorrelation
    leaves. It rejects at most about as often as it says, under strong dependence less often.

    >>> distance, p = dependent_ks([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    >>> distance, round(p, 3)
    (0.0, 1.0)
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (baseline, candidate)]
    if min(map(len, sides)) < 2:  # noqa: PLR2004 - nothing to compare
        return 0.0, 1.0
    pooled = np.concatenate(sides)
    below = [np.searchsorted(np.sort(side), pooled, side="right") / len(side) for side in sides]
    distance = float(np.abs(below[0] - below[1]).max())
    # The distance is one of shares below a level: so is the series whose dependence counts.
    level = np.median(pooled)
    n, m = (independent_values((side <= level).astype(np.float64)) for side in sides)
    root = math.sqrt(n * m / (n + m))
    return distance, _kolmogorov((root + 0.12 + 0.11 / root) * distance)


def independent_values(series: NDArray[np.float64]) -> float:
    """As how many independent values the mean of a series counts, at most its length.

    Source: Geyer 1992, initial positive sequence of autocorrelations.

    >>> independent_values(np.random.default_rng(7).normal(size=500)) > 400
    True
    """
    n = len(series)
    centred = series - series.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    covariances = np.fft.irfft(spectrum)[:n]
    if covariances[0] <= 0:
        return float(n)
    correlations = covariances / covariances[0]
    pairs = correlations[: n - n % 2].reshape(-1, 2).sum(axis=1)
    stop = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    return n / max(2.0 * float(pairs[:stop].sum()) - 1.0, 1.0)


def _kolmogorov(x: float) -> float:
    """Chance that Kolmogorov's limit exceeds x."""
    if x < 0.2:  # noqa: PLR2004 - the series below needs thousands of terms; the chance is 1
        return 1.0
    terms = np.arange(1, 101)
    series = 2 * ((-1.0) ** (terms - 1) * np.exp(-2 * terms**2 * x * x)).sum()
    return float(min(max(series, 0.0), 1.0))
