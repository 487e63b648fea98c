"""p-values of block statistics that stay true far out, where a thousand endpoints need them.

The t quantile with an estimated AR(1) factor is right near 5 % and too sharp beyond: for blocks
correlated by phi, P(p <= x) grows like x^(1 - phi). One endpoint cannot know its phi from 24
blocks, a fleet can. The bound 0.8 (1 - phi) x^(1 - phi) lies above what was simulated for normal
AR(1) blocks, 12 to 48 of them, phi 0 to 0.6 (tests/statistical/test_fleet_known_truth.py).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from nibai.histogram import Float64Array
from nibai.stats.variance import MAX_CORRELATION

SCALE = 0.8
HALVINGS = 40


def typical_correlation(variance_factors: ArrayLike, blocks: float) -> float:
    """Correlation between neighbouring blocks that a fleet has to reckon with, 0 to 0.8.

    The mean over endpoints, plus their spread beyond what the noise of `blocks` blocks explains,
    plus one standard error of the mean. Estimates were clipped at 0: taken as clipped normal ones.

    >>> typical_correlation([1.0] * 50, 24)
    0.0
    """
    factors = np.asarray(variance_factors, dtype=np.float64)
    if not len(factors) or np.all(factors <= 1.0):
        return 0.0
    clipped = (factors - 1) / (factors + 1)
    mean, variance = float(clipped.mean()), float(clipped.var())
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _clipped(middle, blocks)[0] < mean else (low, middle)
    spread = math.sqrt(max(variance - _clipped(low, blocks)[1], 0.0))
    error = math.sqrt(variance / len(clipped))
    return min(max(low, 0.0) + spread + error, MAX_CORRELATION)


def lifted(p_values: ArrayLike, correlation: float) -> Float64Array:
    """p-values that hold in the far tail for blocks of this correlation; never below the given.

    >>> lifted([0.02, 1e-4], 0.0).tolist(), lifted([1e-4], 0.2).round(5).tolist()
    ([0.02, 0.0001], [0.0004])
    """
    p = np.asarray(p_values, dtype=np.float64)
    left = 1 - correlation
    return np.maximum(p, SCALE * left * p**left)


def _clipped(mean: float, blocks: float) -> tuple[float, float]:
    """Mean and variance of a normal lag-1 estimate from `blocks` blocks, clipped at 0."""
    sd = math.sqrt(max(1 - mean * mean, 0.1) / max(blocks, 1.0))
    inside = 0.5 * math.erfc(-mean / sd / math.sqrt(2))
    density = sd * math.exp(-((mean / sd) ** 2) / 2) / math.sqrt(2 * math.pi)
    first = mean * inside + density
    return first, (mean * mean + sd * sd) * inside + mean * density - first * first
