"""Upkeep of the lake: hour roll-ups, compaction, retention, purge. One maintainer at a time.

A day is rewritten through the table handle its rows were read from: a late append in between then
raises a conflict and the day is read again. Through the path it would be lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from nibai.errors import StoreError
from nibai.store.connection import connect
from nibai.store.lake import WRITER, Lake
from nibai.store.rows import PREDICTIONS, TABLES
from nibai.store.sql import literal
from nibai.store.state import State

ROLL_UP = "roll_up"
COMPACTION = "compaction"
CLOSED_AFTER_SECONDS = 3 * 3600.0
ATTEMPTS = 8
VACUUM_HOURS = 24
ROLL_UP_SEEN = "roll_up_seen"
OVERLAP_MS = 15 * 60_000
"""A file may be committed this long after it was written."""

_HOURS = {
    "hist": "scale, bucket, sum(count)::INTEGER AS count",
    "cell": "sum(count)::BIGINT AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max, "
    "sum(errors)::BIGINT AS errors, sum(timeouts)::BIGINT AS timeouts",
    "category": "key, sum(count)::INTEGER AS count",
}

PREDICTION_SECONDS = 7 * 86400.0
"""How long single answers are kept; their counts stay."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What one round of maintenance did."""

    rolled_up: tuple[date, ...] = ()
    compacted: tuple[str, ...] = ()
    deleted_before: date | None = None
    answers_deleted_before: date | None = None


def maintain(
    lake: Lake,
    state: State,
    now: float,
    *,
    retention_seconds: float,
    prediction_seconds: float = PREDICTION_SECONDS,
    checkpoint: Callable[[str], None] = lambda _: None,
) -> Upkeep:
    """Roll up closed days, and once a day compact, clean up, delete old minutes and answers."""
    oldest = _date(now - retention_seconds)
    rolled = tuple(roll_up_closed_days(lake, state, now, oldest=oldest, checkpoint=checkpoint))
    today = _date(now).isoformat()
    if state.watermark(COMPACTION) == today:
        return Upkeep(rolled)
    compacted = tuple(table for table in TABLES if compact(lake, table))
    checkpoint("compacted")
    deleted = None
    rolled_until = state.watermark(ROLL_UP)
    if rolled_until is not None:
        before = min(oldest, date.fromisoformat(rolled_until) + timedelta(days=1))
        for table in _HOURS:
            deleted = before if delete_days(lake, table, before) else deleted
    answers = _date(now - prediction_seconds)
    forgotten = answers if delete_days(lake, PREDICTIONS, answers) else None
    for table in TABLES:
        clean(lake, table)
    checkpoint("cleaned")
    state.set_watermark(COMPACTION, today)
    return Upkeep(rolled, compacted, deleted, forgotten)


def roll_up_closed_days(
    lake: Lake,
    state: State,
    now: float,
    *,
    oldest: date = date.min,
    checkpoint: Callable[[str], None] = lambda _: None,
) -> list[date]:
    """Recompute the hours of every closed day whose minutes changed since the last round.

    A day before `oldest` is not made again: its minutes may be deleted, and what arrives so late
    is appended to the hours directly.
    """
    written = {kind: _written(lake, kind) for kind in _HOURS}
    if not any(written.values()):
        return []
    last = _date(now - CLOSED_AFTER_SECONDS) - timedelta(days=1)
    seen = int(state.watermark(ROLL_UP_SEEN) or 0) - OVERLAP_MS
    changed = {day for days in written.values() for day, at in days.items() if at > seen}
    done = state.watermark(ROLL_UP)
    newest = date.fromisoformat(done) if done else date.min
    rolled = sorted(
        day
        for day in set().union(*written.values())
        if day <= last and (day > newest or (day in changed and day >= oldest))
    )
    for day in rolled:
        for kind in _HOURS:
            roll_up_day(lake, kind, day)
            checkpoint(f"rolled {kind}")
    if rolled:
        state.set_watermark(ROLL_UP, max(rolled[-1], newest).isoformat())
    # Taken from the snapshot that was read, so that what is written meanwhile counts as new.
    state.set_watermark(ROLL_UP_SEEN, str(max(at for d in written.values() for at in d.values())))
    return rolled


def roll_up_day(lake: Lake, kind: str, day: date) -> None:
    """Write a day's hours from its minutes, replacing what was there."""
    rows = _query(
        lake,
        kind,
        day,
        "SELECT day, endpoint, variant, replica, segment, metric, "
        f"(minute - minute % 60)::INTEGER AS minute, provenance, {_HOURS[kind]} "
        "FROM {files} GROUP BY ALL ORDER BY ALL",
    )
    target = f"{kind}_hour"
    if rows is None:
        return
    rows = rows.cast(TABLES[target])
    for _ in range(ATTEMPTS):
        existing = lake.open(target)
        try:
            if existing is None:
                write_deltalake(
                    lake.path(target), rows, mode="append", partition_by=["day"],
                    writer_properties=WRITER,
                )  # fmt: skip
            else:
                write_deltalake(
                    existing, rows, mode="overwrite", predicate=f"day = '{day.isoformat()}'",
                    writer_properties=WRITER,
                )  # fmt: skip
        except CommitFailedError:
            continue
        return
    raise StoreError(f"{lake.path(target)}: {day} is written by others all the time: try later")


def compact(lake: Lake, table: str) -> bool:
    """Join small files; False when the table does not exist. Appends go on meanwhile."""
    found = lake.open(table)
    if found is None:
        return False
    try:
        found.optimize.compact(writer_properties=WRITER)
    except DeltaError:
        return False  # an overwrite came first; the next round does it
    return True


def clean(lake: Lake, table: str) -> None:
    """Checkpoint the log, drop its old entries, and delete files nobody has needed for a day."""
    found = lake.open(table)
    if found is None:
        return
    found.create_checkpoint()
    found.cleanup_metadata()
    found.vacuum(retention_hours=VACUUM_HOURS, dry_run=False, enforce_retention_duration=False)


def delete_days(lake: Lake, table: str, before: date) -> bool:
    """Delete whole days before a date (metadata only); whether there were any."""
    found = lake.open(table)
    if found is None or not any(day < before for day in _days(found)):
        return False
    found.delete(f"day < '{before.isoformat()}'")
    return True


@dataclass(frozen=True, slots=True)
class Purged:
    """Rows a purge removes (or would remove) from one table."""

    table: str
    rows: int


def purge(
    lake: Lake,
    *,
    endpoint: str | None,
    segment: str | None,
    before: date | None,
    dry_run: bool,
    tables: Iterable[str] = TABLES,
) -> list[Purged]:
    """Remove an endpoint, a segment or old days from tables, history of the files included.

    Without a condition everything in them.
    """
    conditions = []
    if endpoint is not None:
        conditions.append(f"endpoint = {literal(endpoint)}")
    if segment is not None:
        conditions.append(f"segment = {literal(segment)}")
    if before is not None:
        conditions.append(f"day < '{before.isoformat()}'")
    predicate = " AND ".join(conditions) or "true"
    found = []
    for name in tables:
        table = lake.open(name)
        if table is None:
            continue
        rows = _count(table, predicate)
        if rows and not dry_run:
            table.delete(predicate)
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        found.append(Purged(name, rows))
    return found


def _count(table: DeltaTable, predicate: str) -> int:
    uris = ", ".join(literal(uri.removeprefix("file://")) for uri in table.file_uris())
    if not uris:
        return 0
    sql = f"SELECT count(*) FROM read_parquet([{uris}], union_by_name=true) WHERE {predicate}"
    row = connect().execute(sql).fetchone()
    return int(row[0]) if row else 0


def _days(table: DeltaTable) -> set[date]:
    return {
        date.fromisoformat(str(partition["day"]))
        for partition in table.partitions()
        if partition.get("day")
    }


def _written(lake: Lake, table: str) -> dict[date, int]:
    """When the newest file of each day was written, in milliseconds since the epoch."""
    found = lake.open(table)
    if found is None:
        return {}
    newest: dict[date, int] = {}
    for file in pa.table(found.get_add_actions(flatten=True)).to_pylist():
        day = date.fromisoformat(str(file["partition.day"]))
        newest[day] = max(int(_milliseconds(file["modification_time"])), newest.get(day, 0))
    return newest


def _milliseconds(moment: datetime | int) -> float:
    return moment.timestamp() * 1000.0 if isinstance(moment, datetime) else moment


def _date(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def _query(lake: Lake, table: str, day: date, sql: str) -> pa.Table | None:
    uris = lake.file_uris(table, day, day)
    if not uris:
        return None
    listed = ", ".join(literal(uri.removeprefix("file://")) for uri in uris)
    files = f"read_parquet([{listed}], union_by_name=true, hive_partitioning=true)"
    return connect().sql(sql.format(files=files)).to_arrow_table()
