"""Upkeep of the lake: hour roll-ups, compaction, retention, purge. One maintainer at a time.

A day's hours are made anew whenever its minutes changed, until the day is past the horizon: then
its minutes move into the hours for good (`final_days`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal, parquet_rows
from nibai.store.lake.delta import WRITER, Lake
from nibai.store.lake.final_days import HOURS, days_of, move_old_minutes, open_from, write_hours
from nibai.store.lake.rows import PREDICTIONS, TABLES
from nibai.store.state.database import State

ROLL_UP = "roll_up"
COMPACTION = "compaction"
CLOSED_AFTER_SECONDS = 3 * 3600.0
VACUUM_HOURS = 24
ROLL_UP_SEEN = "roll_up_seen"
OVERLAP_MS = 15 * 60_000
"""A file may be committed this long after it was written."""

PREDICTION_SECONDS = 7 * 86400.0
"""How long single answers are kept; their counts stay."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What one round of maintenance did."""

    rolled_up: tuple[date, ...] = ()
    compacted: tuple[str, ...] = ()
    deleted_before: date | None = None
    answers_deleted_before: date | None = None

    def __str__(self) -> str:
        """What was done; empty where there was nothing to do.

        >>> str(Upkeep(rolled_up=(date(2026, 3, 1),), deleted_before=date(2026, 1, 1)))
        'rolled up 2026-03-01; deleted minutes before 2026-01-01'
        """
        done = {
            "rolled up": ", ".join(map(str, self.rolled_up)),
            "compacted": ", ".join(self.compacted),
            "deleted minutes before": self.deleted_before,
            "deleted answers before": self.answers_deleted_before,
        }
        return "; ".join(f"{what} {which}" for what, which in done.items() if which)


def maintain(
    lake: Lake,
    state: State,
    now: float,
    *,
    retention_seconds: float,
    prediction_seconds: float = PREDICTION_SECONDS,
    checkpoint: Callable[[str], None] = lambda _: None,
) -> Upkeep:
    """Roll up closed days, move old minutes, and once a day compact, clean up, delete answers."""
    rolled = tuple(roll_up_closed_days(lake, state, now, checkpoint=checkpoint))
    deleted = None
    rolled_until = state.watermark(ROLL_UP)
    if rolled_until is not None:
        before = min(
            _date(now - retention_seconds), date.fromisoformat(rolled_until) + timedelta(days=1)
        )
        moved = [move_old_minutes(lake, kind, before, checkpoint=checkpoint) for kind in HOURS]
        deleted = before if any(moved) else None
    today = _date(now).isoformat()
    if state.watermark(COMPACTION) == today:
        return Upkeep(rolled, deleted_before=deleted)
    compacted = tuple(table for table in TABLES if compact(lake, table))
    checkpoint("compacted")
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
    checkpoint: Callable[[str], None] = lambda _: None,
) -> list[date]:
    """Recompute the hours of every closed day whose minutes changed since the last round.

    A final day is not made again: its minutes are deleted, and what arrives so late is added.
    """
    written = {kind: _written(lake, kind, open_from(lake, kind)) for kind in HOURS}
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
        if day <= last and (day > newest or day in changed)
    )
    for day in rolled:
        for kind in HOURS:
            roll_up_day(lake, kind, day)
            checkpoint(f"rolled {kind}")
    if rolled:
        state.set_watermark(ROLL_UP, max(rolled[-1], newest).isoformat())
    # Taken from the snapshot that was read, so that what is written meanwhile counts as new.
    state.set_watermark(ROLL_UP_SEEN, str(max(at for d in written.values() for at in d.values())))
    return rolled


def roll_up_day(lake: Lake, kind: str, day: date) -> None:
    """Write a day's hours from its minutes, replacing what was there."""
    minutes = lake.open(kind)
    if minutes is not None:
        write_hours(lake, kind, day, minutes)


def compact(lake: Lake, table: str) -> bool:
    """Join small files; False when the table does not exist. Appends go on meanwhile."""
    found = lake.open(table)
    if found is None:
        return False
    # Files of final days stay as they are: by their names those in the hours are known.
    days = [("day", ">=", open_from(lake, table).isoformat())] if table in HOURS else None
    try:
        found.optimize.compact(partition_filters=days, writer_properties=WRITER)
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
    if found is None or not any(day < before for day in days_of(found)):
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
        if name in HOURS and not dry_run:
            # Minutes of final days are told by their files, and a purge writes files anew.
            move_old_minutes(lake, name, date.min)
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
    uris = table.file_uris()
    if not uris:
        return 0
    sql = f"SELECT count(*) FROM {parquet_rows(uris)} WHERE {predicate}"
    row = connect().execute(sql).fetchone()
    return int(row[0]) if row else 0


def _written(lake: Lake, table: str, first: date) -> dict[date, int]:
    """When the newest file of each day from the first on was written, in epoch milliseconds."""
    found = lake.open(table)
    if found is None:
        return {}
    newest: dict[date, int] = {}
    for file in pa.table(found.get_add_actions(flatten=True)).to_pylist():
        day = date.fromisoformat(str(file["partition.day"]))
        if day >= first:
            newest[day] = max(int(_milliseconds(file["modification_time"])), newest.get(day, 0))
    return newest


def _milliseconds(moment: datetime | int) -> float:
    return moment.timestamp() * 1000.0 if isinstance(moment, datetime) else moment


def _date(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
