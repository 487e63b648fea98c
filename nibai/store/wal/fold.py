"""Folding: rows of one segment, or of a raw Parquet part, summed to (series, minute, bucket).

State is one segment or part, so memory does not grow with history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from nibai.histogram import bucket_index
from nibai.store.engine.columns import column
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import quote
from nibai.store.wal.dense import MICROSECONDS_A_MINUTE, count_dense
from nibai.store.wal.summing import Sums

MAX_COUNTERS = 2**24
"""64 MiB of counters; a part of an hour with a hundred series needs a tenth of it."""


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
    file = pq.ParquetFile(part)
    kinds = [file.schema_arrow.field(key) for key in keys]
    schema = pa.schema([*kinds, ("minute", pa.int32()), ("bucket", pa.int16())])
    refused: list[ValueError] = []

    def rows() -> Iterator[pa.RecordBatch]:
        try:
            for batch in file.iter_batches(columns=[*keys, time_us, value], use_threads=False):
                yield _with_buckets(batch, schema)
        except ValueError as error:  # DuckDB makes another of it, with a traceback in its text
            refused.append(error)
            raise

    texts = "".join(f"{quote(key)}::VARCHAR AS {quote(key)}, " for key in keys)
    connection = connect()
    connection.register("rows_of_part", pa.RecordBatchReader.from_batches(schema, rows()))
    sql = f"SELECT {texts}minute, bucket, count(*) AS count FROM rows_of_part GROUP BY ALL"
    try:
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error:
        if refused:
            raise refused[0] from None
        raise


def _with_buckets(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Keys, minute and bucket; the bucket is the exact one, which no logarithm finds."""
    *keys, times, values = batch.columns
    if times.null_count or values.null_count:
        raise ValueError("a histogram takes values >= 0; remove rows without time or value first")
    minutes = np.from_dlpack(times) // MICROSECONDS_A_MINUTE
    buckets = bucket_index(np.from_dlpack(values))
    arrays = [*keys, column(minutes, pa.int32()), column(buckets, pa.int16())]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
