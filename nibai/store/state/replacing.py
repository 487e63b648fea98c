"""Rows in the place of those with the same key, in a transaction that holds the state alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa


def replace_rows(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Store rows; one with the same primary key goes. Rows have the same columns and no two a key.

    Deleted and inserted, because every database can: transactions of the state follow one another.
    """
    if not rows:
        return
    key = [column.name for column in table.primary_key]
    same = (table.c[name] == sa.bindparam(f"key_{name}") for name in key)
    connection.execute(
        table.delete().where(*same), [{f"key_{name}": row[name] for name in key} for row in rows]
    )
    connection.execute(table.insert(), [dict(row) for row in rows])
