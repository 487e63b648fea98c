"""What cumulative histograms counted since they last reported."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from collector.otlp.shapes import Point

MOST_SERIES = 10_000
"""Of more, those that reported longest ago are forgotten."""


class Cumulative:
    """The last report of every cumulative series."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[object, ...], tuple[int, np.ndarray, float]] = OrderedDict()

    def since_last(self, point: Point, counts: np.ndarray) -> tuple[np.ndarray, float]:
        """Counts and sum since a series' last report; a restart counts from zero."""
        identity = (
            point.metric, tuple(sorted(point.resource.items())),
            tuple(sorted(point.attributes.items())), point.scale, point.offset,
            tuple(point.bounds or ()),
        )  # fmt: skip
        last = self._last.pop(identity, None)
        self._last[identity] = (point.start, counts, point.sum)
        if len(self._last) > MOST_SERIES:
            self._last.popitem(last=False)
        if last is None or last[0] != point.start or len(last[1]) != len(counts):
            return counts, point.sum
        change = counts - last[1]
        if (change < 0).any():
            return counts, point.sum
        return change, point.sum - last[2]
