"""Point series in which nothing changed, with noise that windows alone cannot see through."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from support.simulator import ar1

Array = NDArray[np.float64]
NOISE = 0.1
"""Standard deviation of log points around their slow part."""


def _regimes(rng: np.random.Generator, size: int) -> Array:
    """Levels that last 300 points on average."""
    fresh = rng.random(size) < 1 / 300
    levels = rng.normal(0, 0.05, size)
    return np.asarray(levels[np.maximum.accumulate(np.where(fresh, np.arange(size), 0))])


def _rows_of_bursts(rng: np.random.Generator, size: int) -> Array:
    """One point in 60 starts 10 points that are up to twice as slow."""
    starts = np.flatnonzero(rng.random(size) < 1 / 60)
    slow = np.zeros(size)
    for start in starts.tolist():
        slow[start : start + 10] += rng.exponential(0.3)
    return slow


SLOW_PARTS: Mapping[str, Callable[[np.random.Generator, int], Array]] = {
    "iid": lambda _, size: np.zeros(size),
    "ar1 .6": lambda rng, size: ar1(rng, size, NOISE, -1 / np.log(0.6)),
    "ar1 .9": lambda rng, size: ar1(rng, size, NOISE, -1 / np.log(0.9)),
    "drift": lambda rng, size: ar1(rng, size, 0.05, 200),
    "regimes": _regimes,
    "bursts": _rows_of_bursts,
}


def unchanged(rng: np.random.Generator, kind: str, size: int) -> Array:
    """Positive points: a slow part and independent noise, one series per call."""
    return np.exp(SLOW_PARTS[kind](rng, size) + rng.normal(0, NOISE, size))
