"""The daily rhythm of a series, taken out before a lasting change is looked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nibai.histogram import Float64Array

MIN_CYCLES = 7


def without_cycle(
    values: ArrayLike, period: int, cuts: Sequence[int] = (), min_cycles: int = MIN_CYCLES
) -> Float64Array:
    """Values less the median of their position in the cycle, the mean of the medians put back.

    `cuts` are known changes of level: the rhythm is that around the level of each stretch.
    Unchanged with fewer than `min_cycles` cycles. NaN and infinite values stay what they are. A
    weekly rhythm is not seen.

    >>> day = np.tile([1.0, 3.0], 8)
    >>> without_cycle(day + np.repeat([0.0, 5.0], 8), 2, cuts=[8])[[0, 1, -2, -1]].tolist()
    [2.0, 2.0, 7.0, 7.0]
    """
    series = np.asarray(values, dtype=np.float64)
    if period < 2 or len(series) < min_cycles * period:  # noqa: PLR2004 - no rhythm
        return series
    around = np.where(np.isfinite(series), series, np.nan)
    for level in np.split(around, list(cuts)):
        if not np.isnan(level).all():
            np.subtract(level, np.nanmean(level), out=level)
    padded = np.concatenate([around, np.full(-len(series) % period, np.nan)])
    days = np.sort(padded.reshape(-1, period), axis=0)  # missing ones last
    count = np.count_nonzero(~np.isnan(days), axis=0)
    position = np.flatnonzero(count)
    middle = ((count[position] - 1) // 2, count[position] // 2)
    rhythm = np.zeros(period)
    if len(position):  # np.nanmedian takes ten times as long on few days
        rhythm[position] = (days[middle[0], position] + days[middle[1], position]) / 2
        rhythm[position] -= rhythm[position].mean()
    return np.asarray(series - np.resize(rhythm, len(series)), dtype=np.float64)
