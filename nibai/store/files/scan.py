"""One file of measurements, read by DuckDB into block histograms without rows in Python.

Only SQL made here runs, plus one boolean expression of the user (`--ok`); that one is parsed as an
expression and runs on a connection that holds nothing but the rows, without external access.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nibai.errors import CollectError, UsageError
from nibai.histogram import ZERO_BUCKET
from nibai.store.engine.columns import numbers
from nibai.store.engine.sql import literal, quote, text
from nibai.store.files.bins import BUCKETS, bad, bins_query
from nibai.store.files.footer import WORTH_BYTES, footer
from nibai.store.files.layout import Bins, Blocks, Layout, ReplicaSpan
from nibai.store.files.row_groups import WORTH_ROWS, RowGroups, StatisticsError

if TYPE_CHECKING:
    import duckdb

READERS = {
    "parquet": "read_parquet({path}, union_by_name=true)",
    "csv": "read_csv({path}, sample_size=-1, store_rejects=true, strict_mode=false)",
    "json": "read_json({path}, sample_size=-1, maximum_object_size=268435456)",
}

NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
SAMPLE_ROWS = 100_000
"""Rows that tell in which unit a column of numbers counts time."""

UNIT_FACTORS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
NUMBER_WITH_UNIT = r"^\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(s|ms|us|µs|ns)?\s*$"


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times: SQL in seconds since the epoch, and what was understood.

    `per_second`: ticks of a column of numbers or timestamps, None for everything else.
    """

    column: str
    sql: str
    understood: str
    per_second: float | None = None


@dataclass(slots=True)
class Table:
    """A file or an Arrow table opened for reading; `name` is what messages call it.

    `parquet` is the path of a Parquet file, `known_rows` what its footer says of them. Threads may
    share it: one query runs at a time.
    """

    name: str
    source: str
    columns: dict[str, str] = field(default_factory=dict)
    parquet: str | None = None
    known_rows: int | None = None
    _opened: duckdb.DuckDBPyConnection | None = field(default=None, repr=False, compare=False)
    _busy: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The table's own, made when first asked for."""
        if self._opened is None:
            self._opened = _connect()
        return self._opened

    def count(self) -> int:
        """Rows of the table."""
        return int(self._one("SELECT count(*)")[0]) if self.known_rows is None else self.known_rows

    def rejected(self) -> int:
        """Lines of a CSV file that do not fit its columns; they are left out."""
        import duckdb  # noqa: PLC0415 - see _connect

        try:
            row = self.connection.execute("SELECT count(*) FROM reject_errors").fetchone()
        except duckdb.Error:
            return 0
        return int(row[0]) if row else 0

    def is_number(self, column: str) -> bool:
        """Whether DuckDB read a column as numbers."""
        return self.columns[column].startswith(NUMERIC) or self.columns[column].startswith("U")

    def median(self, column: str) -> float | None:
        """Median of a column of numbers, None without any."""
        row = self._one(f"SELECT median(try_cast({quote(column)} AS DOUBLE))")
        return None if row[0] is None else float(row[0])

    def distinct(self, column: str, limit: int) -> list[str]:
        """Up to `limit` distinct values as text, in order of first appearance."""
        sql = (
            f"SELECT v FROM (SELECT {quote(column)}::VARCHAR AS v, min(rowid_) AS r FROM "
            f"(SELECT {quote(column)}, row_number() OVER () AS rowid_ FROM {self.source}) "
            f"GROUP BY 1) ORDER BY r LIMIT {limit}"
        )
        return [row[0] for row in self.rows(sql) if row[0] is not None]

    # -- expressions ----------------------------------------------------------------------
    def value_sql(self, column: str, factor: float | None) -> str:
        """Values in base units; text such as "12ms" is read value by value.

        Raises UsageError for text that is no number, or without any unit when `factor` is None.
        """
        name = quote(column)
        if self.is_number(column):
            return f"({name}::DOUBLE * {factor!r})" if factor != 1.0 else f"{name}::DOUBLE"
        self._refuse_text(column, factor)
        unit = f"regexp_extract({name}, '{NUMBER_WITH_UNIT}', 2)"
        number = f"try_cast(regexp_extract({name}, '{NUMBER_WITH_UNIT}', 1) AS DOUBLE)"
        cases = " ".join(f"WHEN '{u}' THEN {f!r}" for u, f in UNIT_FACTORS.items())
        return f"({number} * CASE {unit} {cases} ELSE {factor or 1.0!r} END)"

    def _refuse_text(self, column: str, factor: float | None) -> None:
        name = quote(column)
        needs_unit = (
            ""
            if factor is not None
            else f" OR regexp_extract({name}, '{NUMBER_WITH_UNIT}', 2) = ''"
        )
        row = self.rows(
            f"SELECT {name}, row_number() OVER () AS r FROM {self.source} "
            f"QUALIFY {name} IS NOT NULL AND trim({name}) NOT IN ('', 'NaN', 'nan') AND "
            f"(NOT regexp_matches({name}, '{NUMBER_WITH_UNIT}'){needs_unit}) LIMIT 1"
        )
        if row:
            raise UsageError(
                f"{self.name}: column {column!r} holds {row[0][0]!r} in row {row[0][1]}, which is "
                "not a number with a known unit: fix the file, or choose another column (--value)"
            )

    def times(self, column: str) -> Times:
        """How to read a column of times; UsageError for text that is none."""
        kind, name = self.columns[column], quote(column)
        if kind == "TIMESTAMP WITH TIME ZONE":
            return Times(column, f"(epoch_us({name}) / 1e6)", "timestamps", 1e6)
        if kind.startswith(("TIMESTAMP", "DATE")):
            sql = f"(epoch_us({name}::TIMESTAMP) / 1e6)"
            return Times(column, sql, "timestamps", None if kind == "DATE" else 1e6)
        if self.is_number(column):
            return self._epoch(column)
        bad = self.rows(
            f"SELECT {name} FROM {self.source} WHERE {name} IS NOT NULL AND "
            f"try_cast({name} AS TIMESTAMPTZ) IS NULL LIMIT 1"
        )
        if bad:
            raise UsageError(
                f"{self.name}: column {column!r} holds {bad[0][0]!r}, which is not a time: "
                "use ISO 8601 or seconds since 1970, or name another column (--time)"
            )
        return Times(column, f"(epoch_us(try_cast({name} AS TIMESTAMPTZ)) / 1e6)", "ISO times")

    def _epoch(self, column: str) -> Times:
        """Numbers: the size tells seconds from milli-, micro- and nanoseconds since 1970."""
        name = f"{quote(column)}::DOUBLE"
        if self.columns[column] in {"FLOAT", "DOUBLE"}:
            name = f"(CASE WHEN isfinite({name}) THEN {name} END)"  # NaN is no time
        sample = f"(SELECT {quote(column)} FROM {self.source} LIMIT {SAMPLE_ROWS})"
        row = self.rows(f"SELECT max(abs({name})) FROM {sample}")[0]
        largest = float(row[0] or 0.0)
        for limit, ticks, word in ((1e17, 1e9, "nano"), (1e14, 1e6, "micro"), (1e11, 1e3, "milli")):
            if largest > limit:
                sql = f"({name} / {ticks!r})"
                return Times(column, sql, f"{word}seconds since 1970", ticks)
        understood = "seconds since 1970" if largest > 1e8 else "seconds"  # noqa: PLR2004 - 1973
        return Times(column, name, understood, 1.0)

    def ok_sql(self, expression: str) -> str:
        """A user's boolean expression, checked on a locked connection that holds only the rows."""
        import duckdb  # noqa: PLC0415 - see _connect

        self._lock()
        try:
            checked = duckdb.SQLExpression(expression)
            relation = self.connection.sql(f"FROM {self.source}")
            kept = relation.select(
                duckdb.StarExpression(), checked.cast("BOOLEAN").alias("nibai_ok_")
            )
            kept.to_arrow_table()
            self.connection.register("checked_rows", kept.to_arrow_table())
        except duckdb.Error as error:
            text = str(error).splitlines()[0]
            raise UsageError(
                f"{self.name}: --ok {expression!r} is not a boolean expression over its columns "
                f"({', '.join(sorted(self.columns))}): {text}"
            ) from error
        self.source, self.parquet, self.known_rows = "checked_rows", None, None
        return "coalesce(NOT nibai_ok_, true)"

    def _lock(self) -> None:
        """Copy the rows into memory and shut every way out of the connection."""
        from nibai.store.engine.connection import connect_alone  # noqa: PLC0415 - see _connect

        rows = self._relation().to_arrow_table()
        self._opened = connect_alone()
        self.connection.register("only_rows", rows)
        self.source = "only_rows"
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    # -- answers --------------------------------------------------------------------------
    def survey(
        self, layout: Layout, *, by_statistics: bool = True
    ) -> tuple[list[ReplicaSpan], int]:
        """Every replica's rows and time span, and how many rows stand before the row above.

        Large Parquet files are taken at their statistics' word; `bins` raises StatisticsError
        where the rows contradict it, and then the rows themselves must be surveyed.
        """
        if by_statistics and self._large(layout):
            with suppress(StatisticsError):
                return [RowGroups(str(self.parquet), layout).span()], 0
        if layout.time is not None and not (layout.side or layout.replica):
            return self._one_pass(layout)
        return self._spans(layout), self._disorder(layout)

    def _large(self, layout: Layout) -> bool:
        if self.parquet is None or layout.plain is None or self.count() < WORTH_ROWS:
            return False
        return all(self.columns[name] == "VARCHAR" for name in layout.segments)

    def _one_pass(self, layout: Layout) -> tuple[list[ReplicaSpan], int]:
        sql = (
            "SELECT count(*), count(*) FILTER (WHERE bad), min(t), max(t), "
            "count(*) FILTER (WHERE t < before) FROM "
            "(SELECT t, bad, lag(t) OVER () AS before FROM "
            f"(SELECT {layout.time} AS t, {bad(layout)} AS bad FROM {self.source}))"
        )
        rows, unusable, start, end, disorder = self.rows(sql)[0]
        span = ReplicaSpan("", "", int(rows), int(unusable), start, end, 0)
        return ([span] if rows else []), int(disorder)

    def _spans(self, layout: Layout) -> list[ReplicaSpan]:
        """Rows, unusable rows and time span of every replica, in order of appearance."""
        time = layout.time or "NULL::DOUBLE"
        sql = (
            f"SELECT {text(layout.side)}, {text(layout.replica)}, count(*), "
            f"count(*) FILTER (WHERE {bad(layout)}), min({time}), max({time}), "
            f"min(rowid_) FROM (SELECT *, row_number() OVER () AS rowid_ FROM {self.source}) "
            "GROUP BY 1, 2 ORDER BY 7"
            if layout.side or layout.replica
            else f"SELECT '', '', count(*), count(*) FILTER (WHERE {bad(layout)}), "
            f"min({time}), max({time}), 0 FROM {self.source}"
        )
        return [
            ReplicaSpan(
                str(row[0]), str(row[1]), int(row[2]), int(row[3]), row[4], row[5], int(row[6])
            )
            for row in self.rows(sql)
            if row[2]
        ]

    def _disorder(self, layout: Layout) -> int:
        if layout.time is None:
            return 0
        sql = (
            f"SELECT count(*) FROM (SELECT {layout.time} AS t, lag({layout.time}) OVER () AS "
            f"before FROM {self.source}) WHERE t < before"
        )
        return int(self.rows(sql)[0][0])

    def bins(
        self,
        layout: Layout,
        blocks: Blocks,
        span: ReplicaSpan,
    ) -> Iterator[Bins]:
        """Additive rows of one replica by segment; rows outside the blocks are left out."""
        if span.proven:
            return RowGroups(str(self.parquet), layout).bins(blocks)
        found = self._arrow(bins_query(layout, self.source, blocks, span))
        return _by_segment(found, layout.segments, span, blocks.count * blocks.repeats)

    # -- DuckDB ---------------------------------------------------------------------------
    def _relation(self) -> duckdb.DuckDBPyRelation:
        return self.connection.sql(f"FROM {self.source}")

    def _one(self, select: str) -> tuple[Any, ...]:
        return self.rows(f"{select} FROM {self.source}")[0]

    def arrow(self) -> pa.Table:
        """All rows."""
        return self._arrow(f"FROM {self.source}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query over the table answers."""
        with self._busy, unreadable(self.name):
            return self.connection.execute(sql).fetchall()

    def _arrow(self, sql: str) -> pa.Table:
        with self._busy, unreadable(self.name):
            return self.connection.sql(sql).to_arrow_table()


class unreadable:  # noqa: N801 - reads as a statement: with unreadable(name)
    """Turns DuckDB's errors about a file into a CollectError that names it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        import duckdb  # noqa: PLC0415 - see _connect

        if isinstance(error, duckdb.Error):
            text = re.sub(r"\s+", " ", str(error)).split(" LINE ")[0].split(". ")[0][:200]
            raise CollectError(
                f"{self.name} cannot be read ({text}): is the file complete? Make or fetch it again"
            ) from error


def open_file(path: Path, kind: str, name: str) -> Table:
    """A Parquet, CSV or JSON file (gz, zst)."""
    source = READERS[kind].format(path=literal(str(path)))
    parquet = str(path) if kind == "parquet" else None
    if parquet is not None and path.stat().st_size >= WORTH_BYTES:
        known = footer(parquet)
        if known is not None:
            return Table(name, source, dict(known.columns), parquet, known.rows)
    return _described(Table(name, source, parquet=parquet))


def open_arrow(rows: pa.Table, name: str) -> Table:
    """Rows that are in memory already."""
    if not rows.num_columns:
        return Table(name, "(SELECT 1 WHERE false)")
    table = Table(name, "given_rows")
    table.connection.register("given_rows", rows)
    return _described(table)


def _described(table: Table) -> Table:
    with unreadable(table.name):
        described = table.connection.execute(f"DESCRIBE SELECT * FROM {table.source}").fetchall()
    table.columns = {row[0]: row[1] for row in described}
    return table


def _connect() -> duckdb.DuckDBPyConnection:
    """Large Parquet files do without DuckDB, whose import and start take 80 ms."""
    from nibai.store.engine.connection import connect_files  # noqa: PLC0415 - see above

    return connect_files()


def _by_segment(
    rows: pa.Table, segments: Sequence[str], span: ReplicaSpan, blocks: int
) -> Iterator[Bins]:
    keys = numbers(rows.column("k"))
    block, bucket = keys // BUCKETS, keys % BUCKETS + ZERO_BUCKET
    count, total = (numbers(rows.column(name)) for name in ("n", "total"))
    total = np.where(np.isfinite(total), total, 0.0)
    labels = np.full(rows.num_rows, "", dtype=object)
    for i, name in enumerate(segments):
        values = rows.column(f"s{i}").to_pylist()
        parts = np.array([f"{name}={value}" for value in values], dtype=object)
        labels = parts if i == 0 else labels + "," + parts
    for label in dict.fromkeys(labels.tolist()):
        own = labels == label
        sums = np.bincount(block[own], weights=total[own], minlength=blocks)
        yield Bins(span.side, span.replica, label, block[own], bucket[own], count[own], sums)
