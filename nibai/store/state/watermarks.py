"""Until when the minutes of an endpoint's metric were read, and until when they are final.

A minute is provisional while its source reads it again; final is what is asked for no more. What is
pushed has no watermark. Source: nibai's aws.md, R4, and storage.md, section 4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.tables import WATERMARKS

LEFT_BEHIND_SECONDS = 86400.0
"""A series so far behind the others, or behind the lake, is not read any more."""

Brought = tuple[str, str, str]
"""Endpoint, variant, metric."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far the series that bring a metric of an endpoint were read, and are final, all of them.

    `source` is the one that is read least far.
    """

    source: str
    read_until: float
    final_until: float

    @property
    def provisional_seconds(self) -> float:
        """How long minutes are read again."""
        return self.read_until - self.final_until

    def earlier(self, other: Watermark) -> Watermark:
        """Of two series of one metric: as far as both were read, and are final."""
        least = min(self, other, key=lambda one: one.read_until)
        return Watermark(least.source, least.read_until, min(self.final_until, other.final_until))

    def is_behind(self, newest: float) -> bool:
        """Whether minutes came so long after it that they came another way."""
        return newest - self.read_until > LEFT_BEHIND_SECONDS


def put_watermarks(
    state: State,
    source: str,
    read_until: Mapping[str, float],
    final_until: Mapping[str, float],
    brings: Mapping[str, Collection[Brought]],
) -> None:
    """Series were read on; what they bring besides is known from earlier times. Marks only rise."""
    table = WATERMARKS
    with state.begin() as connection:
        for series, final in final_until.items():
            read = read_until.get(series, final)
            own = (table.c.source == source, table.c.series == series)
            known = connection.execute(sa.select(table).where(*own)).all()
            keys = {(row.endpoint, row.variant, row.metric) for row in known}
            rows = [(*key, read, final) for key in brings.get(series, ()) if key not in keys]
            if known:
                marks = {"read_until": read, "final_until": final}
                connection.execute(
                    table.update().where(*own, table.c.read_until < read).values(marks)
                )
            if rows:
                names = ("endpoint", "variant", "metric", "read_until", "final_until")
                head = {"source": source, "series": series}
                connection.execute(
                    table.insert(), [head | dict(zip(names, row, strict=True)) for row in rows]
                )


def keep_only(state: State, source: str, series: Collection[str]) -> None:
    """Forget what other series of a source brought: it reads them no more."""
    table = WATERMARKS
    with state.begin() as connection:
        connection.execute(
            table.delete().where(table.c.source == source, table.c.series.not_in(list(series)))
        )


def final_marks(state: State, source: str) -> dict[Brought, float]:
    """Until when what a source brings is final; series that are not read any more do not count."""
    table = WATERMARKS
    with state.begin() as connection:
        rows = connection.execute(sa.select(table).where(table.c.source == source)).all()
    newest = max((row.read_until for row in rows), default=0.0)
    found: dict[Brought, float] = {}
    for row in rows:
        if newest - row.read_until > LEFT_BEHIND_SECONDS:
            continue
        key = (row.endpoint, row.variant, row.metric)
        found[key] = min(row.final_until, found.get(key, row.final_until))
    return found


def read_marks(state: State, now: float) -> dict[str, float]:
    """Until when every endpoint of a pulled source was read, all its metrics; by endpoint.

    What was not read for a day is waited for no longer.
    """
    table = WATERMARKS
    query = sa.select(table.c.endpoint, sa.func.min(table.c.read_until)).where(
        table.c.read_until >= now - LEFT_BEHIND_SECONDS
    )
    with state.begin() as connection:
        rows = connection.execute(query.group_by(table.c.endpoint))
        return {str(endpoint): float(read) for endpoint, read in rows}


def watermarks(state: State, endpoint: str) -> dict[str, Watermark]:
    """The watermark of every metric of an endpoint that a pulled source brings."""
    table = WATERMARKS
    with state.begin() as connection:
        rows = connection.execute(sa.select(table).where(table.c.endpoint == endpoint)).all()
    newest: dict[str, float] = {}
    for row in rows:
        newest[row.metric] = max(row.read_until, newest.get(row.metric, row.read_until))
    found: dict[str, Watermark] = {}
    for row in rows:
        if newest[row.metric] - row.read_until <= LEFT_BEHIND_SECONDS:
            one = Watermark(row.source, row.read_until, row.final_until)
            found[row.metric] = one.earlier(found.get(row.metric, one))
    return found
