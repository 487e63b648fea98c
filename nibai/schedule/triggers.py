"""Which moments are slots: whole intervals since the epoch, or a cron line, both in UTC.

UTC has no daylight saving: no slot is missing in spring or doubled in autumn. Leap seconds are not
counted by the system's clock, so they move no slot either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger

FIELDS = 5
DAY = 86400.0
LOOK_BACK = (3600.0, DAY, 8 * DAY, 32 * DAY, 367 * DAY)
"""How far back the newest slot of a cron line is looked for, from short to long."""


class Trigger(Protocol):
    """When the slots of a job are."""

    def slots(self, after: float, until: float) -> Iterator[float]:
        """Slots in (after, until], in the order of time."""
        ...

    def newest(self, until: float) -> float | None:
        """The last slot that is not after a moment; None when there was none."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """A slot every so many seconds since the epoch.

    >>> Every(300.0).newest(1764000123.0)
    1764000000.0
    >>> list(Every(86400.0).slots(1764000000.0, 1764200000.0))
    [1764028800.0, 1764115200.0]
    """

    seconds: float

    def slots(self, after: float, until: float) -> Iterator[float]:
        """Slots in (after, until]."""
        for number in range(math.floor(after / self.seconds) + 1, self._number(until) + 1):
            yield number * self.seconds

    def newest(self, until: float) -> float | None:
        """The last slot that is not after a moment."""
        return self._number(until) * self.seconds

    def _number(self, moment: float) -> int:
        return math.floor(moment / self.seconds)


@dataclass(frozen=True, slots=True)
class Moments:
    """Slots at some moments of their own, in the order of time."""

    at: tuple[float, ...]

    def slots(self, after: float, until: float) -> Iterator[float]:
        """Slots in (after, until]."""
        return (moment for moment in self.at if after < moment <= until)

    def newest(self, until: float) -> float | None:
        """The last slot that is not after a moment."""
        return max((moment for moment in self.at if moment <= until), default=None)


@dataclass(frozen=True, slots=True)
class Cron:
    """Slots of a cron line in UTC; made by `cron`."""

    line: str
    _trigger: CronTrigger = field(repr=False, compare=False)

    def slots(self, after: float, until: float) -> Iterator[float]:
        """Slots in (after, until]."""
        moment = datetime.fromtimestamp(after, UTC) + timedelta(microseconds=1)
        while True:
            # Without a previous firing it answers with the first one at or after the moment.
            found = self._trigger.get_next_fire_time(None, moment)
            if found is None or found.timestamp() > until:
                return
            yield found.timestamp()
            moment = found + timedelta(seconds=1)

    def newest(self, until: float) -> float | None:
        """The last slot that is not after a moment."""
        for seconds in LOOK_BACK:
            found = None
            for found in self.slots(until - seconds, until):  # noqa: B007 - the last one is wanted
                pass
            if found is not None:
                return found
        return None


def cron(line: str) -> Cron:
    """The slots of a cron line: minute, hour, day, month and day of the week in UTC.

    Days of the week are written by name: cron counts from Sunday, APScheduler from Monday. Raises
    ValueError, in words.

    >>> from datetime import datetime, UTC
    >>> datetime.fromtimestamp(cron("0 6 * * mon").newest(1764000000.0), UTC).isoformat()
    '2025-11-24T06:00:00+00:00'
    """
    fields = line.split()
    if len(fields) != FIELDS:
        raise ValueError(
            f"{line!r} has {len(fields)} fields, not minute, hour, day, month and day of the week"
        )
    if re.search(r"\d", fields[4]):
        raise ValueError(f"{line!r}: write days of the week by name, such as mon or mon-fri")
    try:
        found = Cron(line, CronTrigger.from_crontab(line, timezone=UTC))
    except ValueError as error:
        raise ValueError(f"{line!r} is no cron line: {error}") from error
    if next(found.slots(0.0, math.inf), None) is None:
        raise ValueError(f"{line!r} never comes: there is no such day")
    return found
