"""How long senders use to be silent: the longest silence of each day, per push collector."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from nibai.store.migrations import PUSH_SILENCES
from nibai.store.state import State

DAY_SECONDS = 86400.0
KEPT_DAYS = 28


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
    return Silences(
        max(float(row.last_at) for row in rows),
        tuple((int(row.day), float(row.longest_seconds)) for row in rows),
    )


def newest_arrival(state: State) -> float | None:
    """When anybody last sent to any collector of the state."""
    with state.begin() as connection:
        found = connection.execute(sa.select(sa.func.max(PUSH_SILENCES.c.last_at))).scalar()
    return None if found is None else float(found)


def put_silence(state: State, collector: str, last_at: float, seconds: float) -> None:
    """Somebody sent again after so long; days more than four weeks ago are forgotten."""
    table, t, day = PUSH_SILENCES, PUSH_SILENCES.c, int(last_at // DAY_SECONDS)
    key = (t.collector == collector, t.day == day)
    with state.begin() as connection:
        known = connection.execute(sa.select(t.longest_seconds, t.last_at).where(*key)).first()
        if known is not None:
            seconds = max(seconds, float(known.longest_seconds))
            last_at = max(last_at, float(known.last_at))
        old = sa.and_(t.collector == collector, t.day <= day - KEPT_DAYS)
        connection.execute(table.delete().where(sa.or_(old, sa.and_(*key))))
        row = {"collector": collector, "day": day, "longest_seconds": seconds, "last_at": last_at}
        connection.execute(table.insert().values(row))
