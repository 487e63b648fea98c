"""Changes put into a candidate window, so that the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nibai.histogram import Float64Array

Apply = Callable[[Float64Array, np.random.Generator], Float64Array]
TAIL_SHARE, TAIL_FACTOR, OTHERS_FACTOR = 0.1, 5.0, 0.55


@dataclass(frozen=True, slots=True)
class Effect:
    """A change: `size` is the relative level shift, None when the shape changes."""

    name: str
    title: str
    apply: Apply
    size: float | None = None


def scaled(x: Float64Array, _: np.random.Generator, *, factor: float) -> Float64Array:
    """All values times a factor."""
    return factor * x


def upper_tail(x: Float64Array, _: np.random.Generator) -> Float64Array:
    """Values above the window's own p90 times 1.2."""
    return np.where(x > np.quantile(x, 0.9), 1.2 * x, x)


def some_slow(x: Float64Array, rng: np.random.Generator) -> Float64Array:
    """10 % of the points times 5."""
    return np.where(_some(len(x), rng), TAIL_FACTOR * x, x)


def same_mean(x: Float64Array, rng: np.random.Generator) -> Float64Array:
    """10 % of the points times 5, the others down 45 %: the mean stays (within .5 %)."""
    return np.where(_some(len(x), rng), TAIL_FACTOR, OTHERS_FACTOR) * x


def wider(x: Float64Array, _: np.random.Generator, *, factor: float) -> Float64Array:
    """Distances from the median, on the log scale, times a factor; zeros stay."""
    positive = x > 0
    if not positive.any():
        return x
    logs = np.log(x[positive])
    middle = np.median(logs)
    changed = x.copy()
    changed[positive] = np.exp(np.clip(middle + factor * (logs - middle), -300, 300))
    return changed


def _some(n: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which points are slow: a tenth of them, at random places."""
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[rng.permutation(n)[: round(TAIL_SHARE * n)]] = True
    return chosen


def shift(size: float) -> Effect:
    """A level shift by a share."""
    return Effect(
        f"level{size:+.2f}", f"{100 * size:+.0f} %", partial(scaled, factor=1 + size), size
    )


def spread(factor: float) -> Effect:
    """A wider spread."""
    return Effect(f"spread{factor:g}", f"spread ×{factor:g}", partial(wider, factor=factor))


SAME_MEAN = Effect("same_mean", "median −45 %, 10 % of points ×5, same mean", same_mean)
SOME_SLOW = Effect("tail5", "10 % of points ×5", some_slow)
LEVELS = tuple(shift(size) for size in (-0.20, -0.10, -0.05, -0.02, 0.02, 0.05, 0.10, 0.20))
SHAPES = (
    Effect("tail1.2", "values above own p90 ×1.2", upper_tail),
    SOME_SLOW,
    SAME_MEAN,
    spread(2.0),
    spread(3.0),
)
EFFECTS = (*LEVELS, *SHAPES)
