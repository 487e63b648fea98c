"""Versions of the state schema: forward steps, each in the transaction that opens the state."""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa

from nibai.errors import StoreError

METADATA = sa.MetaData()
DAY_SECONDS = 86400.0

SCHEMA_VERSION = sa.Table("schema_version", METADATA, sa.Column("version", sa.Integer))

CHANGES = sa.Table(
    "changes",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, nullable=False, index=True),
    sa.Column("declared_at", sa.Float, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
CLAIMS = sa.Table(
    "claims",
    METADATA,
    sa.Column("change", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("sentence", sa.Text, nullable=False),
)
AUDITS = sa.Table(
    "audits",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("change", sa.String, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
CURSORS = sa.Table(
    "cursors",
    METADATA,
    sa.Column("collector", sa.String, primary_key=True),
    sa.Column("final_minute", sa.Integer, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
)
PAYLOAD_DIGESTS = sa.Table(
    "payload_digests",
    METADATA,
    sa.Column("collector", sa.String, primary_key=True),
    sa.Column("digest", sa.String(32), primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False, index=True),
)
COLLECTORS = sa.Table(
    "collectors",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
)
MAINTENANCE = sa.Table(
    "maintenance",
    METADATA,
    sa.Column("task", sa.String, primary_key=True),
    sa.Column("day", sa.String, nullable=False),
)
AUDIT_SLOTS = sa.Table(
    "audit_slots",
    METADATA,
    sa.Column("job", sa.String, primary_key=True),
    sa.Column("slot", sa.Float, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
)
ALERT_STATE = sa.Table(
    "alert_state",
    METADATA,
    sa.Column("fingerprint", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
ALERT_DELIVERIES = sa.Table(
    "alert_deliveries",
    METADATA,
    sa.Column("told_together", sa.String, primary_key=True),
    sa.Column("receiver", sa.String, primary_key=True),
    sa.Column("due_at", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("message_id", sa.String),
    sa.Column("document", sa.Text, nullable=False),
)
ALERT_SILENCES = sa.Table(
    "alert_silences",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

WATCHES = sa.Table(
    "watches",
    METADATA,
    sa.Column("change", sa.String, primary_key=True),
    sa.Column("part", sa.String, primary_key=True),
    sa.Column("last_block", sa.Integer, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

DETECTORS = sa.Table(
    "detectors",
    METADATA,
    sa.Column("endpoint", sa.String, primary_key=True),
    sa.Column("series", sa.String, primary_key=True),
    sa.Column("block_seconds", sa.Float, primary_key=True),
    sa.Column("next_block", sa.Integer, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

DEPLOYMENTS = sa.Table(
    "deployments",
    METADATA,
    sa.Column("endpoint", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("first_seen", sa.Float, nullable=False),
    sa.Column("last_seen", sa.Float, nullable=False),
    sa.Column("underway", sa.Text, nullable=False),
    sa.Column("notes", sa.Text, nullable=False, server_default="[]"),
    sa.Column("document", sa.Text, nullable=False),
)

CAPTURE_HOURS = sa.Table(
    "capture_hours",
    METADATA,
    sa.Column("endpoint", sa.String, primary_key=True),
    sa.Column("variant", sa.String, primary_key=True),
    sa.Column("hour", sa.Float, primary_key=True),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("captured", sa.Integer, nullable=False),
)

CAPABILITIES = sa.Table(
    "capabilities",
    METADATA,
    sa.Column("topic", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("standing", sa.String, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("checked_at", sa.Float, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
)

DETECTIONS = sa.Table(
    "detections",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, nullable=False),
    sa.Column("raised_at", sa.Float, nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("event", sa.String, nullable=False, server_default="", index=True),
)

PUSH_SILENCES = sa.Table(
    "push_silences",
    METADATA,
    sa.Column("collector", sa.String, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),
    sa.Column("longest_seconds", sa.Float, nullable=False),
    sa.Column("last_at", sa.Float, nullable=False),
)

WATERMARKS = sa.Table(
    "watermarks",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("series", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, primary_key=True, index=True),
    sa.Column("variant", sa.String, primary_key=True),
    sa.Column("metric", sa.String, primary_key=True),
    sa.Column("read_until", sa.Float, nullable=False),
    sa.Column("final_until", sa.Float, nullable=False),
)

REVISIONS = sa.Table(
    "revisions",
    METADATA,
    sa.Column("endpoint", sa.String, primary_key=True),
    sa.Column("variant", sa.String, primary_key=True),
    sa.Column("metric", sa.String, primary_key=True),
    sa.Column("minute", sa.Integer, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("after_final", sa.Integer, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("brought_by", sa.String, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, index=True),
    sa.Column("waiting", sa.Integer, nullable=False),
)

METERED = sa.Table(
    "metered",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("month", sa.String, primary_key=True),
    sa.Column("dollars", sa.Float, nullable=False),
    sa.Column("dearest", sa.Float, nullable=False),
)

SETTLING = sa.Table(
    "settling",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, primary_key=True, index=True),
    sa.Column("hour", sa.Integer, primary_key=True),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("changed", sa.Integer, nullable=False),
)

YOUNG_READS = sa.Table(
    "young_reads",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, primary_key=True),
    sa.Column("variant", sa.String, primary_key=True),
    sa.Column("metric", sa.String, primary_key=True),
    sa.Column("read_until", sa.Float, nullable=False),
)

SILENT = sa.Table(
    "silent_series",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("series", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, primary_key=True),
    sa.Column("variant", sa.String, primary_key=True),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
)


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
