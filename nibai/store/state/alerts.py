"""Alerts, how far each was told, and silences, in the state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import sqlalchemy as sa

from nibai.model import Alert, AlertState, Resolution, Severity, Silence
from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import ALERT_DELIVERIES, ALERT_SILENCES, ALERT_STATE, CHANGES

ROLLBACK = "rollback_of"
"""Evidence of a change that takes another one back: the id of that one."""

SILENCES_KEPT_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a receiver was told of a group of alerts, and when it is to be tried again.

    `told`: fingerprint and the state that was told, `told_as` the severity. `problem` is why the
    last attempt failed.
    """

    group: str
    receiver: str
    told: Mapping[str, AlertState] = field(default_factory=dict)
    message_id: str | None = None
    due_at: float = 0.0
    attempts: int = 0
    told_at: float | None = None
    problem: str | None = None
    told_as: Mapping[str, Severity] = field(default_factory=dict)


Step = Callable[[list[Alert]], tuple[Sequence[Alert], Sequence[str]]]
"""Of the alerts that are kept: those that are new or changed, and fingerprints to forget."""


def step_alerts(state: State, step: Step) -> list[Alert]:
    """Change the alerts in one transaction, so that two processes do not undo each other."""
    table = ALERT_STATE
    with state.begin() as connection:
        known = _alerts(connection)
        changed, forgotten = step(known)
        replace_rows(connection, table, [_alert_row(alert) for alert in changed])
        if forgotten:
            connection.execute(table.delete().where(table.c.fingerprint.in_(forgotten)))
            _forget_deliveries(connection)
    return list(changed)


def alerts(state: State) -> list[Alert]:
    """All alerts that are kept, in the order they began."""
    with state.begin() as connection:
        return _alerts(connection)


def deliveries(state: State) -> dict[tuple[str, str], Delivery]:
    """(group, receiver) and how far each was told."""
    with state.begin() as connection:
        found = [_delivery(row) for row in connection.execute(sa.select(ALERT_DELIVERIES))]
    return {(one.group, one.receiver): one for one in found}


def everything(
    state: State,
) -> tuple[list[Alert], list[Silence], dict[tuple[str, str], Delivery]]:
    """Alerts, silences and deliveries as they are at one moment."""
    with state.begin() as connection:
        found = [_delivery(row) for row in connection.execute(sa.select(ALERT_DELIVERIES))]
        texts = connection.execute(sa.select(ALERT_SILENCES.c.document)).scalars()
        quiet = [Silence(**json.loads(text)) for text in texts]
        return _alerts(connection), quiet, {(one.group, one.receiver): one for one in found}


def rolled_back(state: State) -> set[str]:
    """Ids of changes that another change takes back, by its evidence."""
    query = sa.select(CHANGES.c.document).where(CHANGES.c.document.contains(f'"{ROLLBACK}"'))
    with state.begin() as connection:
        documents = [json.loads(text) for (text,) in connection.execute(query)]
    found = (document.get("evidence", {}).get(ROLLBACK) for document in documents)
    return {str(change) for change in found if change}


def claim_delivery(
    state: State, group: str, receiver: str, now: float, until: float
) -> Delivery | None:
    """Take a delivery that is due until a moment; None when another has it or it is not due.

    A process that dies meanwhile loses nothing: the delivery is due again at that moment.
    """
    table = ALERT_DELIVERIES
    key = (table.c.told_together == group, table.c.receiver == receiver)
    with state.begin() as connection:
        row = connection.execute(sa.select(table).where(*key)).first()
        if row is None:
            taken = Delivery(group, receiver, due_at=until)
            connection.execute(table.insert().values(_delivery_row(taken)))
            return taken
        if row.due_at > now:
            return None
        connection.execute(table.update().where(*key).values(due_at=until))
        return _delivery(row)


def put_delivery(state: State, delivery: Delivery) -> None:
    """Note how a delivery ended."""
    with state.begin() as connection:
        replace_rows(connection, ALERT_DELIVERIES, [_delivery_row(delivery)])


def put_silence(state: State, silence: Silence) -> None:
    """Begin a silence, or change one; those that ended long ago go."""
    table = ALERT_SILENCES
    with state.begin() as connection:
        old = table.c.until < silence.since - SILENCES_KEPT_SECONDS
        connection.execute(table.delete().where(old))
        row = {"id": silence.id, "until": silence.until, "document": json.dumps(asdict(silence))}
        replace_rows(connection, table, [row])


def silences(state: State) -> list[Silence]:
    """All silences that are kept, those that end first first."""
    query = sa.select(ALERT_SILENCES.c.document).order_by(ALERT_SILENCES.c.until)
    with state.begin() as connection:
        return [Silence(**json.loads(text)) for (text,) in connection.execute(query)]


def _alerts(connection: sa.Connection) -> list[Alert]:
    found = connection.execute(sa.select(ALERT_STATE.c.document))
    return sorted(
        (_alert(text) for (text,) in found), key=lambda alert: (alert.since, alert.fingerprint)
    )


def _alert_row(alert: Alert) -> dict[str, object]:
    return {
        "fingerprint": alert.fingerprint,
        "state": alert.state.value,
        "changed_at": alert.changed_at,
        "document": json.dumps(asdict(alert)),
    }


def _alert(text: str) -> Alert:
    raw = json.loads(text)
    why = raw["resolution"]
    return Alert(
        **raw
        | {
            "state": AlertState(raw["state"]),
            "severity": Severity(raw["severity"]),
            "resolution": None if why is None else Resolution(why),
        }
    )


def _delivery_row(one: Delivery) -> dict[str, object]:
    document = {
        "told": dict(one.told),
        "told_as": dict(one.told_as),
        "told_at": one.told_at,
        "problem": one.problem,
    }
    return {
        "told_together": one.group,
        "receiver": one.receiver,
        "due_at": one.due_at,
        "attempts": one.attempts,
        "message_id": one.message_id,
        "document": json.dumps(document),
    }


def _delivery(row: sa.Row[tuple[object, ...]]) -> Delivery:
    document = json.loads(row.document)
    told = {key: AlertState(value) for key, value in document["told"].items()}
    return Delivery(
        group=row.told_together,
        receiver=row.receiver,
        told=told,
        message_id=row.message_id,
        due_at=row.due_at,
        attempts=row.attempts,
        told_at=document["told_at"],
        problem=document["problem"],
        # What was told before severities were kept has none.
        told_as={key: Severity(value) for key, value in document.get("told_as", {}).items()},
    )


def _forget_deliveries(connection: sa.Connection) -> None:
    groups = {alert.group for alert in _alerts(connection)}
    table = ALERT_DELIVERIES
    known = {row[0] for row in connection.execute(sa.select(table.c.told_together).distinct())}
    for group in known - groups:
        connection.execute(table.delete().where(table.c.told_together == group))
