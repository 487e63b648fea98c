"""Counting the requests of one raw Parquet part in dense counters, batch by batch.

Of every row three small numbers are kept until all ranges are known. Counters stand in order of
time, so those of a batch lie close together where the part is sorted by time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet as pq

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET, bucket_index
from nibai.store.rows import column

MICROSECONDS_A_MINUTE = 60_000_000
BATCH_ROWS = 1 << 17
"""Smaller batches fit an inner cache, and lose more to calls and fresh memory than that gains."""

MAX_SERIES = 1 << 14
"""Combinations of key values that are worth numbering, in 16 bits; an hour has hundreds."""

MAX_SPREAD = 8
"""Counters per row that a batch may span; rows further apart are counted together at the end."""

Int32Array = NDArray[np.int32]
Int16Array = NDArray[np.int16]


class _Unsuited(Exception):  # noqa: N818 - no error: the part is counted in another way
    """Missing values, keys that are no text, or too many series."""


def count_dense(
    part: Path, keys: tuple[str, ...], time_us: str, value: str, *, most: int
) -> pa.Table | None:
    """(keys, minute, bucket, count), sorted by minute; None where counters do not suit the part.

    `most`: counters there may be. A value that is negative or NaN raises ValueError.
    """
    series = _Series(keys)
    try:
        batches = [
            _numbered(batch, series, time_us, value) for batch in _read(part, keys, time_us, value)
        ]
    except _Unsuited:
        return None
    if not batches:
        return None
    first, last = _ends(minutes for _, minutes, _ in batches)
    buckets = _buckets([bucket for _, _, bucket in batches])
    sizes = last - first + 1, len(series.texts), len(buckets)
    if math.prod(sizes) > most:
        return None
    counts = np.zeros(math.prod(sizes), dtype=np.int64)
    scattered = []
    while batches:  # what is counted gives its memory back to the rest; fresh memory is slow
        number, minutes, bucket = batches.pop()
        position = _position(minutes - first, number, _slots(bucket, buckets), sizes)
        if not _add(counts, position):
            scattered.append(position)
    if scattered:
        counts += np.bincount(np.concatenate(scattered), minlength=len(counts))
    return _table(counts, sizes, first, series, buckets)


def _read(part: Path, keys: tuple[str, ...], time_us: str, value: str) -> Iterable[pa.RecordBatch]:
    file = pq.ParquetFile(part, read_dictionary=list(keys))
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(
            BATCH_ROWS, row_groups=[group], columns=[*keys, time_us, value], use_threads=False
        ):
            if batch.num_rows:
                yield batch


def _numbered(
    batch: pa.RecordBatch, series: _Series, time_us: str, value: str
) -> tuple[Int16Array, Int32Array, Int16Array]:
    """Series, minute and bucket of every row."""
    if any(array.null_count for array in batch.columns):
        raise _Unsuited
    minutes = np.from_dlpack(batch.column(time_us)) // MICROSECONDS_A_MINUTE
    bucket = bucket_index(np.from_dlpack(batch.column(value)))
    return series.numbers(batch), minutes.astype(np.int32), bucket.astype(np.int16)


class _Series:
    """Numbers for the combinations of key values, in order of appearance.

    Dictionaries differ between row groups, and within one when it falls back to plain text.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.texts: dict[tuple[str, ...], int] = {}
        self._dictionaries: list[pa.Array] | None = None
        self._numbers = np.zeros(1, dtype=np.int16)
        self._in_order = True

    def numbers(self, batch: pa.RecordBatch) -> Int16Array:
        """The number of every row's combination."""
        columns = [batch.column(key) for key in self.keys]
        if not all(pa.types.is_dictionary(one.type) for one in columns):
            raise _Unsuited
        dictionaries = [one.dictionary for one in columns]
        if not self._known(dictionaries):
            self._learn(dictionaries)
        place = np.zeros(batch.num_rows, dtype=np.int32)
        for one in columns:
            place *= np.int32(len(one.dictionary))
            place += np.from_dlpack(one.indices).astype(np.int32, copy=False)
        return place.astype(np.int16) if self._in_order else self._numbers.take(place)

    def _known(self, dictionaries: list[pa.Array]) -> bool:
        return self._dictionaries is not None and all(
            one.equals(other) for one, other in zip(dictionaries, self._dictionaries, strict=True)
        )

    def _learn(self, dictionaries: list[pa.Array]) -> None:
        if math.prod(map(len, dictionaries)) + len(self.texts) > MAX_SERIES:
            raise _Unsuited
        combinations = product(*(one.to_pylist() for one in dictionaries))
        found = [self.texts.setdefault(texts, len(self.texts)) for texts in combinations]
        self._numbers, self._dictionaries = np.array(found, dtype=np.int16), dictionaries
        self._in_order = found == list(range(len(found)))


# -- positions --------------------------------------------------------------------------------


def _ends(arrays: Iterable[NDArray[np.signedinteger[Any]]]) -> tuple[int, int]:
    ends = [(int(array.min()), int(array.max())) for array in arrays]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _buckets(arrays: list[Int16Array]) -> Int32Array:
    """The buckets to count in, rising; those of zero and failed requests only where needed."""
    low, high = _ends(arrays)
    if low > ZERO_BUCKET and high < OVERFLOW_BUCKET:
        return np.arange(low, high + 1, dtype=np.int32)
    regular = [array[(array > ZERO_BUCKET) & (array < OVERFLOW_BUCKET)] for array in arrays]
    some = [array for array in regular if len(array)]
    low, high = _ends(some) if some else (0, 0)
    return np.array([ZERO_BUCKET, *range(low, high + 1), OVERFLOW_BUCKET], dtype=np.int32)


def _slots(bucket: Int16Array, buckets: Int32Array) -> Int32Array:
    """Where in `buckets` the bucket of every row stands."""
    if buckets[0] != ZERO_BUCKET:
        return np.asarray(bucket - buckets[0], dtype=np.int32)
    low, high = buckets[1], buckets[-2]
    slots: Int32Array = np.clip(bucket, low - 1, high + 1) - (low - 1)
    return slots


def _position(
    minute: Int32Array, series: Int16Array, slot: Int32Array, sizes: tuple[int, int, int]
) -> NDArray[np.int64]:
    position = minute.astype(np.int64)
    position *= sizes[1]
    position += series
    position *= sizes[2]
    position += slot
    return position


def _add(counts: NDArray[np.int64], position: NDArray[np.int64]) -> bool:
    """Count a batch, unless its rows lie too far apart."""
    low, high = int(position.min()), int(position.max())
    if high - low > MAX_SPREAD * len(position):
        return False
    position -= low
    counts[low : high + 1] += np.bincount(position)
    return True


def _table(
    counts: NDArray[np.int64],
    sizes: tuple[int, int, int],
    first: int,
    series: _Series,
    buckets: Int32Array,
) -> pa.Table:
    used = np.flatnonzero(counts != 0)
    # Everything but the bucket is the same for all counters of a series and minute.
    cells = len(counts) // sizes[2]
    each = np.diff(np.searchsorted(used, np.arange(cells + 1) * sizes[2]))
    minutes, numbers = np.divmod(np.arange(cells, dtype=np.int32), np.int32(sizes[1]))
    arrays: list[pa.Array] = []
    for texts in zip(*series.texts, strict=True):
        codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        of_series = np.array([codes[text] for text in texts], dtype=np.int32)
        indices = column(np.repeat(of_series[numbers], each), pa.int32())
        arrays.append(pa.DictionaryArray.from_arrays(indices, pa.array(list(codes), pa.string())))
    arrays.append(column(np.repeat(minutes + np.int32(first), each), pa.int32()))
    arrays.append(column(np.tile(buckets.astype(np.int16), cells).take(used), pa.int16()))
    arrays.append(column(counts.take(used), pa.int64()))
    return pa.table(arrays, names=[*series.keys, "minute", "bucket", "count"])
