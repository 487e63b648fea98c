"""Which stretches of two live windows may be compared, and into which blocks they are cut.

Live traffic has a daily and a weekly rhythm, so blocks are paired by clock position: whole days of
the same weekday class, or the same hours of the day. Source: nibai's statistics.md, section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nibai.model import Reason, ReasonCode, Window

HOUR = 3600.0
DAY = 86400.0
WEEK_DAYS = 7
RUN_BLOCKS = 8
THURSDAY, SATURDAY = 3, 5

DAY_TOLERANCE = 0.01
"""A window ends with its last request, a little before the day does."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """Two windows of one length, cut into G blocks paired by position.

    `gate` is set when no stretch of the windows can be paired; the windows are then the given ones.
    """

    baseline: Window
    candidate: Window
    blocks: int
    gate: Reason | None = None

    @property
    def block_seconds(self) -> float:
        """Length of one block."""
        return self.baseline.seconds / self.blocks


def plan_blocks(baseline: Window, candidate: Window) -> BlockPlan:
    """The longest pair of stretches at the same clock position, cut as their length asks.

    >>> plan = plan_blocks(Window(0, 86400), Window(86400 * 7, 86400 * 8))
    >>> plan.blocks, plan.block_seconds, plan.gate
    (24, 3600.0, None)
    """
    baseline = _nearest(baseline, candidate)
    shifts = [_aligned(baseline, candidate), _aligned(candidate, baseline)[::-1]]
    lengths = [min(b.seconds, c.seconds) for b, c in shifts]
    longest = lengths.index(max(lengths))
    (b, c), length = shifts[longest], lengths[longest]
    days = math.floor(length / DAY + DAY_TOLERANCE)
    if days > WEEK_DAYS and not _same_weekdays(b, c, days):
        # Whole weeks hold every kind of day wherever they start.
        days -= days % WEEK_DAYS
    if days >= 1:
        length = days * DAY
    elif length < 0.5 * min(baseline.seconds, candidate.seconds):
        return BlockPlan(baseline, candidate, RUN_BLOCKS, _unmatched("other hours of the day"))
    b, c = Window(b.start, b.start + length), Window(c.start, c.start + length)
    gate = None if _same_weekdays(b, c, max(days, 1)) else _unmatched("other days of the week")
    return BlockPlan(b, c, _block_count(length), gate)


def _nearest(baseline: Window, candidate: Window) -> Window:
    """The last stretch of a much longer baseline that can be paired: nearest to the change."""
    length = candidate.seconds
    if length >= DAY:
        length = math.floor(length / DAY + DAY_TOLERANCE) * DAY
    if length <= 0 or baseline.seconds < length + DAY or candidate.start < baseline.end:
        return baseline
    last = min(baseline.end + DAY_TOLERANCE * length, candidate.start) - length
    last -= (last - candidate.start) % DAY
    for week_day in range(WEEK_DAYS):
        found = Window(last - week_day * DAY, last - week_day * DAY + length)
        days = max(math.floor(length / DAY), 1)
        if found.start >= baseline.start and _same_weekdays(found, candidate, days):
            return found
    return Window(last, last + length)


def _aligned(fixed: Window, moved: Window) -> tuple[Window, Window]:
    """The second window from the first moment on that has the clock time of the first's start."""
    wait = (fixed.start - moved.start) % DAY
    if DAY - wait < 1e-6:  # noqa: PLR2004 - rounding of the modulus
        wait = 0.0
    return fixed, Window(moved.start + wait, max(moved.end, moved.start + wait))


def _block_count(seconds: float) -> int:
    if seconds >= WEEK_DAYS * DAY:
        return min(round(seconds / (6 * HOUR)), 56)
    if seconds >= DAY:
        return 24
    return 12 if seconds >= 6 * HOUR else RUN_BLOCKS


def _same_weekdays(b: Window, c: Window, days: int) -> bool:
    """Whether both windows go through working days and weekend days alike."""
    if days % WEEK_DAYS == 0:
        return True
    length = min(b.seconds, c.seconds, days * DAY)
    moments = [i * DAY for i in range(days)] + [min((i + 1) * DAY, length) - 1 for i in range(days)]
    return all(is_weekend(b.start + at) == is_weekend(c.start + at) for at in moments)


def is_weekend(seconds: float) -> bool:
    """Whether a moment lies on a Saturday or Sunday (UTC)."""
    # The epoch began on a Thursday; watched fleets ask this a million times.
    return (int(seconds // DAY) + THURSDAY) % WEEK_DAYS >= SATURDAY


def _unmatched(what: str) -> Reason:
    return Reason(
        ReasonCode.UNMATCHED_CLOCK,
        f"the two windows hold {what}: traffic has a daily and weekly rhythm, so compare the same "
        "hours and kind of day, or whole weeks",
    )
