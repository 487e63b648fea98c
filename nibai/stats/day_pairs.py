"""Which block of the past each block after a change is compared with.

The same clock minutes of the nearest earlier day of the same kind (working day or weekend, UTC)
that no earlier block was compared with: a past block used twice would tie two values together.
Source: nibai's statistics.md, section 7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from nibai.stats.clock import DAY, WEEK_DAYS, is_weekend

BLOCK_SECONDS = (1800.0, 3600.0, 7200.0, 14400.0)
"""Lengths a block may have; all divide a day."""

MAX_PLACEBOS = 14


@dataclass(frozen=True, slots=True)
class ClockPairs:
    """Blocks after a change, numbered from 0, and their partners before it.

    `cut` is the moment of the change, `since` where its unchanged past begins and `until` where it
    ends (None: at the cut). `side_by_side`: two variants serve at the same time, so that every
    block is its own partner.
    """

    cut: float
    since: float
    block_seconds: float
    side_by_side: bool = False
    until: float | None = None

    @property
    def unchanged_until(self) -> float:
        """Where the last block before the change must be over."""
        return self.cut if self.until is None else min(self.until, self.cut)

    @property
    def begin(self) -> float:
        """Start of block 0: the first clock position that is wholly after the change."""
        return math.ceil(self.cut / self.block_seconds) * self.block_seconds

    @property
    def per_day(self) -> int:
        """Blocks of a day."""
        return round(DAY / self.block_seconds)

    def start(self, number: int) -> float:
        """When a block begins."""
        return self.begin + number * self.block_seconds

    def end(self, number: int) -> float:
        """When a block is over."""
        return self.start(number + 1)

    def number_at(self, moment: float) -> int:
        """The block that holds a moment; negative before the first one."""
        return math.floor((moment - self.begin) / self.block_seconds)

    def partnered(self, moment: float, last: int) -> list[int]:
        """The blocks up to `last` whose partners hold a moment.

        >>> friday = ClockPairs(cut=19_006 * DAY, since=18_999 * DAY, block_seconds=1800.0)
        >>> friday.partnered(19_005 * DAY + 1800.0, 100), friday.partnered(19_006 * DAY, 100)
        ([1], [])
        """
        number = self.number_at(moment)
        start = self.start(number)
        same_clock = range(number % self.per_day, last + 1, self.per_day)
        return [one for one in same_clock if self.partner(one) == start]

    def closed(self, moment: float) -> int:
        """How many blocks are over at a moment."""
        return max(math.floor((moment - self.begin) / self.block_seconds), 0)

    def partner(self, number: int) -> float | None:
        """Start of the block's partner; None when no unused day of its kind is left.

        >>> friday = ClockPairs(cut=19_006 * DAY, since=18_999 * DAY, block_seconds=1800.0)
        >>> [friday.partner(number) for number in (0, 48)] == [19_005 * DAY, 19_001 * DAY]
        True
        """
        return _partner(self, number)

    def placebos(self) -> list[tuple[float, float]]:
        """Starts of pairs of unchanged days (newer, older) of one kind, the newest first."""
        found = []
        for day in range(1, MAX_PLACEBOS + 1):
            newer = self.begin - day * DAY
            if newer + DAY >= self.unchanged_until + self.block_seconds:
                continue  # the day holds minutes of the deployment
            for back in range(1, WEEK_DAYS + 1):
                older = newer - back * DAY
                if older >= self.since and is_weekend(older) == is_weekend(newer):
                    found.append((newer, older))
                    break
        return found


@lru_cache(maxsize=8192)
def _partner(pairs: ClockPairs, number: int) -> float | None:
    # A look asks for every block of a week again.
    start = pairs.start(number)
    if pairs.side_by_side:
        return start
    kind = is_weekend(start)
    days = range(1, number // pairs.per_day + 1)
    used = sum(is_weekend(start - day * DAY) == kind for day in days)
    back = start - (number // pairs.per_day) * DAY
    while back >= pairs.since:
        if back + pairs.block_seconds <= pairs.unchanged_until and is_weekend(back) == kind:
            if not used:
                return back
            used -= 1
        back -= DAY
    return None
