"""Slots of the schedule in the state: the one table that decides who runs what.

`INSERT` claims a slot and a conflict means that somebody has it; a lease that has run out is taken
over by a conditional `UPDATE`. Both say by their row count whether they won, in SQLite as in
PostgreSQL, however many processes try.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from nibai.store.state.database import State
from nibai.store.state.tables import AUDIT_SLOTS

RUNNING, FAILED, SKIPPED = "running", "failed", "skipped"
KEPT_SECONDS = 35 * 86400.0
"""Finished slots older than that go when a newer one of the same job ends."""


def _insert(connection: sa.Connection, row: Mapping[str, object]) -> sa.Insert:
    """A new slot, nothing where it is there."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(AUDIT_SLOTS).values(row).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 0.1 s, and most have SQLite

    return postgresql.insert(AUDIT_SLOTS).values(row).on_conflict_do_nothing()


class Slots:
    """A `nibai.schedule.SlotLedger` over a state."""

    def __init__(self, state: State, most_attempts: int) -> None:
        self._state = state
        self._most = most_attempts

    def newest(self, job: str, now: float) -> float | None:
        """The newest slot of a job up to now that anybody claimed."""
        t = AUDIT_SLOTS.c
        query = sa.select(sa.func.max(t.slot)).where(t.job == job, t.slot <= now)
        with self._state.begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else float(found)

    def claim(self, job: str, slot: float, owner: str, now: float, until: float) -> int:
        """Take a slot until a moment: 0 when another has it, else which attempt this is."""
        t = AUDIT_SLOTS.c
        row = {
            "job": job, "slot": slot, "owner": owner, "lease_until": until,
            "state": RUNNING, "attempts": 1,
        }  # fmt: skip
        again = (
            sa.update(AUDIT_SLOTS)
            .where(t.job == job, t.slot == slot, *self._free(now))
            .values(owner=owner, lease_until=until, state=RUNNING, attempts=t.attempts + 1)
        )
        with self._state.begin() as connection:
            if connection.execute(_insert(connection, row)).rowcount:
                return 1
            if not connection.execute(again).rowcount:
                return 0
            attempt = sa.select(t.attempts).where(t.job == job, t.slot == slot)
            return int(connection.execute(attempt).scalar_one())

    def finish(self, job: str, slot: float, owner: str, state: str, until: float) -> bool:
        """Say how a claimed slot ended, False when it was taken over; a failed one rests."""
        t = AUDIT_SLOTS.c
        ended = (
            sa.update(AUDIT_SLOTS)
            .where(t.job == job, t.slot == slot, t.owner == owner, t.state == RUNNING)
            .values(state=str(state), lease_until=until)
        )
        old = sa.delete(AUDIT_SLOTS).where(t.job == job, t.slot < slot - KEPT_SECONDS)
        with self._state.begin() as connection:
            won = bool(connection.execute(ended).rowcount)
            connection.execute(old)
        return won

    def unfinished(self, job: str, now: float) -> list[float]:
        """Slots whose lease or rest has run out and that have attempts left, oldest first."""
        t = AUDIT_SLOTS.c
        query = sa.select(t.slot).where(t.job == job, *self._free(now)).order_by(t.slot)
        with self._state.begin() as connection:
            return [float(slot) for (slot,) in connection.execute(query)]

    def skip(self, job: str, before: float, now: float) -> int:
        """Give up the unfinished slots before a moment; how many those are."""
        t = AUDIT_SLOTS.c
        given_up = (
            sa.update(AUDIT_SLOTS)
            .where(t.job == job, t.slot < before, *self._free(now))
            .values(state=SKIPPED)
        )
        with self._state.begin() as connection:
            return connection.execute(given_up).rowcount

    def _free(self, now: float) -> tuple[sa.ColumnElement[bool], ...]:
        t = AUDIT_SLOTS.c
        return (
            t.state.in_((RUNNING, FAILED)),
            t.lease_until <= now,
            t.attempts < self._most,
        )
