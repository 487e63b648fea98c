"""Deployments as they were seen, for ever, and the changes between them: both or neither."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from nibai.model import Window
from nibai.protocols.discovery import TAKEN_BACK, Deployment, Later
from nibai.store.state.database import State, insert_change
from nibai.store.state.notes import note, put_notes
from nibai.store.state.tables import CHANGES, DEPLOYMENTS

SALT = "discovery:salt"
FIGURE = "AWS's figure"
"""Of the evidence of a change: numbered."""


class Deployments:
    """Rows of one endpoint are numbered; the highest is the one that serves."""

    def __init__(self, state: State) -> None:
        self._state = state

    def latest(self) -> dict[str, Deployment]:
        """The last deployment of every endpoint."""
        table = DEPLOYMENTS
        newest = sa.select(table.c.endpoint, sa.func.max(table.c.number).label("number"))
        last = newest.group_by(table.c.endpoint).subquery()
        joined = sa.and_(table.c.endpoint == last.c.endpoint, table.c.number == last.c.number)
        with self._state.begin() as connection:
            rows = connection.execute(sa.select(table).join(last, joined)).all()
        return {row.endpoint: _deployment(row) for row in rows}

    def history(self, endpoint: str) -> list[Deployment]:
        """Every deployment of an endpoint that was seen, the oldest first."""
        table = DEPLOYMENTS
        query = sa.select(table).where(table.c.endpoint == endpoint).order_by(table.c.number)
        with self._state.begin() as connection:
            return [_deployment(row) for row in connection.execute(query).all()]

    def between(self, endpoint: str, start: float, end: float) -> list[Deployment]:
        """Deployments of an endpoint that were first seen in a stretch of time."""
        table = DEPLOYMENTS
        query = sa.select(table).where(
            table.c.endpoint == endpoint, table.c.first_seen > start, table.c.first_seen < end
        )
        with self._state.begin() as connection:
            rows = connection.execute(query.order_by(table.c.number)).all()
        return [_deployment(row) for row in rows]

    def taken_back(self, endpoint: str) -> list[Window]:
        """From when to when deployments ran that did not stay."""
        table = DEPLOYMENTS
        told = table.c.document.contains(f'"{TAKEN_BACK}"')
        query = sa.select(table).where(table.c.endpoint == endpoint, told)
        with self._state.begin() as connection:
            rows = connection.execute(query.order_by(table.c.number)).all()
        stretches = [_deployment(row).taken_back for row in rows]
        return [one for one in stretches if one is not None]

    def keep(
        self,
        before: Deployment | None,
        seen: Deployment,
        changes: Sequence[Mapping[str, Any]] = (),
        past: Sequence[Deployment] = (),
    ) -> bool:
        """Store what a look saw after `before`; False (and nothing stored) when another was faster.

        A deployment that is the same as before only gets its `last_seen` and `underway` renewed.
        """
        table = DEPLOYMENTS
        with self._state.begin() as connection:
            query = sa.select(table).where(table.c.endpoint == seen.endpoint)
            row = connection.execute(query.order_by(table.c.number.desc()).limit(1)).first()
            if (None if row is None else _deployment(row)) != before:
                return False
            number = 0 if row is None else row.number
            if row is not None and _same(_deployment(row), seen):
                known = _deployment(row)
                kept = replace(seen, first_seen=known.first_seen, notes=known.notes)
                here = sa.and_(table.c.endpoint == seen.endpoint, table.c.number == number)
                connection.execute(table.update().where(here).values(_row(kept, number)))
            else:
                rows = [_row(one, number + i + 1) for i, one in enumerate((*past, seen))]
                connection.execute(table.insert(), rows)
            for change in changes:
                insert_change(connection, change)
        return True

    def add_evidence(self, endpoint: str, later: Sequence[Later]) -> list[tuple[str, str]]:
        """Add figures to the changes that they are evidence of; (change, text) of what was new."""
        added: list[tuple[str, str]] = []
        if not later:
            return added
        with self._state.begin() as connection:
            query = sa.select(CHANGES.c.document).where(CHANGES.c.endpoint == endpoint)
            documents = [json.loads(row.document) for row in connection.execute(query)]
            for one in later:
                document = _evident_in(documents, one)
                if document is None or one.text in document["evidence"].values():
                    continue
                number = sum(key.startswith(FIGURE) for key in document["evidence"]) + 1
                document["evidence"][f"{FIGURE} {number}"] = one.text
                here = CHANGES.c.id == document["id"]
                text = json.dumps(document)
                connection.execute(CHANGES.update().where(here).values(document=text))
                added.append((str(document["id"]), one.text))
        return added

    def salt(self) -> str:
        """What this state's hashes of environment values are salted with; made once."""
        with self._state.begin() as connection:
            found = note(connection, SALT)
            if found is None:
                found = secrets.token_hex(16)
                put_notes(connection, {SALT: found})
        return found


def _evident_in(documents: Sequence[dict[str, Any]], later: Later) -> dict[str, Any] | None:
    """The last discovered change before a figure was measured, None where it says nothing of it."""
    known = [
        (float(at), document)
        for document in documents
        if document["evidence"].get("source") == "discovered"
        and later.unit in {"", document["candidate_variant"]}
        for at in [document["effective_at"] or document["declared_at"]]
        if at is not None and float(at) <= later.started
    ]
    if not known:
        return None
    at, document = max(known, key=lambda one: one[0])
    began = document["started_at"] or at
    compares = later.compared_since
    return document if compares is None or compares <= float(began) else None


def _same(one: Deployment, other: Deployment) -> bool:
    return one.fingerprint == other.fingerprint and one.document == other.document


def _row(one: Deployment, number: int) -> dict[str, object]:
    return {
        "endpoint": one.endpoint,
        "number": number,
        "fingerprint": one.fingerprint,
        "first_seen": one.first_seen,
        "last_seen": one.last_seen,
        "underway": json.dumps(dict(one.underway), sort_keys=True),
        "document": json.dumps(dict(one.document), sort_keys=True),
        "notes": json.dumps(list(one.notes)),
    }


def _deployment(row: Any) -> Deployment:  # noqa: ANN401 - a row of SQLAlchemy
    return Deployment(
        row.endpoint,
        row.fingerprint,
        float(row.first_seen),
        float(row.last_seen),
        json.loads(row.document),
        json.loads(row.underway),
        tuple(json.loads(row.notes)),
    )
