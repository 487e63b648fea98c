"""Series of pulled sources that never gave a minute: which, since when, and what was said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.tables import SILENT, WATERMARKS
from nibai.store.state.watermarks import Brought

Read = tuple[str, str, str]
"""Name of a series, endpoint, variant."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A series that was read and never gave anything of a variant.

    `said` is object, fact and remedy; empty where it is known to exist and merely had no requests.
    """

    source: str
    series: str
    endpoint: str
    variant: str
    said: str
    since: float


def read_for(state: State, source: str, series: Collection[str]) -> dict[Read, set[Brought]]:
    """What some series of a source were read for, by variant."""
    table, found = WATERMARKS, dict[Read, set[Brought]]()
    with state.begin() as connection:
        rows = connection.execute(sa.select(table).where(table.c.source == source)).all()
    wanted = set(series)
    for row in rows:
        if row.series in wanted:
            key = (row.series, row.endpoint, row.variant)
            found.setdefault(key, set()).add((row.endpoint, row.variant, row.metric))
    return found


def silent_series(state: State, source: str | None = None) -> list[Silent]:
    """All that are known, of one source or of every one."""
    query = sa.select(SILENT).order_by(SILENT.c.source, SILENT.c.endpoint, SILENT.c.series)
    if source is not None:
        query = query.where(SILENT.c.source == source)
    with state.begin() as connection:
        rows = connection.execute(query).all()
    return [Silent(r.source, r.series, r.endpoint, r.variant, r.said, r.since) for r in rows]


def put_silent(state: State, source: str, found: Sequence[Silent]) -> None:
    """All series of a source that are silent now; others have given something, or are gone."""
    names = ("source", "series", "endpoint", "variant", "said", "since")
    rows = [{name: getattr(one, name) for name in names} for one in found]
    with state.begin() as connection:
        connection.execute(SILENT.delete().where(SILENT.c.source == source))
        if rows:
            connection.execute(SILENT.insert(), rows)
