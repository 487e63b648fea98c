"""Many hypotheses at once: which to reject, and how many are false at the least.

Sources: Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001 (any dependence); Wang and Ramdas
2022 (e-values); Goeman, Hemerik and Solari 2021 (Simes' test closed: bounds on how many are true).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.histogram import Float64Array

BoolArray = NDArray[np.bool_]


def harmonic(n: int) -> float:
    """1 + 1/2 + ... + 1/n: what any dependence between n tests costs."""
    return float(np.sum(1.0 / np.arange(1, n + 1)))


def adjusted(p_values: ArrayLike, *, any_dependence: bool = False) -> Float64Array:
    """Benjamini-Hochberg adjusted p-values, shape (N,): reject those of at most q.

    Guarantee: the expected share of true hypotheses among the rejected ones is at most q for valid
    p-values that are independent or positively dependent; with `any_dependence`
    (Benjamini-Yekutieli) however they depend on each other.

    >>> adjusted([0.01, 0.02, 0.03, 0.9]).round(3).tolist()
    [0.04, 0.04, 0.04, 0.9]
    """
    p = np.asarray(p_values, dtype=np.float64)
    n = len(p)
    if not n:
        return p
    order = np.argsort(p, kind="stable")
    factor = n * (harmonic(n) if any_dependence else 1.0)
    stepped = p[order] * factor / np.arange(1, n + 1)
    result = np.empty(n)
    result[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return result


def e_bh(log_e_values: ArrayLike, q: float) -> BoolArray:
    """Which hypotheses e-BH rejects: the k with the k-th largest e at least N / (q k).

    `log_e_values` are natural logarithms. Guarantee: false discovery rate at most q at any moment
    one looks, however the e-values depend on each other.

    >>> e_bh(np.log([100.0, 45.0, 30.0, 1.0]), 0.05).tolist()
    [True, True, True, False]
    """
    log_e = np.asarray(log_e_values, dtype=np.float64)
    n = len(log_e)
    order = np.argsort(-log_e, kind="stable")
    enough = log_e[order] >= math.log(max(n, 1) / q) - np.log(np.arange(1, n + 1))
    rejected = np.zeros(n, dtype=np.bool_)
    if enough.any():
        rejected[order[: int(np.flatnonzero(enough)[-1]) + 1]] = True
    return rejected


def log_e_union(log_e_values: Sequence[float]) -> float:
    """Ln of an e-value against "at least one of these hypotheses is true": the least of theirs.

    At most the e-value of the true one, whichever that is. Minus infinity of none.

    >>> log_e_union([3.0, 0.5])
    0.5
    """
    return min(log_e_values, default=-math.inf)


def log_e_intersection(log_e_values: Sequence[float]) -> float:
    """Ln of an e-value against "all of these hypotheses are true": the mean of theirs.

    However they depend on each other. Minus infinity of none.

    >>> round(math.exp(log_e_intersection([math.log(30.0), math.log(10.0)])), 6)
    20.0
    """
    highest = max(log_e_values, default=-math.inf)
    if math.isinf(highest):
        return highest
    mean = sum(math.exp(log_e - highest) for log_e in log_e_values) / len(log_e_values)
    return highest + math.log(mean)


def largest_true(p_values: ArrayLike, alpha: float, weights: ArrayLike | None = None) -> float:
    """The most (by number, or by weight) of the hypotheses that can be true, with 1 - alpha sure.

    Guarantee: as strong as Simes' test of the true hypotheses together (independent or positively
    dependent p-values); simultaneous over all subsets, so it may be read beside any rejections.

    >>> largest_true([1e-5, 1e-5, 0.4, 0.9], 0.05)
    2.0
    """
    p = np.asarray(p_values, dtype=np.float64)
    size = _largest_accepted(p, alpha)
    if weights is None:
        return float(size)
    return _heaviest(p, np.asarray(weights, dtype=np.float64), size, alpha)


def _largest_accepted(p: Float64Array, alpha: float) -> int:
    """Size of the largest set of hypotheses that Simes' test does not reject (Hommel)."""
    falling = np.sort(p)[::-1]
    for size in range(len(p), 0, -1):
        # Among sets of one size that of the largest p-values is accepted most easily.
        if np.all(falling[:size][::-1] > np.arange(1, size + 1) * (alpha / size)):
            return size
    return 0


def _heaviest(p: Float64Array, weights: Float64Array, size: int, alpha: float) -> float:
    """The heaviest set of at most `size` hypotheses with fewer than j p-values below j alpha/size.

    The sets {p <= j alpha/size} are nested, so that heaviest first is exact: a hypothesis takes the
    last free place among those its p-value allows. It bounds every set that Simes accepts.
    """
    if not size:
        return 0.0
    last = np.clip(np.ceil(p * size / alpha), 1, size + 1).astype(np.int64)
    free = list(range(size + 2))  # places 2 .. size + 1; 0 stands for none
    free[1] = 0
    total = 0.0
    for i in np.argsort(-weights, kind="stable").tolist():
        place = _find(free, int(last[i]))
        if place:
            total += float(weights[i])
            free[place] = place - 1
    return total


def _find(free: list[int], place: int) -> int:
    """The last free place up to this one, 0 without any; paths are halved on the way."""
    while free[place] != place:
        free[place] = free[free[place]]
        place = free[place]
    return place
