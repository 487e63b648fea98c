"""Minutes whose counts changed after they were stored: how often, and whether they were final.

What is about to be stored is announced before, and numbered once it is in the lake: whoever has
read the number before reading the lake knows of everything that came afterwards. Announced twice,
after a crash, it is the same revision. Source: nibai's storage.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from nibai.store.state.backfills import WAIT_SECONDS, note_pushed
from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import REVISIONS

PUSHED_LATE_MINUTES = 3
"""What is pushed so long after the end of its minute revises it: blocks count two minutes later."""

KEPT_MINUTES = 60 * 24 * 60
"""As long as a change may be watched, and the days before it that it is compared with."""

Place = tuple[str, str, str, int]
"""Endpoint, variant, metric, minute."""


@dataclass(frozen=True, slots=True)
class Revised:
    """A minute that is about to change; `after_final`: its source had said that it would not.

    `brought_by` tells this revision of the minute from any other one.
    """

    place: Place
    brought_by: str
    after_final: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """A minute that changed `revision` times; the last of them has this `number`."""

    variant: str
    minute: int
    revision: int
    after_final: int
    number: int


def announce(state: State, source: str, revised: Sequence[Revised]) -> None:
    """Before rows of a source are stored: which minutes they change."""
    table = REVISIONS
    with state.begin() as connection:
        known = _known(connection, revised)
        rows = []
        for one in revised:
            before = known.get(one.place, _NEVER)
            if before.brought_by != one.brought_by:
                rows.append(_row(source, one, before))
                continue
            # Announced by a process that was killed before it had stored them.
            own = [table.c[name] == value for name, value in _key(one.place).items()]
            connection.execute(table.update().where(*own).values(waiting=1))
        replace_rows(connection, table, rows)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of a minute."""

    revision: int = 0
    after_final: int = 0
    number: int = 0
    brought_by: str = ""


_NEVER = _Kept()


def _known(connection: sa.Connection, revised: Sequence[Revised]) -> dict[Place, _Kept]:
    """What is kept of the minutes: those of a metric lie close together and are read in one go."""
    stretches: dict[tuple[str, str, str], tuple[int, int]] = {}
    for one in revised:
        *series, minute = one.place
        key = (str(series[0]), str(series[1]), str(series[2]))
        first, last = stretches.get(key, (minute, minute))
        stretches[key] = min(first, minute), max(last, minute)
    table, found = REVISIONS, dict[Place, _Kept]()
    for (endpoint, variant, metric), (first, last) in stretches.items():
        own = (table.c.endpoint == endpoint, table.c.variant == variant, table.c.metric == metric)
        query = sa.select(table).where(*own, table.c.minute.between(first, last))
        for row in connection.execute(query):
            kept = _Kept(row.revision, row.after_final, row.number, row.brought_by)
            found[endpoint, variant, metric, row.minute] = kept
    return found


def _key(place: Place) -> dict[str, str | int]:
    return dict(zip(("endpoint", "variant", "metric", "minute"), place, strict=True))


def _row(source: str, one: Revised, before: _Kept) -> dict[str, str | int]:
    return {
        **_key(one.place),
        "revision": before.revision + 1,
        "after_final": before.after_final + one.after_final,
        "source": source,
        "brought_by": one.brought_by,
        "number": before.number,
        "waiting": 1,
    }


def settle(state: State, source: str, now: float) -> None:
    """The announced rows of a source are in the lake; revisions of long ago are forgotten."""
    table = REVISIONS
    with state.begin() as connection:
        waiting = (table.c.source == source, table.c.waiting == 1)
        if not connection.execute(sa.select(sa.func.count()).where(*waiting)).scalar():
            return
        number = _newest(connection) + 1
        connection.execute(table.update().where(*waiting).values(number=number, waiting=0))
        oldest = int(now // 60) - KEPT_MINUTES
        # The newest ones stay whatever their age: numbers are never given twice.
        old = (table.c.minute < oldest, table.c.number < number)
        connection.execute(table.delete().where(*old))


def newest_number(state: State, endpoint: str) -> int:
    """The number of an endpoint's newest revision of a final minute; read it before the lake."""
    with state.begin() as connection:
        query = sa.select(sa.func.max(REVISIONS.c.number)).where(*_of_final(endpoint))
        return int(connection.execute(query).scalar() or 0)


def revised_since(state: State, endpoint: str, metric: str, number: int) -> list[Revision]:
    """Final minutes of a metric that were revised after a number, or are about to be."""
    table = REVISIONS
    newer = sa.or_(table.c.number > number, table.c.waiting == 1)
    with state.begin() as connection:
        query = sa.select(table).where(*_of_final(endpoint), table.c.metric == metric, newer)
        rows = connection.execute(query.order_by(table.c.minute)).all()
        coming = _newest(connection) + 1
    return [
        Revision(
            row.variant,
            row.minute,
            row.revision,
            row.after_final,
            coming if row.waiting else row.number,
        )
        for row in rows
    ]


def _of_final(endpoint: str) -> tuple[sa.ColumnElement[bool], ...]:
    return REVISIONS.c.endpoint == endpoint, REVISIONS.c.after_final > 0


def _newest(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.max(REVISIONS.c.number))).scalar() or 0)


class LatePushes:
    """Records pushed rows whose minutes were whole already (`nibai.store.wal.ingest.Late`)."""

    def __init__(
        self,
        state: State,
        collector: str,
        clock: Callable[[], float],
        past_wait: float = WAIT_SECONDS,
    ) -> None:
        self._state = state
        self._past_wait = past_wait
        self._collector = collector
        self._clock = clock
        self.minutes = 0
        """Minutes of series that were revised so."""

    def announce(self, cells: pa.Table, arrived_minute: int, sequence: int) -> None:
        """The minutes of a segment's cells that ended long before it began."""
        newest = arrived_minute - 1 - PUSHED_LATE_MINUTES
        late = cells.filter(pc.less_equal(cells["minute"], newest))
        if not late.num_rows:
            return
        names = ["endpoint", "variant", "metric", "minute"]
        places = late.group_by(names).aggregate([]).to_pylist()
        brought_by = f"{self._collector} {sequence}"
        oldest = late.group_by("endpoint").aggregate([("minute", "min")]).to_pylist()
        began = {str(one["endpoint"]): one["minute_min"] * 60.0 for one in oldest}
        note_pushed(self._state, began, self._clock(), self._past_wait)
        announce(
            self._state,
            self._collector,
            [Revised(_place(one), brought_by, after_final=True) for one in places],
        )
        self.minutes += len(places)

    def settle(self) -> None:
        """What was announced is in the lake."""
        settle(self._state, self._collector, self._clock())


def _place(row: Mapping[str, Any]) -> Place:
    return str(row["endpoint"]), str(row["variant"]), str(row["metric"]), int(row["minute"])
