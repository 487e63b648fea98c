"""Only buckets that can hold something are bought: each series' own range, asked for first.

Minimum and maximum of the window to be read, and of a day at least, cost one billed metric a
series. All variants of an endpoint's metric get one range, so both sides of a comparison have the
same buckets; the phase of the grid never moves, and the open outer buckets are always bought.
Source: aws.md, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from collector.cloudwatch.cadence import Due
from collector.cloudwatch.execute import Answered
from collector.cloudwatch.plan import DAY, Call, Detail, Wanted, packed
from nibai.model import Window

HOUR = 3600.0
LEAST_SECONDS = 1e-6

Ranges = dict[tuple[str, str], tuple[float, float]]
"""Smallest and largest value (seconds) of an endpoint's metric."""


def range_calls(due: Iterable[Due]) -> list[Call]:
    """What has to be asked before buckets are chosen; nothing where none are bought."""
    windows: dict[Window, list[Wanted]] = {}
    for one in due:
        if one.wanted.grid is not None:
            start = min(one.window.start, one.window.end - DAY)
            window = Window(
                math.floor(start / HOUR) * HOUR, math.ceil(one.window.end / HOUR) * HOUR
            )
            asked = replace(one.wanted, extremes_only=True, failures=())
            windows.setdefault(window, []).append(asked)
    return [call for window, wanted in windows.items() for call in packed(wanted, window, HOUR)]


def ranges_of(answered: Answered) -> Ranges:
    """The ranges that an answer tells; of a series that did not come whole, none is sure."""
    found: Ranges = {}
    for wanted in answered.call.wanted:
        points = answered.statistics(wanted.series)
        key = (wanted.series.endpoint, wanted.series.published.metric)
        if not answered.whole(wanted):
            found = together(found, {key: (0.0, math.inf)})
        elif len(points["Minimum"]):
            units = wanted.series.published.units_per_base
            low, high = (
                float(points["Minimum"].values.min()), float(points["Maximum"].values.max()),
            )  # fmt: skip
            found = together(found, {key: (low / units, high / units)})
    return found


def together(one: Ranges, other: Ranges) -> Ranges:
    """What covers both.

    >>> together({("e", "m"): (1.0, 2.0)}, {("e", "m"): (0.5, 1.5)})
    {('e', 'm'): (0.5, 2.0)}
    """
    found = dict(one)
    for key, (low, high) in other.items():
        least, most = found.get(key, (low, high))
        found[key] = min(least, low), max(most, high)
    return found


def in_range(due: Sequence[Due], ranges: Ranges) -> list[Due]:
    """The same with the buckets of their ranges; the usual ones where none is surely known."""
    made = []
    for one in due:
        series = one.wanted.series
        known = ranges.get((series.endpoint, series.published.metric))
        if known is not None and math.isfinite(known[1]) and one.wanted.grid is not None:
            low = max(known[0], LEAST_SECONDS)
            made.append(replace(one, wanted=_over(one.wanted, (low, max(known[1], low)))))
        else:
            made.append(one)
    return made


def _over(wanted: Wanted, seconds: tuple[float, float]) -> Wanted:
    """The buckets of a range, wider ones where it would take more than was said to be the most.

    Buckets that do not reach over the range would hide everything beyond them in the outermost.
    """
    details = list(Detail)
    for detail in details[details.index(wanted.detail) :]:
        found = replace(wanted, detail=detail, range_seconds=seconds)
        if found.grid is not None and len(found.statistics) <= len(wanted.statistics):
            return found
    return wanted
