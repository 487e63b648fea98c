"""What detectors noticed, kept in the state: whoever is to tell an alarm may die before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from nibai.model import Moved
from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import DETECTIONS

KEPT_SECONDS = 14 * 86400.0
"""Alarms that are older go when a newer one comes."""

ONE_EVENT_SECONDS = 86400.0
"""Alarms of one event are raised within it."""

LATE_SECONDS = 3 * 3600.0
"""So much later than it was an alarm may place the beginning of what it noticed.

Of changes of a standard deviation and more 1 in 100 is placed later at a lag-1 correlation of 0.4,
1 in 10 at 0.8.
"""


@dataclass(frozen=True, slots=True)
class Alarmed:
    """One alarm of one series: where it moved how far, in words, and what it may come from.

    `began_at` is an estimate; `raised_at` the end of the block or hour that raised it. `tolerated`
    says how many false alarms there may be, `suspect` names a known change, `declare` is the
    command that makes a change of it.
    """

    endpoint: str
    series: str
    moved: Moved
    began_at: float
    raised_at: float
    text: str
    tolerated: str
    suspect: str = ""
    declare: str = ""

    @property
    def id(self) -> str:
        """The same for the same alarm of the same series."""
        key = [self.endpoint, self.series, self.moved.value, self.text, f"{self.raised_at:.0f}"]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]


def put_alarms(connection: sa.Connection, alarms: Sequence[Alarmed]) -> None:
    """Keep alarms in the transaction that moves their detectors on: none is lost between both.

    Each is given the event that it belongs to, for ever: an alarm that comes later, of whatever
    time, cannot rename what was told.
    """
    if not alarms:
        return
    table = DETECTIONS
    old = table.c.raised_at < max(one.raised_at for one in alarms) - KEPT_SECONDS
    connection.execute(table.delete().where(old))
    for one in dict.fromkeys(alarms):
        event = _event_of(connection, one)
        row = {
            "id": one.id,
            "endpoint": one.endpoint,
            "raised_at": one.raised_at,
            "document": json.dumps(asdict(one)),
            "event": event,
        }
        replace_rows(connection, table, [row])


def events_since(state: State, moment: float) -> dict[str, list[Alarmed]]:
    """Alarms raised since a moment by the event they tell of; events and alarms in their order."""
    t, found = DETECTIONS.c, dict[str, list[Alarmed]]()
    query = sa.select(t.event, t.document).where(t.raised_at >= moment)
    with state.begin() as connection:
        for row in connection.execute(query.order_by(t.raised_at, t.id)):
            found.setdefault(row.event, []).append(_alarmed(row.document))
    return found


def _event_of(connection: sa.Connection, alarm: Alarmed) -> str:
    """The newest known event that an alarm may tell of; its own id begins a new one."""
    t = DETECTIONS.c
    query = sa.select(t.id, t.event, t.document).where(t.endpoint == alarm.endpoint)
    known: dict[str, list[Alarmed]] = {}
    for row in connection.execute(query.order_by(t.raised_at, t.id)):
        if row.id == alarm.id:
            return str(row.event)
        known.setdefault(row.event, []).append(_alarmed(row.document))
    return next((id_ for id_, event in reversed(known.items()) if _one(event, alarm)), alarm.id)


def _one(event: Sequence[Alarmed], alarm: Alarmed) -> bool:
    """Whether one moment can have caused all of these alarms: begun before any of them was raised.

    Otherwise a second change of the same day would never be told.
    """
    if any(one.moved is not alarm.moved for one in event):
        return False
    raised = [one.raised_at for one in (*event, alarm)]
    begun = max(one.began_at for one in (*event, alarm))
    return max(raised) - min(raised) <= ONE_EVENT_SECONDS and begun <= min(raised) + LATE_SECONDS


def _alarmed(document: str) -> Alarmed:
    raw = json.loads(document)
    return Alarmed(**raw | {"moved": Moved(raw["moved"])})
