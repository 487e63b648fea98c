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
from nibai.store.files.column_sql import Times, times_of, value_sql
from nibai.store.files.footer import WORTH_BYTES, Footer, footer
from nibai.store.files.layout import Binned, Bins, Blocks, Layout, ReplicaSpan
from nibai.store.files.row_groups import WORTH_ROWS, RowGroups, StatisticsError

if TYPE_CHECKING:
    import duckdb

READERS = {
    "parquet": "read_parquet({path}, union_by_name=true)",
    "csv": "read_csv({path}, sample_size=-1, store_rejects=true, strict_mode=false)",
    "json": "read_json({path}, sample_size=-1, maximum_object_size=268435456)",
}

NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


@dataclass(slots=True)
class Table:
    """A file or an Arrow table opened for reading; `name` is what messages call it.

    `parquet` is the path of a Parquet file, `footer` what is known of it without a query. Threads
    may share it: one query runs at a time.
    """

    name: str
    source: str
    columns: dict[str, str] = field(default_factory=dict)
    parquet: str | None = None
    footer: Footer | None = None
    _opened: duckdb.DuckDBPyConnection | None = field(default=None, repr=False, compare=False)
    _lost: int = field(default=0, repr=False, compare=False)
    _busy: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The table's own, made when first asked for."""
        if self._opened is None:
            self._opened = _connect()
        return self._opened

    def count(self) -> int:
        """Rows of the table."""
        return int(self._one("SELECT count(*)")[0]) if self.footer is None else self.footer.rows

    def rejected(self) -> int:
        """Lines of a CSV file that do not fit its columns; they are left out.

        Known once the rows were counted.
        """
        if not self.source.startswith("read_csv"):
            return self._lost
        # Every query adds its own, one for each column that a line lacks.
        by_query = "SELECT count(DISTINCT line) AS n FROM reject_errors GROUP BY scan_id"
        return int(self.rows(f"SELECT max(n) FROM ({by_query})")[0][0] or 0)

    def is_number(self, column: str) -> bool:
        """Whether DuckDB read a column as numbers."""
        kind = self.columns[column]
        return kind.removeprefix("U").startswith(NUMERIC) and not kind.endswith("]")

    def median(self, column: str) -> float | None:
        """Median of a column of numbers, None without any."""
        row = self._one(f"SELECT median(try_cast({quote(column)} AS DOUBLE))")
        return None if row[0] is None else float(row[0])

    def distinct(self, column: str, limit: int) -> list[str]:
        """Up to `limit` distinct values as text, no matter which."""
        name = quote(column)
        sql = (
            f"SELECT DISTINCT {name}::VARCHAR FROM {self.source} WHERE {name} IS NOT NULL "
            f"LIMIT {limit}"
        )
        return [row[0] for row in self.rows(sql)]

    # -- expressions ----------------------------------------------------------------------
    def value_sql(self, column: str, factor: float | None) -> str:
        """Values in base units; text such as "12ms" is read value by value.

        Raises UsageError for what is no number, or without any unit when `factor` is None.
        """
        return value_sql(self, column, factor)

    def times(self, column: str) -> Times:
        """How to read a column of times; UsageError for what is none."""
        return times_of(self, column)

    def largest(self, column: str) -> float | None:
        """The greatest absolute number of a column's first rows, where it needs no query."""
        return None if self.footer is None else self.footer.largest.get(column)

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
        self.source, self.parquet, self.footer = "checked_rows", None, None
        return "coalesce(NOT nibai_ok_, true)"

    def _lock(self) -> None:
        """Copy the rows into memory and shut every way out of the connection."""
        from nibai.store.engine.connection import connect_alone  # noqa: PLC0415 - see _connect

        rows = self._relation().to_arrow_table()
        self._lost = self.rejected()
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

        Large Parquet files are taken at their statistics' word, and `bins` tells what that leaves
        out. It raises StatisticsError where the rows contradict it, and then the rows themselves
        must be surveyed.
        """
        if by_statistics and self._large(layout):
            with suppress(StatisticsError):
                return [self._row_groups(layout).span()], 0
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
        span = ReplicaSpan("", "", int(rows), int(unusable), start, end)
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
            ReplicaSpan(str(row[0]), str(row[1]), int(row[2]), int(row[3]), row[4], row[5])
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
    ) -> Binned:
        """Additive rows of one replica by segment; rows outside the blocks are left out."""
        if span.proven:
            return self._row_groups(layout).bins(blocks)
        found = self._arrow(bins_query(layout, self.source, blocks, span))
        blocks_together = blocks.count * blocks.repeats
        return Binned(tuple(_by_segment(found, layout.segments, span, blocks_together)))

    def _row_groups(self, layout: Layout) -> RowGroups:
        return RowGroups(str(self.parquet), layout, lambda values: self._failures(layout, values))

    def _failures(self, layout: Layout, values: pa.Array) -> np.ndarray:
        """Which values of the column that tells of failures mean one."""
        connection = _connect()
        name = "" if layout.plain is None else str(layout.plain.failed)
        connection.register("met_values", pa.table({name: values}))
        rows = connection.execute(f"SELECT {layout.failed} FROM met_values").fetchall()
        return np.array([bool(row[0]) for row in rows], dtype=np.bool_)

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
            return Table(name, source, dict(known.columns), parquet, known)
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
