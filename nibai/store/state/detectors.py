"""How far each series was followed by a detector: one document a series and length of blocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.tables import DETECTORS


@dataclass(frozen=True, slots=True)
class Position:
    """How far a series was followed: `cursor` of a document of its own.

    `also` writes what belongs to it in the same transaction, where the position is new.
    """

    endpoint: str
    series: str
    document: Mapping[str, Any]
    also: Callable[[sa.Connection], None] = lambda _connection: None


def put_detectors(state: State, block_seconds: float, positions: Sequence[Position]) -> list[bool]:
    """Store positions in one transaction; False: known already.

    What was stored wins when it is as far: of two looks at once only one tells an alarm. That a
    week of learning has `begun` is added to what was stored.
    """
    with state.begin() as connection:
        return [_put(connection, block_seconds, one) for one in positions]


def detectors(state: State, block_seconds: float) -> dict[tuple[str, str], dict[str, Any]]:
    """(endpoint, series) and where each stands, of one length of blocks."""
    table = DETECTORS
    query = sa.select(table.c.endpoint, table.c.series, table.c.document).where(
        table.c.block_seconds == block_seconds
    )
    with state.begin() as connection:
        return {(str(a), str(b)): json.loads(c) for a, b, c in connection.execute(query)}


def _put(connection: sa.Connection, block_seconds: float, one: Position) -> bool:
    table, cursor = DETECTORS, int(one.document["cursor"])
    row = {"endpoint": one.endpoint, "series": one.series, "block_seconds": block_seconds}
    key = [table.c[name] == value for name, value in row.items()]
    query = sa.select(table.c.next_block, table.c.document).where(*key)
    stored = connection.execute(query).one_or_none()
    kept = {"next_block": cursor, "document": json.dumps(one.document)}
    if stored is None:
        connection.execute(table.insert().values({**row, **kept}))
        one.also(connection)
        return True
    begins = "begun" in one.document and json.loads(stored.document) == {"cursor": cursor}
    further = cursor > int(stored.next_block)
    if further or begins:
        connection.execute(table.update().where(*key).values(kept))
    if further:
        one.also(connection)
    return further
