"""Deploy days: sides that are whole days here and there, so that the day is the observation.

Source: nibai's statistics.md, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nibai.model import Reason, ReasonCode, Window
from nibai.stats.clock import DAY, is_weekend

LEAST_DAYS = 8
"""Days per side from which on the day is the unit (design choice)."""

SAME_HOURS = 0.9
"""Share of each window that the hours common to all must make up."""


def are_days(baseline: Sequence[Window], candidate: Sequence[Window]) -> bool:
    """Whether both sides are eight windows or more, each within a day of its own.

    >>> week = [Window(i * DAY, (i + 1) * DAY) for i in range(16)]
    >>> are_days(week[::2], week[1::2]), are_days(week[:4], week[4:])
    (True, False)
    """
    if min(len(baseline), len(candidate)) < LEAST_DAYS:
        return False
    days = [[_day(window) for window in side] for side in (baseline, candidate)]
    within = all(w.end <= (_day(w) + 1) * DAY for w in (*baseline, *candidate))
    return within and all(len(set(side)) == len(side) for side in days)


def days_gate(baseline: Sequence[Window], candidate: Sequence[Window]) -> Reason | None:
    """Why these days cannot be compared: other hours, or weekends on one side only."""
    every = (*baseline, *candidate)
    first = max(w.start % DAY for w in every)
    last = min(w.end - _day(w) * DAY for w in every)
    if last - first < SAME_HOURS * max(w.seconds for w in every):
        return Reason(
            ReasonCode.UNMATCHED_CLOCK,
            "the days hold other hours: traffic has a daily rhythm, so give the same hours of "
            "every day",
        )
    shares = [
        sum(is_weekend(window.start) for window in side) / len(side)
        for side in (baseline, candidate)
    ]
    if abs(shares[0] - shares[1]) > 1 / len(baseline) + 1 / len(candidate):
        return Reason(
            ReasonCode.UNMATCHED_CLOCK,
            f"{shares[0]:.0%} of the baseline's days and {shares[1]:.0%} of the candidate's are "
            "weekend days: traffic has a weekly rhythm, so give as many of each",
        )
    return None


def _day(window: Window) -> int:
    return math.floor(window.start / DAY)
