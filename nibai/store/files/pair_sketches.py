"""Sketches of parts of the pairs, made elsewhere (Spark), as tables of additive rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields

import pyarrow as pa

from nibai.errors import CollectError
from nibai.paired.rows import SketchRow, from_rows, to_rows
from nibai.predictions import PairedSketch

SCHEMA = pa.schema(
    [
        ("table", pa.string()),
        ("segment", pa.string()),
        ("metric", pa.string()),
        ("key", pa.string()),
        ("bucket", pa.int32()),
        ("count", pa.int64()),
        ("sum", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
    ]
)
"""One additive row per line; `nibai.paired.rows.SketchRow` says what each holds."""

assert SCHEMA.names == [one.name for one in fields(SketchRow)]  # noqa: S101 - one contract


def is_sketches(columns: Iterable[object]) -> bool:
    """Whether a table holds sketches and not pairs."""
    names = {getattr(column, "name", column) for column in columns}
    return set(SCHEMA.names) <= names


def to_table(sketches: Mapping[str, PairedSketch]) -> pa.Table:
    """The rows of a sketch per segment."""
    rows = [astuple(row) for row in to_rows(sketches)]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    return pa.table(
        [pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )


def read_sketches(table: pa.Table, name: str) -> dict[str, PairedSketch]:
    """The sketches that a table's rows add up to; CollectError when they are none."""
    try:
        rows = table.select(SCHEMA.names).cast(SCHEMA).to_pylist()
        return from_rows(SketchRow(**row) for row in rows)
    except (pa.ArrowInvalid, ValueError, KeyError, TypeError, IndexError) as error:
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CollectError(f"{name}: these rows are no sketches of pairs ({text})") from error
