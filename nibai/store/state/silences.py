"""How long senders use to be silent: the longest silence of each day, per push collector."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import PUSH_SILENCES

DAY_SECONDS = 86400.0
KEPT_DAYS = 28
AHEAD_SECONDS = 60.0
"""Clocks of processes on one state may differ so much."""


@dataclass(frozen=True, slots=True)
class Silences:
    """What is known of a collector's senders: when one last sent, and each day's longest silence.

    A day has its number since the epoch; a silence belongs to the day that ended it.
    """

    last_at: float | None = None
    longest: tuple[tuple[int, float], ...] = ()


def silences_of(state: State, collector: str) -> Silences:
    """Everything kept of a collector; nothing before somebody sent."""
    t = PUSH_SILENCES.c
    query = sa.select(t.day, t.longest_seconds, t.last_at).where(t.collector == collector)
    with state.begin() as connection:
        rows = connection.execute(query.order_by(t.day)).all()
    if not rows:
        return Silences()
    counted = [row for row in rows if row.day > rows[-1].day - KEPT_DAYS]
    return Silences(
        max(float(row.last_at) for row in rows),
        tuple((int(row.day), float(row.longest_seconds)) for row in counted),
    )


def newest_arrival(state: State) -> float | None:
    """When anybody last sent to any collector of the state."""
    with state.begin() as connection:
        found = connection.execute(sa.select(sa.func.max(PUSH_SILENCES.c.last_at))).scalar()
    return None if found is None else float(found)


def put_silence(state: State, collector: str, last_at: float, seconds: float) -> None:
    """Somebody sent again after so long; four weeks of days are kept."""
    with state.begin() as connection:
        _put(connection, collector, last_at, seconds)


def bring_back(state: State, now: float) -> bool:
    """Arrivals dated later than now came now, to whatever collector; False: there were none.

    A clock that was ahead wrote them: until that time comes nobody would seem to be silent.
    """
    t = PUSH_SILENCES.c
    with state.begin() as connection:
        rows = connection.execute(sa.select(PUSH_SILENCES).where(t.last_at > now + AHEAD_SECONDS))
        ahead: dict[str, float] = {}
        for row in rows.all():
            same_day = row.day == now // DAY_SECONDS
            longest = float(row.longest_seconds) if same_day else 0.0
            ahead[row.collector] = max(longest, ahead.get(row.collector, 0.0))
        connection.execute(PUSH_SILENCES.delete().where(t.last_at > now + AHEAD_SECONDS))
        for collector, seconds in ahead.items():
            _put(connection, collector, now, seconds)
    return bool(ahead)


def _put(connection: sa.Connection, collector: str, last_at: float, seconds: float) -> None:
    table, t, day = PUSH_SILENCES, PUSH_SILENCES.c, int(last_at // DAY_SECONDS)
    key = (t.collector == collector, t.day == day)
    known = connection.execute(sa.select(t.longest_seconds, t.last_at).where(*key)).first()
    if known is not None:
        seconds = max(seconds, float(known.longest_seconds))
        last_at = max(last_at, float(known.last_at))
    row = {"collector": collector, "day": day, "longest_seconds": seconds, "last_at": last_at}
    replace_rows(connection, table, [row])
    # By their number, not by the clock: one that is a year ahead must not forget everything.
    days = sa.select(t.day).where(t.collector == collector).order_by(t.day.desc())
    oldest = connection.execute(days.offset(KEPT_DAYS).limit(1)).scalar()
    if oldest is not None:
        connection.execute(table.delete().where(t.collector == collector, t.day <= oldest))
