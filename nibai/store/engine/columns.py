"""Arrow columns to arrays and back: without copies where they need none, and without pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers without nulls.

    By DLPack, because `to_numpy` and pyarrow's scalars import pandas (0.5 s).
    """
    if not len(column):
        return np.zeros(0, dtype=column.type.to_pandas_dtype())
    # Joined by Arrow: a segment of the log has a chunk per batch, and each costs numpy 4 µs.
    return np.array(np.from_dlpack(column.combine_chunks()))


def raw(array: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Numbers, truth values or times as they lie in memory, and which are known (None: all are).

    What stands where nothing is known may be anything. Times are whole ticks.

    >>> numbers, known = raw(pa.array([1, None, 3]))
    >>> numbers[known].tolist(), known.tolist()
    ([1, 3], [True, False, True])
    """
    unknown, data = array.buffers()[:2]
    known = None if unknown is None or not array.null_count else _bits(unknown, array)
    if pa.types.is_boolean(array.type):
        return _bits(data, array), known
    dtype = np.dtype(np.int64 if pa.types.is_temporal(array.type) else _dtype(array.type))
    begin = array.offset * dtype.itemsize
    return np.frombuffer(data, dtype, len(array), begin) if len(array) else np.zeros(
        0, dtype
    ), known


def _dtype(kind: pa.DataType) -> Any:  # noqa: ANN401 - numpy's
    return kind.to_pandas_dtype()


def _bits(buffer: pa.Buffer, array: pa.Array) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].view(np.bool_)


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
