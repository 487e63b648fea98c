"""What callers of `nibai.compare` hand over, as paths and Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Real
from typing import Any

from nibai.errors import UsageError

WANTED = "give a path, numbers in an array or list, an Arrow table or a data frame"
NUMBERS = "iuf"
"""Kinds of numpy arrays that hold measurements."""


def sources(given: Any) -> tuple[Any, ...]:  # noqa: ANN401 - see nibai.compare
    """One source, or those of a list; a list of numbers is one."""
    if given is None:
        return ()
    if isinstance(given, list | tuple) and not all(_is_number(one) for one in given):
        return tuple(_source(one) for one in given)
    return (_source(given),)


def texts(given: Any) -> Any:  # noqa: ANN401 - see nibai.compare
    """A tuple of names, also of one alone."""
    return (given,) if isinstance(given, str) else tuple(given)


def moment(given: Any) -> float:  # noqa: ANN401 - see nibai.compare
    """Seconds since the epoch of a number, a datetime or an ISO text; UTC unless it says else."""
    if isinstance(given, Real):
        return float(given)
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else given
        return float((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(
            f"at={given!r} is not a time: give a datetime, ISO 8601 (2026-03-01T12:00Z) or seconds "
            "since 1970"
        ) from error


def _is_number(one: object) -> bool:
    return one is None or isinstance(one, Real | Decimal)


def _source(given: Any) -> Any:  # noqa: ANN401 - see nibai.compare
    import pyarrow as pa  # noqa: PLC0415 - the command line reads files only

    if isinstance(given, str | pa.Table):
        return given
    if hasattr(given, "__fspath__"):
        return str(given)
    try:
        if isinstance(given, Mapping):
            return pa.table(dict(given))
        if hasattr(given, "__arrow_c_stream__"):
            return _streamed(given)
        return pa.table({"value": _array(given)})
    except (TypeError, ValueError) as error:  # Arrow's errors are ValueErrors
        text = str(error).splitlines()[0][:200]
        raise UsageError(
            f"the {type(given).__name__} given cannot be read ({text}): {WANTED}"
        ) from error


def _streamed(given: Any) -> Any:  # noqa: ANN401 - see nibai.compare
    """A table, or a series as the one column of a table."""
    import pyarrow as pa  # noqa: PLC0415 - see _source

    try:
        return pa.table(given)
    except pa.ArrowInvalid:
        column = pa.chunked_array(given)  # a series is no struct
        return pa.table({str(getattr(given, "name", None) or "value"): column})


def _array(given: Any) -> Any:  # noqa: ANN401 - see nibai.compare
    import numpy as np  # noqa: PLC0415 - see _source

    if isinstance(given, AbstractSet):
        raise TypeError("it has no order, and equal values are lost")
    if isinstance(given, Iterator):
        given = list(given)
    array = np.asarray(given)
    if array.ndim != 1:
        raise TypeError(f"an array of values has one dimension, this one has {array.ndim}")
    if array.dtype.kind == "m" or not len(array):
        return array if len(array) else array.astype(np.float64)
    if array.dtype.kind == "O":
        array = array.astype(np.float64)  # None is a missing value
    if array.dtype.kind not in NUMBERS:
        raise TypeError(f"it holds {array.dtype}, not numbers")
    return np.ma.filled(np.ma.asarray(given).astype(np.float64), np.nan)
