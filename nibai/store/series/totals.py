"""Running totals of every series: what was appended since the first time they were asked for.

Counters have to grow, also over restarts and when late minutes come: so rows are taken as they are
appended, whatever minute they are of, and the sums are kept in a file with the version of the table
they hold. A source that is read again may lower a count, and Prometheus would take that for a
restart and add everything since the beginning to its rate: what is shown stays at the highest until
the sum has caught up.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nibai.store.engine.columns import column, no_rows, numbers
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal, parquet_rows
from nibai.store.lake.appended import appended
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading

# Every name stands once: hundreds of rows belong to one series.
_SERIES = [
    (name, pa.dictionary(pa.int32(), pa.string())) for name in ("endpoint", "variant", "metric")
]
_BUCKET = [("scale", pa.int8()), ("bucket", pa.int16()), ("count", pa.int64())]
HIST = pa.schema([*_SERIES, *_BUCKET])
CELL = pa.schema(
    [
        *_SERIES,
        ("count", pa.int64()),
        ("errors", pa.int64()),
        ("timeouts", pa.int64()),
        ("sum", pa.float64()),
    ]
)
RECENT = pa.schema([*_SERIES, ("minute", pa.int32()), *_BUCKET])

RECENT_MINUTES = 5
RECENT_SECONDS = 2 * 86400.0
"""A series without data for so long has no recent quantile."""

_VERSION = b"nibai.version"
_SHOWN = "shown_"
"""Before the name of a sum: the highest that was shown of it."""

_SUMS = {"hist": ("count",), "cell": ("count", "errors", "timeouts", "sum")}
_GROUPED = {
    "hist": "endpoint, variant, metric, scale, bucket, sum(count)::BIGINT AS count",
    "cell": "endpoint, variant, metric, sum(count)::BIGINT AS count, "
    "sum(errors)::BIGINT AS errors, sum(timeouts)::BIGINT AS timeouts, "
    # Requests without buckets are in no histogram, so their sum is not either.
    "sum(sum) FILTER (provenance <> 'scalar') AS sum",
}
_MERGED = {
    table: ", ".join(
        [
            _GROUPED[table].replace(" FILTER (provenance <> 'scalar')", ""),
            *(f"greatest(sum({one}), max({_SHOWN}{one})) AS {_SHOWN}{one}" for one in sums),
        ]
    )
    for table, sums in _SUMS.items()
}
_SHAPES = {"hist": HIST, "cell": CELL}
_SCHEMAS = {
    name: pa.schema([*shape, *(shape.field(s).with_name(_SHOWN + s) for s in _SUMS[name])])
    for name, shape in _SHAPES.items()
}


@dataclass(frozen=True, slots=True)
class Seen:
    """Totals at one moment: buckets, counts, and the buckets of the newest minutes by series.

    `number` changes whenever the numbers do.
    """

    hist: pa.Table
    cell: pa.Table
    recent: pa.Table
    number: int = 0


class Totals:
    """Totals of some metrics of a lake, kept in a folder; one process writes there."""

    def __init__(self, lake: Lake, folder: Path, metrics: Sequence[str]) -> None:
        self._lake = lake
        self._folder = folder
        self._metrics = ", ".join(literal(metric) for metric in metrics)
        self._lock = threading.Lock()
        self._tables = {name: no_rows(schema) for name, schema in _SCHEMAS.items()}
        self._versions: dict[str, int | None] = dict.fromkeys(_SCHEMAS)
        self._recent = no_rows(RECENT)
        self._number = 0
        self._begun = False

    def refresh(self, now: float) -> Seen:
        """Take in what was appended since; raises StoreError when the lake cannot be read."""
        with self._lock:
            if not self._begun:
                self._begin(now)
            changed = [*(self._grow(table, now) for table in _SCHEMAS), self._forget(now)]
            if any(changed):
                self._number += 1
            hist, cell = (_shown(self._tables[name], name) for name in ("hist", "cell"))
            return Seen(hist, cell, self._recent, self._number)

    def _begin(self, now: float) -> None:
        for table, schema in _SCHEMAS.items():
            with contextlib.suppress(OSError, pa.ArrowException, KeyError, ValueError):
                kept = pq.ParquetFile(self._file(table)).read()  # `read_table` imports pandas
                self._versions[table] = int(kept.schema.metadata[_VERSION])
                self._tables[table] = _as(schema, kept)
            if self._versions[table] is None:
                # Before the first commit is version -1; a lake that is there is not counted.
                newest, _ = appended(self._lake, table, None)
                self._versions[table] = -1 if newest is None else newest
        days = [datetime.fromtimestamp(t, UTC).date() for t in (now - RECENT_SECONDS, now + 86400)]
        self._recent = self._newest(no_rows(RECENT), self._lake.file_uris("hist", *days), now)
        self._begun = True

    def _grow(self, table: str, now: float) -> bool:
        newest, files = appended(self._lake, table, self._versions[table])
        if newest is None or newest == self._versions[table]:
            return False
        if files:
            grouped = (
                f"SELECT {_MERGED[table]} FROM (SELECT * FROM known UNION ALL BY NAME "
                f"SELECT {_GROUPED[table]} FROM {parquet_rows(files)} "
                f"WHERE metric IN ({self._metrics}) GROUP BY ALL) GROUP BY ALL ORDER BY ALL"
            )
            found = self._query(grouped, known=self._tables[table])
            self._tables[table] = _as(_SCHEMAS[table], found)
            if table == "hist":
                self._recent = self._newest(self._recent, files, now)
        self._versions[table] = newest
        self._keep(table, newest)
        return bool(files)

    def _forget(self, now: float) -> bool:
        """Minutes grow old also where nothing comes any more."""
        oldest = int((now - RECENT_SECONDS) // 60)
        young = np.flatnonzero(numbers(self._recent["minute"]) > oldest)
        if len(young) == self._recent.num_rows:
            return False
        self._recent = self._recent.take(column(young, pa.int64()))
        return True

    def _newest(self, known: pa.Table, files: Sequence[str], now: float) -> pa.Table:
        """The newest minutes of every series, those that were known included."""
        if not files:
            return known
        columns = "endpoint, variant, metric, minute, scale, bucket"
        rows = (
            f"(SELECT {columns}, count::BIGINT AS count FROM {parquet_rows(files)} "
            f"WHERE metric IN ({self._metrics}) "
            f"AND minute > {int((now - RECENT_SECONDS) // 60)})"
        )
        # Of the files first, read twice: all rows of two days are never in memory at once.
        sql = (
            f"WITH fresh AS ({_last_minutes(columns, rows)}), "
            "rows AS (SELECT * FROM known UNION ALL BY NAME SELECT * FROM fresh) "
            f"{_last_minutes(columns, 'rows')} ORDER BY ALL"
        )
        return _as(RECENT, self._query(sql, known=known))

    def _query(self, sql: str, *, known: pa.Table) -> pa.Table:
        connection = connect()
        connection.register("known", known)
        with reading(self._lake.root):
            return connection.sql(sql).to_arrow_table()

    def _keep(self, table: str, version: int) -> None:
        """Write the totals beside the lake; without the disk they go on in memory."""
        kept = self._tables[table].replace_schema_metadata({_VERSION: str(version).encode()})
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            waiting = self._file(table).with_suffix(".new")
            pq.write_table(kept, waiting, compression="zstd")
            waiting.replace(self._file(table))

    def _file(self, table: str) -> Path:
        return self._folder / f"{table}.parquet"


def _last_minutes(columns: str, rows: str) -> str:
    """The newest minutes of every series among some rows, summed."""
    return (
        f"SELECT {columns}, sum(count)::BIGINT AS count FROM {rows} "
        "JOIN (SELECT endpoint, variant, metric, max(minute) AS last "
        f"FROM {rows} GROUP BY ALL) USING (endpoint, variant, metric) "
        f"WHERE minute > last - {RECENT_MINUTES} GROUP BY ALL"
    )


def _shown(table: pa.Table, name: str) -> pa.Table:
    """The table as it is shown: sums that never fall."""
    keys = [column for column in _SHAPES[name].names if column not in _SUMS[name]]
    columns = [*keys, *(_SHOWN + column for column in _SUMS[name])]
    return table.select(columns).rename_columns([*keys, *_SUMS[name]])


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """The columns of a schema, names encoded."""
    columns = []
    for field in schema:
        column = table[field.name]
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        columns.append(column.combine_chunks().cast(field.type))
    return pa.table(columns, schema=schema)
