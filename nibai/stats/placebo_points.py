"""Where the real change ranks among fake ones: a p-value that the past itself gives.

The same comparison is made at earlier points of time at which nothing changed. The share of them
that look at least as changed as the real point is a p-value however the series is correlated, as
long as the past is like the present. Source: nibai's drift.md, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array

POINTS = 50
MIN_POINTS = 19
"""Fake points from which a rank can be 5 % at all; fewer are "uncalibrated"."""


@dataclass(frozen=True, slots=True)
class PlaceboRank:
    """How many of `points` fake changes looked at least as changed as the real one."""

    points: int
    at_least: int

    @property
    def p(self) -> float:
        """The rank as a p-value; never below 1 / (points + 1)."""
        return (1 + self.at_least) / (1 + self.points)

    @property
    def calibrated(self) -> bool:
        """Whether there are points enough for a rank to mean something at 5 %."""
        return self.points >= MIN_POINTS

    def said(self) -> str:
        """In words, with the level that the number of points can attain.

        >>> PlaceboRank(9, 0).said()
        'uncalibrated: 9 fake change points in the past (19 are needed), 0 of them at least as far'
        """
        if not self.points:
            return "uncalibrated: no unchanged past to compare with"
        if not self.calibrated:
            return (
                f"uncalibrated: {self.points} fake change points in the past ({MIN_POINTS} are "
                f"needed), {self.at_least} of them at least as far"
            )
        return (
            f"{self.at_least} of {self.points} fake change points in the past moved at least as "
            f"far (rank p = {self.p:.3g}, at best {1 / (self.points + 1):.3g})"
        )


def rank(real: float, fake: Float64Array) -> PlaceboRank:
    """The rank of the real statistic (larger: more changed) among the fake ones; NaN is no point.

    >>> rank(3.0, np.array([1.0, 2.0, 4.0, np.nan]))
    PlaceboRank(points=3, at_least=1)
    """
    usable = fake[np.isfinite(fake)]
    return PlaceboRank(len(usable), int((usable >= real).sum()))


def fake_points(
    past: Float64Array,
    before_seconds: float,
    after_seconds: float,
    statistic: Callable[[slice, slice], float],
    points: int = POINTS,
) -> Float64Array:
    """The statistic at evenly spaced fake changes; `past` are sorted times of the unchanged rows.

    `statistic` gets the rows before and after the fake point, as many seconds of each as the real
    comparison has; windows of neighbouring points overlap.
    """
    if not len(past):
        return np.empty(0)
    first, last = float(past[0]) + before_seconds, float(past[-1]) - after_seconds
    if last <= first:
        return np.empty(0)
    most = min(points, int((last - first) / min(before_seconds, after_seconds) * 6) + 1)
    found = []
    for at in np.linspace(first, last, most):
        low, cut, high = np.searchsorted(past, [at - before_seconds, at, at + after_seconds])
        found.append(statistic(slice(int(low), int(cut)), slice(int(cut), int(high))))
    return np.array(found)
