"""Pairs of neighbouring windows of a point series, on a grid of sixths of a window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.histogram import Float64Array

GRID = 6
"""Grid steps in a window."""

MIN_POINTS = 10
"""Shortest window: below, blocks of a window would be empty."""


def log2_points(values: ArrayLike) -> Float64Array:
    """log2 of non-negative points; zeros become half the smallest positive value.

    >>> log2_points([4.0, 0.0, 1.0])
    array([ 2., -1.,  0.])
    """
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 1 or not np.isfinite(points).all() or (points < 0).any():
        raise ValueError("points must be one row of finite numbers, zero or more")
    positive = points[points > 0]
    if not len(positive):
        return np.zeros(len(points))
    return np.asarray(np.log2(np.where(points > 0, points, positive.min() / 2)))


@dataclass(frozen=True, slots=True, eq=False)
class PairWindows:
    """K pairs of windows, log2 values: pair k starts at point `starts[k]`, its candidate w later.

    `baseline` and `candidate` have shape (K, w), `valid` and `starts` (K,). A pair is valid when
    neither window holds a point marked as unusable. `lag` grid steps cover a window.
    """

    baseline: Float64Array
    candidate: Float64Array
    valid: NDArray[np.bool_]
    starts: NDArray[np.int64]
    lag: int

    @property
    def window(self) -> int:
        """Points per window."""
        return int(self.baseline.shape[1])

    def __len__(self) -> int:
        return len(self.baseline)

    def take(self, index: ArrayLike) -> PairWindows:
        """Only these pairs."""
        rows = np.asarray(index)
        return PairWindows(
            self.baseline[rows], self.candidate[rows], self.valid[rows], self.starts[rows], self.lag
        )

    def with_candidate(self, candidate: Float64Array) -> PairWindows:
        """The same pairs with other candidate values: an injected change."""
        return replace(self, candidate=candidate)


def pair_windows(
    values: ArrayLike,
    window: int,
    *,
    valid: ArrayLike | None = None,
    last_start: int | None = None,
) -> PairWindows:
    """All grid pairs of a series of natural (not log) values, in order.

    `valid` marks usable points: false at the first point after a known change and at the points of
    an excluded incident. The grid runs from the first point on, or backwards from `last_start`.

    >>> pairs = pair_windows(np.arange(1.0, 61.0), 12)
    >>> len(pairs), pairs.starts[:3], pairs.lag
    (19, array([0, 2, 4]), 6)
    """
    if window < MIN_POINTS:
        raise ValueError(f"a window needs at least {MIN_POINTS} points, not {window}")
    points = log2_points(values)
    step = window // GRID
    top = len(points) - 2 * window if last_start is None else last_start
    if top > len(points) - 2 * window or (last_start is not None and last_start < 0):
        raise ValueError(f"two windows of {window} points do not fit at point {last_start}")
    starts = np.arange(0 if last_start is None else top % step, top + 1, step)
    span = starts[:, None] + np.arange(2 * window)
    usable = np.ones(len(points), dtype=np.bool_) if valid is None else np.asarray(valid, np.bool_)
    return PairWindows(
        baseline=points[span[:, :window]],
        candidate=points[span[:, window:]],
        valid=usable[span].all(axis=1),
        starts=starts,
        lag=-(-window // step),
    )
