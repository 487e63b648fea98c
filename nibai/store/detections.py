"""What detectors noticed, kept in the state: whoever is to tell an alarm may die before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from nibai.model import Moved
from nibai.store.migrations import DETECTIONS
from nibai.store.state import State

KEPT_SECONDS = 14 * 86400.0
"""Alarms that are older go when a newer one comes."""


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
    """Keep alarms in the transaction that moves their detectors on: none is lost between both."""
    if not alarms:
        return
    table = DETECTIONS
    old = table.c.raised_at < max(one.raised_at for one in alarms) - KEPT_SECONDS
    again = table.c.id.in_([one.id for one in alarms])
    connection.execute(table.delete().where(sa.or_(old, again)))
    rows = {
        one.id: {
            "id": one.id,
            "endpoint": one.endpoint,
            "raised_at": one.raised_at,
            "document": json.dumps(asdict(one)),
        }
        for one in alarms
    }
    connection.execute(table.insert(), list(rows.values()))


def alarms_since(state: State, moment: float) -> list[Alarmed]:
    """Alarms raised since a moment, in the order they were raised."""
    table = DETECTIONS
    query = (
        sa.select(table.c.document)
        .where(table.c.raised_at >= moment)
        .order_by(table.c.raised_at, table.c.id)
    )
    with state.begin() as connection:
        raw = [json.loads(text) for (text,) in connection.execute(query)]
    return [Alarmed(**one | {"moved": Moved(one["moved"])}) for one in raw]
