"""A fleet audit as one JSON document and back, without loss (schema name `nibai.fleet/1`).

`docs/fleet.schema.json` is the contract; times are ISO 8601 UTC, infinite bounds null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nibai.document import Document, decode, encode, iso
from nibai.fleet import FleetAudit

SCHEMA = "nibai.fleet/1"


def to_document(audit: FleetAudit) -> Document:
    """The audit as plain dictionaries; `change` says "fleet", as the list of audits shows it."""
    return {
        "schema": SCHEMA,
        **encode(audit),
        "created_at": iso(audit.created_at),
        "change": {"id": "fleet"},
    }


def is_fleet(document: Mapping[str, Any]) -> bool:
    """Whether a stored document is a fleet audit."""
    return bool(document.get("schema") == SCHEMA)


def from_document(document: Mapping[str, Any]) -> FleetAudit:
    """The audit a document was made from; ValueError for another schema."""
    if not is_fleet(document):
        raise ValueError(f"not a {SCHEMA} document but {document.get('schema')!r}")
    fields = {k: v for k, v in document.items() if k not in ("schema", "change")}
    fields["created_at"] = datetime.fromisoformat(document["created_at"]).timestamp()
    audit: FleetAudit = decode(FleetAudit, fields)
    return audit


def dumps(audit: FleetAudit) -> str:
    """The document as text: stable, readable, without NaN."""
    text = json.dumps(to_document(audit), indent=2, ensure_ascii=False, allow_nan=False)
    return text + "\n"
