"""Which stretches before and after a change are compared when nobody says which.

The same hours of the day where there are less than a day of them, whole days else; the minutes of
the deployment itself belong to neither side. Source: nibai's statistics.md, section 5.
"""

from __future__ import annotations

import math

from nibai.model import Window
from nibai.stats.clock import DAY, DAY_TOLERANCE, WEEK_DAYS, plan_blocks


def around_change(
    everything: Window, effective_at: float, unchanged_until: float | None
) -> tuple[Window, Window]:
    """Both windows of one variant that is cut at a change."""
    if unchanged_until is not None and unchanged_until < effective_at:
        return around_deployment(everything, unchanged_until, effective_at)
    cut = effective_at - effective_at % 60
    before, after = cut - everything.start, max(everything.end - cut, 0.0)
    if after < DAY <= before:
        return _same_hours(cut, after, before)
    length = max(min(before, after), 0.0)
    # A last minute that is still to come must not make the days before reach over the cut.
    if days := math.floor(length / DAY + DAY_TOLERANCE):
        length = days * DAY
    return Window(cut - length, cut), Window(cut, cut + length)


def around_deployment(everything: Window, began: float, over: float) -> tuple[Window, Window]:
    """Windows that leave out the minutes in which a deployment moved traffic.

    A deployment takes both sides from the clock position at which it was over: whole days before
    `began` where they are known, else the stretches next to it.
    """
    first, cut = began - began % 60, over + -over % 60
    before, after = first - everything.start, everything.end - cut
    if after < DAY:
        length = max(after, 0.0)
        for days in range(1, WEEK_DAYS + 1):
            start = cut - days * DAY
            baseline, candidate = Window(start, start + length), Window(cut, cut + length)
            known = everything.start <= start and baseline.end <= first
            if known and plan_blocks(baseline, candidate).gate is None:
                return baseline, candidate
        length = max(min(before, after), 0.0)
        return Window(first - length, first), Window(cut, cut + length)
    # The start lies whole days before the cut, so that nothing of a day is lost to the clock.
    back = math.floor((cut - everything.start) / DAY + DAY_TOLERANCE)
    most = min(math.floor(after / DAY + DAY_TOLERANCE), back - math.ceil((cut - first) / DAY))
    if most < 1:
        length = max(min(before, after), 0.0)
        return Window(first - length, first), Window(cut, cut + length)
    start = cut - (most + math.ceil((cut - first) / DAY)) * DAY
    return Window(start, start + most * DAY), Window(cut, cut + most * DAY)


def _same_hours(cut: float, length: float, before: float) -> tuple[Window, Window]:
    """The hours after a change and the same hours of the last day of the same kind before it."""
    candidate = Window(cut, cut + length)
    for days in range(1, WEEK_DAYS + 1):
        baseline = Window(cut - days * DAY, cut - days * DAY + length)
        if days * DAY <= before and plan_blocks(baseline, candidate).gate is None:
            return baseline, candidate
    return Window(cut - DAY, cut - DAY + length), candidate
