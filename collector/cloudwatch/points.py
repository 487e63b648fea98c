"""Datapoints of one query as arrays: fifteen days of a fleet are hundreds of millions of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """Times (seconds since the epoch, rising) and values, both of shape (N,)."""

    times: Numbers
    values: Numbers

    def __len__(self) -> int:
        return len(self.times)

    def at(self, times: Numbers) -> Numbers:
        """Values at some rising times (T,); NaN where there is no datapoint.

        >>> Points(np.array([60.0, 180.0]), np.array([1.0, 3.0])).at(np.array([60.0, 120.0]))
        array([ 1., nan])
        """
        if self.times is times or np.array_equal(self.times, times):
            return self.values
        if not len(self.times):
            return np.full(len(times), np.nan)
        found = np.minimum(np.searchsorted(self.times, times), len(self.times) - 1)
        return np.where(self.times[found] == times, self.values[found], np.nan)


NONE = Points(np.zeros(0), np.zeros(0))


def joined_pages(pages: Sequence[tuple[Numbers, Numbers]]) -> Points:
    """Pages of one query in the order of time, each time once: what came last counts.

    >>> joined_pages([(np.array([60.0]), np.array([1.0])), (np.array([0.0]), np.array([2.0]))])
    Points(times=array([ 0., 60.]), values=array([2., 1.]))
    """
    if not pages:
        return NONE
    times, values = pages[0]
    if len(pages) > 1:
        times, values = (np.concatenate(parts) for parts in zip(*pages, strict=True))
    if len(times) < 2 or bool((times[1:] > times[:-1]).all()):  # noqa: PLR2004 - a pair to compare
        return Points(times, values)
    newest_first = times[::-1]
    times, last = np.unique(newest_first, return_index=True)
    return Points(times, values[::-1][last])


def seconds(moments: Sequence[datetime] | Numbers) -> Numbers:
    """Times of an answer as seconds since the epoch."""
    if isinstance(moments, np.ndarray):
        return moments
    return np.array([moment.timestamp() for moment in moments], dtype=float)
