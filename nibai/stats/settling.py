"""At which age the minutes of a source stopped changing, learned from the past.

A minute that is read young and read again when it is final tells whether its young value was the
last one. Hours are the unit, not minutes: what is late is late for many minutes at a time. An age
is trusted when fewer than 3 % of hours hold a minute that changed after it, with 95 % confidence
(exact binomial), as far as the next hours are like the past ones. Ages are tested from the oldest
to the youngest and the first failure ends that, so that all of them share the 5 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

HOUR = 3600.0
AGES_SECONDS = (600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0, 5400.0, 7200.0)
"""Ages that may be learned; a minute read at an age speaks for the last one it has reached."""

REMEMBERED_SECONDS = 14 * 86400.0
FOLLOWED_SECONDS = 4 * HOUR
"""An hour counts when it ended so long ago: until then its minutes are still read again."""

SUSPECT_SECONDS = 86400.0
"""After a change beyond an age that age is not trusted for so long."""

MOST_SHARE, MISTAKE = 0.03, 0.05
LEAST_HOURS = math.ceil(math.log(MISTAKE) / math.log1p(-MOST_SHARE))
"""Hours without any change that show as much: 99."""


@dataclass(frozen=True, slots=True)
class HourOfMinutes:
    """What was seen of the minutes of an hour that begins at `start`: a bit for each age.

    `seen`: some were read at that age. `changed`: some changed after they were read at that age, or
    older.
    """

    start: float
    seen: int
    changed: int


@dataclass(frozen=True, slots=True)
class Learned:
    """The youngest age that is trusted, from how many hours; None: no age is, and why."""

    age_seconds: float | None
    hours: int
    changed: int
    why: str = ""


NOTHING_LEARNED = Learned(None, 0, 0, "no minute was read young and again when it was final")


def seen_bit(age_seconds: float) -> int:
    """The age that a minute read at `age_seconds` speaks for; 0 for younger and for final ones.

    >>> seen_bit(599), seen_bit(600), seen_bit(1000), seen_bit(4 * HOUR)
    (0, 1, 2, 0)
    """
    if age_seconds >= FOLLOWED_SECONDS:
        return 0
    return (changed_bits(age_seconds) + 1) >> 1


def changed_bits(age_seconds: float) -> int:
    """All ages that a change after `age_seconds` speaks against.

    >>> bin(changed_bits(1000))
    '0b11'
    """
    return (1 << sum(age <= age_seconds for age in AGES_SECONDS)) - 1


def learned(hours: Sequence[HourOfMinutes], now: float) -> Learned:
    """The youngest age that the hours of the last 14 days allow.

    >>> quiet = [HourOfMinutes(hour * HOUR, 0b11111111, 0) for hour in range(168)]
    >>> learned(quiet, 172 * HOUR).age_seconds
    600.0
    >>> learned([*quiet, HourOfMinutes(170 * HOUR, 0, 0b11)], 172 * HOUR).age_seconds
    1200.0
    """
    known = [one for one in hours if one.start >= now - REMEMBERED_SECONDS]
    over = now - HOUR - FOLLOWED_SECONDS
    # Hours are mostly alike: each kind of them is looked at once.
    seen = Counter(one.seen for one in known if one.start <= over)
    late = Counter(one.changed for one in known)
    recent = Counter(one.changed for one in known if one.start >= now - SUSPECT_SECONDS)
    found = NOTHING_LEARNED
    for number, age in reversed(list(enumerate(AGES_SECONDS))):
        of_age = [_with(kinds, 1 << number) for kinds in (seen, late, recent)]
        why = _against(age, *of_age)
        if why:
            return Learned(found.age_seconds, found.hours, found.changed, why)
        found = Learned(age, of_age[0], of_age[1])
    return found


def _with(kinds: Counter[int], bit: int) -> int:
    return sum(count for bits, count in kinds.items() if bits & bit)


def _against(age: float, seen: int, late: int, recent: int) -> str:
    """Why an age is not trusted; nothing when it is."""
    old = f"{age / 60:g} minutes after their end"
    if recent:
        return f"minutes of {recent} hour(s) of the last day changed later than {old}"
    if not is_rare(late, seen):
        if late:
            return f"minutes of {late} of {seen} hours changed later than {old}"
        return f"{seen} hours have minutes that were read {old} and again later, {LEAST_HOURS} tell"
    return ""


def is_rare(changed: int, hours: int) -> bool:
    """Whether fewer than 3 % of hours change, with 95 % confidence.

    >>> is_rare(0, 98), is_rare(0, 99), is_rare(1, 157), is_rare(4, 336)
    (False, True, True, True)
    """
    if changed > MOST_SHARE * hours:
        return False
    as_few = sum(
        math.comb(hours, k) * MOST_SHARE**k * (1 - MOST_SHARE) ** (hours - k)
        for k in range(changed + 1)
    )
    return as_few <= MISTAKE
