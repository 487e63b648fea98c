"""Versions of the state schema: forward steps, each in the transaction that opens the state."""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa

from nibai.errors import StoreError
from nibai.store.state.tables import (
    ALERT_DELIVERIES,
    ALERT_SILENCES,
    ALERT_STATE,
    AUDIT_SLOTS,
    CAPABILITIES,
    CAPTURE_HOURS,
    DEPLOYMENTS,
    DETECTIONS,
    DETECTORS,
    METADATA,
    METERED,
    PUSH_SILENCES,
    REVISIONS,
    SCHEMA_VERSION,
    SETTLING,
    SILENT,
    WATCHES,
    WATERMARKS,
    YOUNG_READS,
)

DAY_SECONDS = 86400.0


def _first(connection: sa.Connection) -> None:
    METADATA.create_all(connection)


def _watches(connection: sa.Connection) -> None:
    # A state made by this version has the table from the first step.
    WATCHES.create(connection, checkfirst=True)


def _detectors(connection: sa.Connection) -> None:
    DETECTORS.create(connection, checkfirst=True)


def _deployments(connection: sa.Connection) -> None:
    DEPLOYMENTS.create(connection, checkfirst=True)


def _slots(connection: sa.Connection) -> None:
    # The table of the first version had no lease, and no version wrote into it.
    columns = {column["name"] for column in sa.inspect(connection).get_columns("audit_slots")}
    if "lease_until" not in columns:
        connection.execute(sa.schema.DropTable(AUDIT_SLOTS))
        AUDIT_SLOTS.create(connection)


def _capture_hours(connection: sa.Connection) -> None:
    CAPTURE_HOURS.create(connection, checkfirst=True)


def _alerts(connection: sa.Connection) -> None:
    # No version wrote into the tables of the first one.
    for table in (ALERT_STATE, ALERT_DELIVERIES, ALERT_SILENCES):
        table.drop(connection, checkfirst=True)
        table.create(connection)


def _capabilities(connection: sa.Connection) -> None:
    CAPABILITIES.create(connection, checkfirst=True)


def _notes_of_deployments(connection: sa.Connection) -> None:
    columns = {column["name"] for column in sa.inspect(connection).get_columns("deployments")}
    if "notes" not in columns:
        statement = "ALTER TABLE deployments ADD COLUMN notes TEXT NOT NULL DEFAULT '[]'"
        connection.execute(sa.text(statement))


def _detections_and_silences(connection: sa.Connection) -> None:
    DETECTIONS.create(connection, checkfirst=True)
    PUSH_SILENCES.create(connection, checkfirst=True)


def _watermarks(connection: sa.Connection) -> None:
    WATERMARKS.create(connection, checkfirst=True)


def _revisions(connection: sa.Connection) -> None:
    REVISIONS.create(connection, checkfirst=True)


def _metered(connection: sa.Connection) -> None:
    METERED.create(connection, checkfirst=True)


def _events_of_detections(connection: sa.Connection) -> None:
    # Alarms of one endpoint and direction within a day were one event, named by the first.
    columns = {column["name"] for column in sa.inspect(connection).get_columns("detections")}
    if "event" in columns:
        return
    statement = "ALTER TABLE detections ADD COLUMN event VARCHAR NOT NULL DEFAULT ''"
    connection.execute(sa.text(statement))
    t = DETECTIONS.c
    query = sa.select(t.id, t.endpoint, t.raised_at, t.document).order_by(t.raised_at, t.id)
    begun: dict[tuple[str, str], tuple[str, float]] = {}
    for row in connection.execute(query).all():
        key = (row.endpoint, str(json.loads(row.document)["moved"]))
        event = begun.get(key)
        if event is None or row.raised_at - event[1] > DAY_SECONDS:
            event = begun[key] = (row.id, row.raised_at)
        connection.execute(DETECTIONS.update().where(t.id == row.id).values(event=event[0]))


def _settling(connection: sa.Connection) -> None:
    for table in (SETTLING, YOUNG_READS):
        table.create(connection, checkfirst=True)


def _silent_series(connection: sa.Connection) -> None:
    SILENT.create(connection, checkfirst=True)


STEPS: tuple[Callable[[sa.Connection], None], ...] = (
    _first,
    _watches,
    _detectors,
    _deployments,
    _slots,
    _capture_hours,
    _alerts,
    _capabilities,
    _notes_of_deployments,
    _detections_and_silences,
    _watermarks,
    _revisions,
    _metered,
    _events_of_detections,
    _settling,
    _silent_series,
)
"""Step i leads from version i to i + 1; steps are only ever added."""


def migrate(connection: sa.Connection, name: str) -> None:
    """Bring the schema to this version; StoreError when a newer nibai wrote it."""
    version = 0
    if sa.inspect(connection).has_table(SCHEMA_VERSION.name):
        version = int(connection.execute(sa.select(SCHEMA_VERSION.c.version)).scalar() or 0)
    if version > len(STEPS):
        raise StoreError(
            f"{name}: the state has version {version}, this nibai knows {len(STEPS)}: "
            "use the newer nibai, or another data folder"
        )
    if version == len(STEPS):
        return
    for step in STEPS[version:]:
        step(connection)
    connection.execute(SCHEMA_VERSION.delete())
    connection.execute(SCHEMA_VERSION.insert().values({"version": len(STEPS)}))
