"""The tables of the state, as the newest version has them."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

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
