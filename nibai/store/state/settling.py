"""What is kept of how old minutes were when they were read, and whether they changed afterwards.

By source, endpoint and hour, as bits that are only ever set: told twice, after a crash, it is the
same. Beside it until when each series was last read while its newest minutes were young.
Source: nibai's aws.md, R4 and section 16, point 7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from nibai.stats.settling import REMEMBERED_SECONDS, HourOfMinutes, Learned, learned
from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import SETTLING, YOUNG_READS
from nibai.store.state.watermarks import Brought

Seen = Mapping[tuple[str, int], tuple[int, int]]
"""By endpoint and hour (seconds since the epoch): the bits of ages seen, and changed after."""


def learned_ages(state: State, endpoint: str, now: float) -> dict[str, Learned]:
    """What is learned of an endpoint's minutes, by the source that reads them."""
    table = SETTLING
    query = sa.select(table).where(
        table.c.endpoint == endpoint, table.c.hour >= now - REMEMBERED_SECONDS
    )
    found: dict[str, list[HourOfMinutes]] = {}
    with state.begin() as connection:
        for row in connection.execute(query):
            hour = HourOfMinutes(float(row.hour), row.seen, row.changed)
            found.setdefault(row.source, []).append(hour)
    return {source: learned(hours, now) for source, hours in found.items()}


def note_seen(state: State, source: str, seen: Seen) -> None:
    """Before rows are stored: at which ages minutes had been read, and which of them changed."""
    table = SETTLING
    with state.begin() as connection:
        for (endpoint, hour), (read, changed) in seen.items():
            own = (table.c.source == source, table.c.endpoint == endpoint, table.c.hour == hour)
            known = connection.execute(sa.select(table).where(*own)).first()
            if known is None:
                key = {"source": source, "endpoint": endpoint, "hour": hour}
                connection.execute(table.insert().values(**key, seen=read, changed=changed))
            elif (known.seen | read, known.changed | changed) != (known.seen, known.changed):
                bits = {"seen": known.seen | read, "changed": known.changed | changed}
                connection.execute(table.update().where(*own).values(bits))


def young_reads(state: State, source: str) -> dict[Brought, float]:
    """Until when each series was read last, of those whose newest minutes were young then."""
    table = YOUNG_READS
    with state.begin() as connection:
        rows = connection.execute(sa.select(table).where(table.c.source == source)).all()
    return {(row.endpoint, row.variant, row.metric): float(row.read_until) for row in rows}


def put_young_reads(
    state: State,
    source: str,
    read: Mapping[Brought, float],
    old: Collection[Brought],
    now: float,
) -> None:
    """Series were read young (`read`), or long after (`old`); hours of long ago are forgotten."""
    table = YOUNG_READS
    with state.begin() as connection:
        for key in set(old) - set(read):
            connection.execute(table.delete().where(*_of(source, key)))
        rows = [
            {"source": source, "endpoint": e, "variant": v, "metric": m, "read_until": until}
            for (e, v, m), until in read.items()
        ]
        replace_rows(connection, table, rows)
        long_ago = SETTLING.c.hour < now - REMEMBERED_SECONDS
        connection.execute(SETTLING.delete().where(SETTLING.c.source == source, long_ago))


def forget(state: State, source: str) -> None:
    """Nothing is learned of a source any more."""
    with state.begin() as connection:
        for table in (SETTLING, YOUNG_READS):
            connection.execute(table.delete().where(table.c.source == source))


def _of(source: str, key: Brought) -> tuple[sa.ColumnElement[bool], ...]:
    endpoint, variant, metric = key
    table = YOUNG_READS
    return (
        table.c.source == source,
        table.c.endpoint == endpoint,
        table.c.variant == variant,
        table.c.metric == metric,
    )
