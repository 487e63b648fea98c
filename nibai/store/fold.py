"""Folding: rows of one segment, or of a raw Parquet part, summed to (series, minute, bucket).

State is one segment or part, so memory does not grow with history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from nibai.histogram import OVERFLOW_BUCKET, SCALE, ZERO_BUCKET, ZERO_THRESHOLD
from nibai.store.connection import connect
from nibai.store.dense import MICROSECONDS_A_MINUTE, count_dense
from nibai.store.sql import literal, quote
from nibai.store.summing import Sums

MAX_COUNTERS = 2**24
"""128 MiB of counters; a part of an hour with a hundred series needs a fifth of it."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Rows per lake table (absent: none)."""

    tables: dict[str, pa.Table]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.num_rows for table in self.tables.values())


def fold(rows: pa.Table) -> Folded:
    """Sum additive rows to minutes.

    Equal to folding any split of the rows and adding up, whatever their order.
    """
    if rows.num_rows == 0:
        return Folded({})
    sums = Sums(rows)
    tables = {"hist": sums.hist(), "cell": sums.cell()}
    return Folded({kind: table for kind, table in tables.items() if table.num_rows})


def fold_raw(part: Path, *, keys: tuple[str, ...], time_us: str, value: str) -> pa.Table:
    """Minute histograms of one raw Parquet part: (keys, minute, bucket, count).

    `time_us` is a BIGINT column of microseconds since the epoch, `value` a column of seconds. For
    back-filling from request logs; one part at a time keeps memory flat.
    """
    counted = count_dense(part, keys, time_us, value, most=MAX_COUNTERS)
    return _count_sparse(part, keys, time_us, value) if counted is None else counted


def _count_sparse(part: Path, keys: tuple[str, ...], time_us: str, value: str) -> pa.Table:
    """The same by DuckDB, for parts with very many series or long spans."""
    columns = ", ".join(f"{quote(key)}::VARCHAR AS {quote(key)}" for key in keys)
    at, seconds = quote(time_us), quote(value)
    bucket = (
        f"(CASE WHEN {seconds} <= {ZERO_THRESHOLD!r} THEN {ZERO_BUCKET} "
        f"WHEN isinf({seconds}) THEN {OVERFLOW_BUCKET} "
        f"ELSE ceil(log2({seconds}) * {2**SCALE}) - 1 END)::SMALLINT"
    )
    sql = (
        f"SELECT {columns}, ({at} // {MICROSECONDS_A_MINUTE})::INTEGER AS minute, "
        f"{bucket} AS bucket, count(*) AS count FROM read_parquet({literal(str(part))}) "
        "GROUP BY ALL"
    )
    return connect().sql(sql).to_arrow_table()
