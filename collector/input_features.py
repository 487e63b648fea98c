"""Columns of inputs as numbers: what a model of the traffic can learn from them.

Numbers stay, with an indicator where some are missing; texts become indicators of their most
frequent values; lists of numbers (embeddings) become one column each. What is done with a column is
settled on all periods together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nibai.errors import UsageError
from nibai.histogram import Float64Array

MAX_VALUES = 20
"""Values of a text column that get an indicator of their own; the others share none."""

LEAST_SHARE = 0.005
"""A rarer value or gap cannot explain anything and gets no indicator."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Names of the columns, their values (n, d), and gaps that were filled, by column."""

    names: tuple[str, ...]
    values: Float64Array
    gaps: dict[str, int]


def encode(table: pa.Table, columns: dict[str, str]) -> Features:
    """All of `columns` (column of the table -> the user's name for it) as numbers.

    Raises UsageError for columns that are neither numbers, texts, truth values nor lists of equally
    many numbers.
    """
    names: list[str] = []
    parts: list[Float64Array] = []
    gaps: dict[str, int] = {}
    for column, name in columns.items():
        made, values, missing = _one(table[column], name)
        names += made
        parts.append(values)
        if missing:
            gaps[name] = missing
    values = np.concatenate(parts, axis=1) if parts else np.empty((table.num_rows, 0))
    return Features(tuple(names), values, gaps)


def _one(column: pa.ChunkedArray, name: str) -> tuple[list[str], Float64Array, int]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numbers(np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64), name)
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return _vectors(column, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return _words(column.cast(pa.string()), name)
    raise UsageError(
        f"--input {name!r} holds {kind}: give columns of numbers, texts or lists of numbers"
    )


def _numbers(values: Float64Array, name: str) -> tuple[list[str], Float64Array, int]:
    finite = np.isfinite(values)
    missing = int((~finite).sum())
    middle = float(np.median(values[finite])) if finite.any() else 0.0
    filled = np.where(finite, values, middle)
    if missing < max(LEAST_SHARE * len(values), 1):
        return [name], filled[:, None], missing
    return [name, f"{name} missing"], np.column_stack([filled, ~finite]), missing


def _words(column: pa.ChunkedArray, name: str) -> tuple[list[str], Float64Array, int]:
    missing = int(column.null_count)
    words = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    codes = words.indices.to_numpy()
    counts = np.bincount(codes, minlength=len(words.dictionary))
    order = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    kept = [int(i) for i in order if counts[i] >= LEAST_SHARE * len(codes)]
    names = [f"{name}={words.dictionary[i].as_py()}" for i in kept]
    return names, np.asarray(codes[:, None] == np.array(kept), dtype=np.float64), missing


def _vectors(column: pa.ChunkedArray, name: str) -> tuple[list[str], Float64Array, int]:
    lengths = pc.list_value_length(column)
    widths = pc.unique(lengths.drop_null()).to_pylist()
    if len(widths) != 1 or not widths[0]:
        raise UsageError(
            f"--input {name!r} holds lists of different lengths: give vectors of one length"
        )
    width, missing = int(widths[0]), int(column.null_count)
    flat = pc.list_flatten(column).cast(pa.float64()).to_numpy()
    found = np.zeros((len(column), width))
    found[np.asarray(pc.is_valid(column))] = np.asarray(flat, dtype=np.float64).reshape(-1, width)
    found = np.where(np.isfinite(found), found, 0.0)
    return [f"{name}[{i}]" for i in range(width)], found, missing
