"""Small facts, a text under a name each: what deserves no table of its own.

They lie in the table `maintenance`, whose columns are called after the first of them. A name begins
with what the fact is about ("awaited:"), its head.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import MAINTENANCE


def note(connection: sa.Connection, name: str) -> str | None:
    """The text under a name; None: there is none."""
    query = sa.select(MAINTENANCE.c.day).where(MAINTENANCE.c.task == name)
    found = connection.execute(query).scalar()
    return None if found is None else str(found)


def notes(connection: sa.Connection, head: str) -> dict[str, str]:
    """All texts whose names begin with a head, by the rest of their names."""
    named = MAINTENANCE.c.task.startswith(head, autoescape=True)
    rows = connection.execute(sa.select(MAINTENANCE).where(named))
    return {row.task.removeprefix(head): str(row.day) for row in rows}


def put_notes(connection: sa.Connection, texts: Mapping[str, str]) -> None:
    """Store texts by name; what was there goes."""
    rows = [{"task": name, "day": text} for name, text in texts.items()]
    replace_rows(connection, MAINTENANCE, rows)


def drop_notes(connection: sa.Connection, names: Collection[str]) -> None:
    """Forget the texts under some names."""
    if names:
        own = MAINTENANCE.c.task == sa.bindparam("name")
        connection.execute(MAINTENANCE.delete().where(own), [{"name": name} for name in names])
