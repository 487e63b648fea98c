"""What a Parquet file's footer says of its columns and rows, in the words of DuckDB's DESCRIBE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

WORTH_BYTES = 1 << 20
"""Smaller files are read by DuckDB in any case, which describes them too."""

DUCKDB_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.date32(): "DATE",
    pa.timestamp("ms"): "TIMESTAMP",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("ns"): "TIMESTAMP_NS",
}
WITH_ZONE = {"ms": "TIMESTAMP WITH TIME ZONE", "us": "TIMESTAMP WITH TIME ZONE"}

PLAIN_LOGICAL = frozenset({"NONE", "INT", "STRING", "DATE", "TIMESTAMP"})
UNLIKE = frozenset({"INT96"})
"""Physical types that Arrow and DuckDB read as different types."""

SIGNS = "*?[="
"""DuckDB takes a path with one of them for a pattern, or adds the columns of its folders."""


@dataclass(frozen=True, slots=True)
class Footer:
    """Types by column, in the file's order, and the number of rows.

    `largest`: the greatest absolute number of a column in the first row group, where it is known.
    """

    columns: Mapping[str, str]
    rows: int
    largest: Mapping[str, float]


def footer(path: str) -> Footer | None:
    """The footer; None where DuckDB may say something else, or has to say what is wrong.

    That is: nested columns, types beyond numbers, text and times, names that differ in case only,
    a path that is more than a path, and a file that cannot be read.
    """
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - small files do without

    if any(sign in path for sign in SIGNS):
        return None
    try:
        with ParquetFile(path) as file:
            stored = [file.schema.column(i) for i in range(len(file.schema))]
            fields = list(file.schema_arrow)
            rows, largest = file.metadata.num_rows, _largest(file.metadata)
    except (pa.ArrowException, OSError):
        return None
    if any(
        one.logical_type.type not in PLAIN_LOGICAL
        or one.physical_type in UNLIKE
        or one.max_repetition_level
        for one in stored
    ):
        return None
    names = [_name(field.type) for field in fields]
    if len({field.name.lower() for field in fields if field.name}) < len(fields):
        return None
    columns = {field.name: name for field, name in zip(fields, names, strict=True) if name}
    return Footer(columns, rows, largest) if len(columns) == len(fields) else None


def _name(kind: pa.DataType) -> str | None:
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return WITH_ZONE.get(kind.unit)
    return DUCKDB_NAMES.get(kind)


def _largest(metadata: FileMetaData) -> dict[str, float]:
    found: dict[str, float] = {}
    if not metadata.num_row_groups:
        return found
    group = metadata.row_group(0)
    for i in range(group.num_columns):
        chunk = group.column(i)
        known = chunk.statistics
        if known is not None and known.has_min_max and isinstance(known.max_raw, int | float):
            largest = max(abs(known.min_raw), abs(known.max_raw))
            if math.isfinite(largest):
                found[chunk.path_in_schema] = float(largest)
    return found
