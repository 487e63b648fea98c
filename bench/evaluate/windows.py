"""Which pairs of windows are judged: consecutive by position, or the same clock a day later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.series import Series
from nibai.histogram import Float64Array
from nibai.stats.point_windows import PairWindows, log2_points, pair_windows

LENGTHS = (30, 60, 120)
EARLIER = 0.6
"""Share of a series that is history only; both windows of a judged pair lie behind it."""
DAY_SECONDS = 86_400.0
CONSECUTIVE, SAME_CLOCK = "consecutive", "same clock, next day"


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """All grid pairs of a series, which of them are judged, and both windows in natural values.

    `judged` are indices of pairs; `baseline` and `candidate` have shape (len(judged), w).
    """

    series: Series
    arrangement: str
    pairs: PairWindows
    judged: NDArray[np.int64]
    baseline: Float64Array
    candidate: Float64Array

    def injected(self, candidate: Float64Array) -> PairWindows:
        """The pairs with other candidates in the judged places, natural values."""
        changed = self.pairs.candidate.copy()
        changed[self.judged] = self._log2(candidate)
        return self.pairs.with_candidate(changed)

    def _log2(self, values: Float64Array) -> Float64Array:
        """As the judge sees them: zeros are half the smallest positive value of the series."""
        positive = self.series.values[self.series.values > 0]
        least = float(positive.min()) / 2 if len(positive) else 1.0
        return np.asarray(np.log2(np.where(values > 0, values, least)))


def arrange(series: Series, length: int, arrangement: str, most: int) -> Arranged | None:
    """The pairs of one arrangement, at most so many judged; None when none can be."""
    if len(series.values) < 2 * length:
        return None
    if arrangement == CONSECUTIVE:
        pairs = pair_windows(series.values, length, valid=~series.excluded)
        behind = pairs.starts + length
    else:
        pairs, behind = _next_day(series, length)
    late = np.flatnonzero(pairs.valid & (pairs.starts >= EARLIER * len(series.values)))
    if not len(late):
        return None
    if len(late) > most:
        late = late[np.linspace(0, len(late) - 1, most).round().astype(np.int64)]
    one, other = (
        series.values[starts[late][:, None] + np.arange(length)]
        for starts in (pairs.starts, behind)
    )
    return Arranged(series, arrangement, pairs, late, one, other)


def _next_day(series: Series, length: int) -> tuple[PairWindows, NDArray[np.int64]]:
    """Pairs whose candidate starts one day after the baseline, and where it starts.

    Left out are positions without a point within half a step of that instant. The candidates are
    as far apart as the baselines, so that six grid steps back everything is past here too.
    """
    grid = pair_windows(series.values, length, valid=~series.excluded)
    spacing = float(np.median(np.diff(series.times)))
    wanted = series.times[grid.starts] + DAY_SECONDS
    behind = np.searchsorted(series.times, wanted - spacing / 2)
    fits = behind + length <= len(series.values)
    behind = np.where(fits, behind, 0)
    fits &= (behind >= grid.starts + length) & (
        np.abs(series.times[behind] - wanted) <= spacing / 2
    )
    kept = np.flatnonzero(fits)
    starts, behind = grid.starts[kept], behind[kept]
    points, usable = log2_points(series.values), ~series.excluded
    span = np.arange(length)
    sides = [first[:, None] + span for first in (starts, behind)]
    valid = usable[sides[0]].all(axis=1) & usable[sides[1]].all(axis=1)
    return PairWindows(points[sides[0]], points[sides[1]], valid, starts, grid.lag), behind
