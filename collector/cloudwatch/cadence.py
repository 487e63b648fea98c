"""What is due when: whole histograms now and then, a few percentiles in between.

The audit reading buys the wished detail every hour or so, and the last three hours again: minutes
fill up and are revised for a while. Between two of them an alert reading, where one is wished, buys
percentiles of the newest minutes; the next audit reading replaces them. It is made within a day of
a change, or always. Within a day of a change an audit reading is also made once the minutes of a
half hour that ended are ten minutes old: a watch may take them then, and would wait up to an hour
more for them else. Source: aws.md, section 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.cloudwatch.plan import DAY, MONTH_HOURS, Detail, Wanted, monthly_dollars
from collector.cloudwatch.series import Series
from nibai.model import Window

REREAD_SECONDS = 3 * 3600.0
"""Minutes fill up and are revised for a while; what is older is final."""

ALERT_REREAD_SECONDS = 600.0

BACKFILL_SECONDS = 15 * DAY
"""As far back as single minutes are kept."""

PUBLISHING_DELAY_SECONDS = 180.0
"""The newest minutes are not there yet."""

AROUND_CHANGE_SECONDS = DAY
BLOCK_SECONDS = 1800.0
"""Blocks of a watch end on half hours."""

SETTLED_SECONDS = 600.0
"""As old as minutes are at least when a watch takes them."""

NO_SKEW_SECONDS = 15.0
"""So far an answer's date may be behind this machine's clock without any being wrong."""

EARLY_SECONDS = 150.0
"""So much before its time a series is read along with others that are due."""

READY_SECONDS = SETTLED_SECONDS + PUBLISHING_DELAY_SECONDS
"""So long after the end of a block it can be read so that a watch may take it."""

_NEAR = 2 * AROUND_CHANGE_SECONDS / (MONTH_HOURS * 3600.0)
"""The share of a month that is near one change."""

ALERT = "alert:"

Moments = Mapping[str, Sequence[float]]
"""Moments of changes by endpoint."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often whole histograms are read, and how often percentiles (None: never).

    `always`: percentiles also where no change is near. `by_blocks`: whole histograms also when a
    block of a watch is over, within a day of a change.
    """

    every_seconds: float = 3600.0
    alert_seconds: float | None = None
    always: bool = False
    by_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A series to be read over a window; progress is kept under `mark`.

    Minutes before `known` were read before: only a whole answer may take their place.
    """

    wanted: Wanted
    window: Window
    mark: str
    known: float = -math.inf


def due(
    wanted: Iterable[Wanted],
    cadence: Cadence,
    read_until: Mapping[str, float],
    changes: Moments,
    now: float,
) -> list[Due]:
    """What is to be read at a moment, from where each series stands."""
    end = math.floor((now - PUBLISHING_DELAY_SECONDS) / 60.0) * 60.0
    found, several = [], {name(one.series): one for one in wanted}
    # Whoever comes for a block comes for its endpoint: others are read at their own time.
    blocks = {
        mark
        for mark, one in several.items()
        if mark in read_until
        and _is_near(one.series, cadence, changes, now)
        and _block_ended(read_until[mark], end, cadence)
    }
    for mark, one in several.items():
        known = read_until.get(mark)
        if known is None or mark in blocks or _is_due(end - known, cadence, others=bool(blocks)):
            # From the hour on: what is older is kept in coarser periods, and would be a call more.
            oldest = math.ceil((now - BACKFILL_SECONDS) / 3600.0) * 3600.0
            start = oldest if known is None else known - REREAD_SECONDS
            found.append(Due(one, Window(start, end), mark, oldest if known is None else known))
        elif _attended(one.series, cadence, changes, now):
            alerted = read_until.get(ALERT + mark, known)
            window = Window(max(known, alerted - ALERT_REREAD_SECONDS), end)
            found.append(Due(_percentiles(one), window, ALERT + mark, alerted))
    return [one for one in found if one.window.start < one.window.end]


def reached(one: Due, window: Window, skew_seconds: float = 0.0) -> float:
    """How far a part of a reading that came whole takes a series.

    With this machine's clock ahead of the service's, the newest minutes were not there yet: they
    do not count as read. A few seconds are no clock: answers are dated in whole ones, and take
    some; they would take the end of a block away from whoever comes for it.

    The next reading begins three hours before this: what was final when it was read counts as three
    hours more, so that a backfill that was cut off pays for nothing twice.
    """
    ahead = skew_seconds if skew_seconds > NO_SKEW_SECONDS else 0.0
    until = one.window.end - ahead
    if is_provisional(one):
        return min(window.end, until)
    return min(window.end + REREAD_SECONDS, until)


def is_provisional(one: Due) -> bool:
    """Whether a whole reading takes the place of this one."""
    return one.mark.startswith(ALERT)


def monthly(wanted: Sequence[Wanted], cadence: Cadence) -> float:
    """Dollars of a month of both cadences; of a change a month where they depend on one."""
    audits = monthly_dollars(wanted, cadence.every_seconds)
    audits += monthly_dollars(wanted, 3600.0) * more_readings(cadence) / MONTH_HOURS
    if cadence.alert_seconds is None:
        return audits
    alerts = monthly_dollars([_percentiles(one) for one in wanted], cadence.alert_seconds)
    return audits + alerts * (1.0 if cadence.always else _NEAR)


def more_readings(cadence: Cadence) -> float:
    """Whole readings of a month for a change of it, beside those of every `every_seconds`."""
    if not cadence.by_blocks or cadence.every_seconds <= BLOCK_SECONDS:
        return 0.0
    month = MONTH_HOURS * 3600.0
    return (month / BLOCK_SECONDS - month / cadence.every_seconds) * _NEAR


def block_after(
    cadence: Cadence, endpoints: Iterable[str], changes: Moments, moment: float
) -> float:
    """When a block near a change may be read next; infinite where none is near.

    >>> block_after(Cadence(by_blocks=True), ["chat"], {"chat": [0.0]}, 1000.0)
    2580.0
    """
    if not cadence.by_blocks:
        return math.inf
    blocks = math.floor((moment - READY_SECONDS) / BLOCK_SECONDS) + 1
    at = blocks * BLOCK_SECONDS + READY_SECONDS
    known = (one for endpoint in set(endpoints) for one in changes.get(endpoint, ()))
    return at if any(abs(at - one) <= AROUND_CHANGE_SECONDS for one in known) else math.inf


def waiting_words(cadence: Cadence) -> str:
    """How long after its end a watch has a block.

    >>> waiting_words(Cadence())
    'a watch has a block 183 to 243 minutes after its end'
    """
    every = cadence.every_seconds / 60
    if not cadence.by_blocks:
        final = (REREAD_SECONDS + PUBLISHING_DELAY_SECONDS) / 60
        return f"a watch has a block {final:g} to {final + every:g} minutes after its end"
    ready = READY_SECONDS / 60
    return (
        f"a watch has a block {ready:g} minutes after its end within a day of a change (one a "
        f"month priced), later at most {ready + every:g}; {REREAD_SECONDS / 3600:g} hours more "
        "until an age is learned"
    )


def name(series: Series) -> str:
    """How a series is told apart from all others; its endpoint is named in any case.

    What is known of an endpoint's sources is found by that (`nibai.store.state.freshness`).
    """
    named = series.dimensions
    if "EndpointName" not in dict(named):
        named = (*named, ("EndpointName", series.endpoint.rpartition("/")[2]))
    dimensions = ",".join(f"{key}={value}" for key, value in named)
    return f"{series.published.namespace}/{series.published.name}/{dimensions}"


def _is_due(seconds: float, cadence: Cadence, *, others: bool) -> bool:
    # Whoever asks comes at about the right time: a little early is no reason to wait.
    if cadence.alert_seconds is not None:
        return seconds >= cadence.every_seconds - cadence.alert_seconds / 2
    return not others or seconds >= cadence.every_seconds - EARLY_SECONDS


def _block_ended(known: float, end: float, cadence: Cadence) -> bool:
    """Whether minutes of a block came of age since a whole reading that went until `known`."""
    of_age = math.floor((end - SETTLED_SECONDS) / BLOCK_SECONDS) * BLOCK_SECONDS + SETTLED_SECONDS
    return cadence.by_blocks and known < of_age


def _is_near(series: Series, cadence: Cadence, changes: Moments, now: float) -> bool:
    """Whether a change is near, where anything is read more often for that."""
    moments = changes.get(series.endpoint, ())
    near = any(abs(now - at) <= AROUND_CHANGE_SECONDS for at in moments)
    return near and (cadence.by_blocks or cadence.alert_seconds is not None)


def _attended(series: Series, cadence: Cadence, changes: Moments, now: float) -> bool:
    if cadence.alert_seconds is None:
        return False
    return cadence.always or _is_near(series, cadence, changes, now)


def _percentiles(one: Wanted) -> Wanted:
    least = Detail.BASE if one.detail is Detail.BASE else Detail.PERCENTILES
    return replace(one, detail=least)
