"""Days past the horizon: their minutes are moved into the hours, every row once.

A day is final when its hours no longer follow from its minutes. The hour table says so itself, in
the commits that write it, by two Delta application numbers: FINAL, the first day that is not final,
and MOVED, the version of the minute table of which it holds every row of final days. So a process
may die anywhere, and a row that reaches the minutes of a final day later is known and added.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from nibai.errors import StoreError
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.delta import WRITER, Lake
from nibai.store.lake.rows import TABLES

FINAL = "nibai.final"
MOVED = "nibai.moved"
EPOCH = date(1970, 1, 1)
ATTEMPTS = 8

HOURS = {
    "hist": "scale, bucket, sum(count)::INTEGER AS count",
    "cell": "sum(count)::BIGINT AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max, "
    "sum(errors)::BIGINT AS errors, sum(timeouts)::BIGINT AS timeouts",
    "category": "key, sum(count)::INTEGER AS count",
}
"""Kinds of tables and how their minutes are summed to hours."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What an hour table says about the minutes it was made from."""

    open_from: date
    moved: int

    @classmethod
    def of(cls, hours: DeltaTable | None) -> Marks:
        """As its newest commit left it."""
        found = [0 if hours is None else hours.transaction_version(m) or 0 for m in (FINAL, MOVED)]
        return cls(EPOCH + timedelta(days=found[0]), found[1])

    def commit(self) -> CommitProperties:
        """What a commit says that leaves these marks."""
        final = (self.open_from - EPOCH).days
        numbers = [Transaction(FINAL, final), Transaction(MOVED, self.moved)]
        return CommitProperties(app_transactions=numbers)


def open_from(lake: Lake, kind: str) -> date:
    """The first day whose hours are still made anew from its minutes."""
    return Marks.of(lake.open(f"{kind}_hour")).open_from


def move_old_minutes(
    lake: Lake,
    kind: str,
    before: date,
    *,
    checkpoint: Callable[[str], None] = lambda _: None,
) -> bool:
    """Make the days before a date final and delete the minutes of all final days; were there any.

    Rows that are appended meanwhile stay, and the next call adds them to the hours.
    """
    minutes = lake.open(kind)
    if minutes is None:
        return False
    first = open_from(lake, kind)
    days = sorted(day for day in days_of(minutes) if day < max(first, before))
    if not days:
        return False
    _add_late(lake, kind, minutes)
    checkpoint(f"late {kind}")
    for day in days:
        write_hours(lake, kind, day, minutes, final=True)
        checkpoint(f"final {kind}")
    try:
        minutes.delete(f"day < '{open_from(lake, kind).isoformat()}'")
    except CommitFailedError:
        return False  # rows came in between: they are told from the moved ones next time
    return True


def write_hours(
    lake: Lake, kind: str, day: date, minutes: DeltaTable, *, final: bool = False
) -> None:
    """Write a day's hours from its minutes in one snapshot, replacing what was there.

    Nothing happens to a day that is final already, or when another maintainer has read further.
    """
    rows = _summed(kind, files_of(minutes, f"day = '{day.isoformat()}'"))
    if rows is None:
        return
    for _ in range(ATTEMPTS):
        hours = lake.open(f"{kind}_hour")
        marks = Marks.of(hours)
        if day < marks.open_from or minutes.version() < marks.moved:
            return
        if final:
            marks = Marks(day + timedelta(days=1), minutes.version())
        try:
            _write(lake, kind, hours, rows, marks, replaced=day)
        except CommitFailedError:
            continue
        return
    raise StoreError(f"{lake.path(kind)}_hour: {day} is written by others all the time: try later")


def _add_late(lake: Lake, kind: str, minutes: DeltaTable) -> None:
    """Add what reached the minutes of final days after they were moved."""
    hours = lake.open(f"{kind}_hour")
    marks = Marks.of(hours)
    if minutes.version() <= marks.moved:
        return
    condition = f"day < '{marks.open_from.isoformat()}'"
    late = files_of(minutes, condition)
    if late:
        late -= files_of(_at(lake, kind, marks.moved), condition)
    rows = _summed(kind, late)
    if rows is not None:
        with contextlib.suppress(CommitFailedError):  # another maintainer did this
            _write(lake, kind, hours, rows, Marks(marks.open_from, minutes.version()))


def _write(
    lake: Lake,
    kind: str,
    hours: DeltaTable | None,
    rows: pa.Table,
    marks: Marks,
    *,
    replaced: date | None = None,
) -> None:
    """Through the handle that was read, so that a commit in between is a conflict."""
    said = marks.commit()
    if hours is None:
        path = lake.path(f"{kind}_hour")
        try:
            write_deltalake(
                path, rows, mode="error", partition_by=["day"], writer_properties=WRITER,
                commit_properties=said,
            )  # fmt: skip
        except DeltaError as error:
            raise CommitFailedError("made by another maintainer") from error
    elif replaced is None:
        write_deltalake(
            hours, rows, mode="append", writer_properties=WRITER, commit_properties=said
        )
    else:
        day = f"day = '{replaced.isoformat()}'"
        write_deltalake(
            hours, rows, mode="overwrite", predicate=day, writer_properties=WRITER,
            commit_properties=said,
        )  # fmt: skip


def files_of(table: DeltaTable, condition: str) -> set[str]:
    """Files of the days that meet a condition."""
    return set(table.file_uris(file_pruning_predicate=condition))


def days_of(table: DeltaTable) -> set[date]:
    """Days that a table has files of."""
    return {
        date.fromisoformat(str(partition["day"]))
        for partition in table.partitions()
        if partition.get("day")
    }


def _at(lake: Lake, kind: str, version: int) -> DeltaTable:
    try:
        return DeltaTable(lake.path(kind), version=version)
    except (DeltaError, OSError) as error:
        raise StoreError(
            f"{lake.path(kind)}: version {version} is gone, so which old minutes are in the hours "
            "already cannot be told: delete the minutes of days past the horizon"
        ) from error


def _summed(kind: str, files: Collection[str]) -> pa.Table | None:
    """Rows of some files of minutes, as hours; None when there are no files."""
    if not files:
        return None
    listed = ", ".join(literal(uri.removeprefix("file://")) for uri in sorted(files))
    sql = (
        "SELECT day, endpoint, variant, replica, segment, metric, "
        f"(minute - minute % 60)::INTEGER AS minute, provenance, {HOURS[kind]} "
        f"FROM read_parquet([{listed}], union_by_name=true, hive_partitioning=true) "
        "GROUP BY ALL ORDER BY ALL"
    )
    return connect().sql(sql).to_arrow_table().cast(TABLES[f"{kind}_hour"])
