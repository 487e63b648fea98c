"""Columns of few values as codes: what is asked of a value is asked once, not of every row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nibai.store.engine.columns import column, raw

MAX_WHOLE = 1 << 12
"""Whole numbers that lie further apart than that are no codes."""

Asked = Callable[[pa.Array], NDArray[np.bool_]]
"""Whether something is so, of an array of values: shape (n,)."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Row i has `values[codes[i]]`; the last value is null, whether a row has it or not."""

    codes: NDArray[np.integer]
    values: pa.Array


def coded(array: pa.Array) -> Coded:
    """A column of text read as a dictionary, of whole numbers or of truth values.

    Raises ValueError for other columns and for numbers of too wide a range.

    >>> found = coded(pa.array([200, None, 203], pa.int64()))
    >>> found.values.to_pylist(), found.codes.tolist()
    ([200, 201, 202, 203, None], [0, 4, 3])
    """
    codes: NDArray[Any]
    if pa.types.is_dictionary(array.type):
        codes, known = raw(array.indices)
        values = array.dictionary
    elif pa.types.is_boolean(array.type):
        flags, known = raw(array)
        codes, values = flags.view(np.int8), pa.array([False, True])
    elif pa.types.is_integer(array.type):
        codes, known, values = _whole(array)
    else:
        raise ValueError(array.type)
    if known is not None:
        codes = np.where(known, codes, len(values))
    return Coded(codes, pa.concat_arrays([values, pa.nulls(1, values.type)]))


def _whole(array: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None, pa.Array]:
    numbers, known = raw(array)
    met = numbers if known is None else numbers[known]
    if not len(met):
        return np.zeros(len(array), dtype=np.int64), known, pa.nulls(0, array.type)
    least, most = int(met.min()), int(met.max())
    if most - least >= MAX_WHOLE:
        raise ValueError(array.type)
    # What stands where a number is unknown may be anything; wrapping round is as good.
    codes = (numbers - numbers.dtype.type(least)).astype(np.int64)
    return codes, known, column(np.arange(least, most + 1), array.type)


@dataclass(slots=True)
class Remembered:
    """Asks about the values of a column, once as long as they stay the same."""

    ask: Asked
    _values: pa.Array | None = None
    _answers: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def of_rows(self, array: pa.Array) -> NDArray[np.bool_]:
        """The answer for every row; ValueError as `coded`."""
        found = coded(array)
        if self._values is None or not self._values.equals(found.values):
            self._values, self._answers = found.values, self.ask(found.values)
        return np.asarray(self._answers[found.codes])
