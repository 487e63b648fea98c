"""The shapes of rows, in the write-ahead log and in the lake: additive ones, and answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nibai.conventions import WAL_COLUMNS

_TEXT = pa.dictionary(pa.int32(), pa.string())

WAL_SCHEMA = pa.schema(
    [
        ("endpoint", _TEXT),
        ("variant", _TEXT),
        ("replica", _TEXT),
        ("segment", _TEXT),
        ("metric", _TEXT),
        ("minute", pa.int32()),
        ("scale", pa.int8()),
        ("bucket", pa.int16()),
        ("count", pa.int64()),
        ("value", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("errors", pa.int64()),
        ("timeouts", pa.int64()),
        ("provenance", _TEXT),
    ]
)
assert tuple(WAL_SCHEMA.names) == WAL_COLUMNS  # noqa: S101 - two spellings of one contract

PREDICTION_SCHEMA = pa.schema(
    [
        ("endpoint", _TEXT),
        ("variant", _TEXT),
        ("replica", _TEXT),
        ("segment", _TEXT),
        ("at_us", pa.int64()),
        ("request_id", pa.string()),
        ("input_hash", pa.string()),
        ("label", _TEXT),
        ("score", pa.float64()),
        ("margin", pa.float64()),
        ("probabilities", pa.list_(pa.float32())),
        ("truth", _TEXT),
        ("invalid", _TEXT),
        ("batch", pa.int32()),
        ("source", _TEXT),
        ("repeat", pa.int32()),
    ]
)
"""One answer a row (`nibai.predictions.PredictionRecord`), in the log and before it is folded."""

_KEY: list[tuple[str, pa.DataType]] = [
    ("day", pa.date32()),
    ("endpoint", pa.string()),
    ("variant", pa.string()),
    ("replica", pa.string()),
    ("segment", pa.string()),
    ("metric", pa.string()),
    ("minute", pa.int32()),
    ("provenance", pa.string()),
]

_HIST = [("scale", pa.int8()), ("bucket", pa.int16()), ("count", pa.int32())]
_CELL = [
    ("count", pa.int64()),
    ("sum", pa.float64()),
    ("min", pa.float64()),
    ("max", pa.float64()),
    ("errors", pa.int64()),
    ("timeouts", pa.int64()),
]
_CATEGORY = [("key", pa.string()), ("count", pa.int32())]


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


PREDICTIONS = "predictions"
# Answers are no sums: one row each, kept for days, paired by queries.
_PREDICTIONS = [
    ("day", pa.date32()),
    ("minute", pa.int32()),
    *((field.name, _plain(field.type)) for field in PREDICTION_SCHEMA),
]

# Delta has no unsigned types: everything is signed, and sums are made in BIGINT.
TABLES: dict[str, pa.Schema] = {
    "hist": pa.schema(_KEY + _HIST),
    "cell": pa.schema(_KEY + _CELL),
    "category": pa.schema(_KEY + _CATEGORY),
    "hist_hour": pa.schema(_KEY + _HIST),
    "cell_hour": pa.schema(_KEY + _CELL),
    "category_hour": pa.schema(_KEY + _CATEGORY),
    PREDICTIONS: pa.schema(_PREDICTIONS),
}


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers without nulls.

    By DLPack, because `to_numpy` and pyarrow's scalars import pandas (0.5 s).
    """
    if not len(column):
        return np.zeros(0, dtype=column.type.to_pandas_dtype())
    # Joined by Arrow: a segment of the log has a chunk per batch, and each costs numpy 4 µs.
    return np.array(np.from_dlpack(column.combine_chunks()))


def no_rows(schema: pa.Schema) -> pa.Table:
    """A table without rows; `Schema.empty_table` imports pandas (0.5 s) to make its columns."""
    return pa.Table.from_arrays([pa.nulls(0, one.type) for one in schema], schema=schema)


def column(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """An array as a column without a copy; `pa.array` imports pandas (0.5 s) to look at it."""
    buffer = pa.py_buffer(np.ascontiguousarray(values, dtype=kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


def fillable(length: int, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """A column of numbers, and the array to fill it through.

    In memory that Arrow keeps for the next column: what numpy lets go of goes back to the system,
    and getting it again, page by page, takes longer than most arithmetic.
    """
    dtype = np.dtype(kind.to_pandas_dtype())
    buffer = pa.allocate_buffer(length * dtype.itemsize)
    return pa.Array.from_buffers(kind, length, [None, buffer]), np.frombuffer(buffer, dtype=dtype)


def text_column(values: Sequence[str | None]) -> pa.Array:
    """Texts with gaps as a column, without pandas (see `column`).

    >>> text_column(["a", None, "ü"]).to_pylist()
    ['a', None, 'ü']
    """
    known = np.array([value is not None for value in values], dtype=np.uint8)
    packed = [(value or "").encode("utf-8", "replace") for value in values]
    ends = np.cumsum([0, *map(len, packed)], dtype=np.int64)
    buffers = [np.packbits(known, bitorder="little"), ends, b"".join(packed)]
    long = pa.Array.from_buffers(pa.large_string(), len(values), list(map(pa.py_buffer, buffers)))
    return long.cast(pa.string())
