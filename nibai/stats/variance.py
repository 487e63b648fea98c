"""How much wider than independent blocks an interval must be."""

from __future__ import annotations

import math

import numpy as np

from nibai.histogram import Float64Array

MAX_CORRELATION = 0.8

LEAST_FREEDOM = 4.0
"""Few blocks look correlated by chance: below, clear effects would be lost to a guess."""

NO_CHANCE = (2.0, 4.0)
"""Standard errors of a correlation from which on it counts, and counts in full."""

NEGLIGIBLE = 1e-12
"""Scores are shares of order 1: smaller ones are rounding, and count as exactly zero."""


def variance_factor(scores: Float64Array, lost: float = 1.0) -> Float64Array:
    """AR(1) factor (1+r)/(1-r) of block scores of shape (..., G).

    r is the lag-1 correlation with the small-sample correction (1+3r)/G for each of the `lost`
    degrees of freedom, clipped to [0, 0.8]: the factor lies in [1, 9]. Constant scores give 1.
    Assumes blocks in order of time; correlation beyond lag 1 and drift slower than the window are
    not seen.

    >>> variance_factor(np.array([1.0, 1.0, 1.0, 1.0])).item()
    1.0
    """
    blocks = scores.shape[-1]
    deviation = scores - scores.mean(axis=-1, keepdims=True)
    power = (deviation**2).sum(axis=-1)
    constant = power <= blocks * NEGLIGIBLE**2
    product = (deviation[..., :-1] * deviation[..., 1:]).sum(axis=-1)
    lag1 = product / np.where(constant, 1.0, power)
    r = np.clip(lag1 + lost * (1 + 3 * lag1) / blocks, 0.0, MAX_CORRELATION)
    return np.asarray(np.where(constant, 1.0, (1 + r) / (1 - r)), dtype=np.float64)


def effective_freedom(freedom: float, factor: float) -> float:
    """Degrees of freedom of blocks that are worth less than their number: those, less one.

    An estimated factor widens by the mean of what it may be; the rest is in the tails of a t of so
    many fewer blocks. A correlation counts as far as chance does not bring it: not up to two
    standard errors, 1/sqrt(G) each, and in full from four on. At a correlation of 0.8 between 24
    blocks a 95 % interval misses in 14 % of cases with it and in 18 % without, at 0 in 3.9 % of
    both (tests/statistical); to count more costs clear effects their verdict.

    >>> [round(effective_freedom(23, factor), 1) for factor in (1.0, 1.5, 3.0, 9.0)]
    [23.0, 23.0, 18.2, 4.0]
    """
    r, error = (factor - 1) / (factor + 1), 1 / math.sqrt(freedom + 1)
    r *= min(max((r / error - NO_CHANCE[0]) / (NO_CHANCE[1] - NO_CHANCE[0]), 0.0), 1.0)
    return min(max((freedom + 1) * (1 - r) / (1 + r) - 1, LEAST_FREEDOM), freedom)


def t_statistic(scores: Float64Array) -> Float64Array:
    """Mean in standard errors of block scores of shape (..., G); 0 when mean and sd are both 0."""
    mean = scores.mean(axis=-1)
    mean = np.where(np.abs(mean) <= NEGLIGIBLE, 0.0, mean)
    error = scores.std(axis=-1, ddof=1) / np.sqrt(scores.shape[-1])
    exact = error <= NEGLIGIBLE
    infinite = np.where(mean == 0.0, 0.0, np.copysign(np.inf, mean))
    return np.asarray(np.where(exact, infinite, mean / np.where(exact, 1.0, error)))
