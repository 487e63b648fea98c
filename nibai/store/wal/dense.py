"""Counting the requests of one raw Parquet part in dense counters, batch by batch.

All batches go through the same few arrays into the counters, and nothing is kept of their rows:
fresh memory costs more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet as pq

from nibai.buckets import Numbering
from nibai.histogram import (
    OVERFLOW_BUCKET,
    SCALE,
    ZERO_BUCKET,
    ZERO_THRESHOLD,
    Int64Array,
    bucket_index,
)
from nibai.store.engine.columns import fillable
from nibai.store.wal.parquet_ranges import column_range

MICROSECONDS_A_MINUTE = 60_000_000
BATCH_ROWS = 1 << 16
"""Arrays of half a MiB: smaller batches lose more to calls than an inner cache gains."""

BLOCK_COUNTERS = 1 << 17
"""As many counters at once become rows: half a MiB, too."""

MAX_SERIES = 1 << 14
"""Combinations of key values that are worth numbering; an hour has hundreds."""

LOWEST_BUCKET = int(bucket_index([math.nextafter(ZERO_THRESHOLD, 1)])[0])
"""It holds values of either side of the threshold."""

NONE = range(0)


class _Unsuited(Exception):  # noqa: N818 - no error: the part is counted in another way
    """Missing values, keys that are no text, or too many rows, series or counters."""


def count_dense(
    part: Path, keys: tuple[str, ...], time_us: str, value: str, *, most: int
) -> pa.Table | None:
    """(keys, minute, bucket, count), sorted by minute; None where counters do not suit the part.

    `most`: counters there may be. A value that is negative or NaN raises ValueError.
    """
    file = pq.ParquetFile(part, read_dictionary=list(keys))
    series, counters = _Series(keys), _Counters(most)
    try:
        counters.cover(*_expected(file.metadata, time_us, value))
        for batch in _batches(file, [*keys, time_us, value]):
            times, values = map(np.from_dlpack, batch.columns[len(keys) :])
            number = series.numbers(batch)
            counters.add(number, len(series.texts), np.asarray(times, dtype=np.int64), values)
    except _Unsuited:
        return None
    return _table(counters, series) if series.texts else None


def _expected(metadata: pq.FileMetaData, time_us: str, value: str) -> tuple[range, range]:
    """Minutes and buckets by the part's statistics: counters of that size need not grow."""
    if metadata.num_rows > np.iinfo(np.int32).max:
        raise _Unsuited
    times, values = (column_range(metadata, name) for name in (time_us, value))
    if times is None or values is None or not ZERO_THRESHOLD < values[0] <= values[1] < math.inf:
        return NONE, NONE
    first, last = (time // MICROSECONDS_A_MINUTE for time in times)
    return range(first, last + 1), _regular(bucket_index(values))


def _batches(file: pq.ParquetFile, columns: list[str]) -> Iterable[pa.RecordBatch]:
    """By row group: a batch of two would have to unite their dictionaries."""
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(
            BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
        ):
            if any(array.null_count for array in batch.columns):
                raise _Unsuited
            yield batch


class _Series:
    """Numbers for the combinations of key values, in order of appearance.

    Dictionaries differ between row groups, and within one when it falls back to plain text.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.texts: dict[tuple[str, ...], int] = {}
        self._dictionaries: list[pa.Array] | None = None
        self._numbers = np.zeros(0, dtype=np.int64)
        self._places = np.empty(BATCH_ROWS, dtype=np.int32)
        self._found = np.empty(BATCH_ROWS, dtype=np.int64)

    def numbers(self, batch: pa.RecordBatch) -> Int64Array:
        """The number of every row's combination; holds until the next batch."""
        columns = batch.columns[: len(self.keys)]
        if not all(pa.types.is_dictionary(one.type) for one in columns):
            raise _Unsuited
        dictionaries = [one.dictionary for one in columns]
        if not self._known(dictionaries):
            self._learn(dictionaries)
        places, found = self._places[: batch.num_rows], self._found[: batch.num_rows]
        places[:] = 0
        for one, dictionary in zip(columns, dictionaries, strict=True):
            places *= np.int32(len(dictionary))
            places += np.asarray(np.from_dlpack(one.indices), dtype=np.int32)
        # All places exist, nothing is clipped.
        return self._numbers.take(places, out=found, mode="clip")

    def _known(self, dictionaries: list[pa.Array]) -> bool:
        return self._dictionaries is not None and all(
            one.equals(other) for one, other in zip(dictionaries, self._dictionaries, strict=True)
        )

    def _learn(self, dictionaries: list[pa.Array]) -> None:
        if math.prod(map(len, dictionaries)) + len(self.texts) > MAX_SERIES:
            raise _Unsuited
        combinations = product(*(one.to_pylist() for one in dictionaries))
        found = [self.texts.setdefault(texts, len(self.texts)) for texts in combinations]
        self._numbers, self._dictionaries = np.array(found, dtype=np.int64), dictionaries


class _Counters:
    """Counts of shape (minutes, series, slots), as many as were needed until now.

    Slots are the zero bucket, a range of regular buckets, and that of failed requests.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.minutes, self.buckets = NONE, NONE
        self.counts = np.zeros((0, 0, 2), dtype=np.int32)
        self._minutes = np.empty(BATCH_ROWS, dtype=np.int64)
        self._numbering = Numbering(SCALE, BATCH_ROWS)

    def add(
        self, series: Int64Array, all_series: int, times_us: Int64Array, values: NDArray[Any]
    ) -> None:
        """Count rows, one each; `series` are numbers below `all_series`."""
        minutes = self._minutes[: len(series)]
        np.floor_divide(times_us, MICROSECONDS_A_MINUTE, out=minutes)
        seconds = np.asarray(values, dtype=np.float64)
        buckets = self._numbering.buckets(seconds)
        minutes -= self.minutes.start
        buckets -= self.buckets.start
        if not self._hold(minutes, all_series, buckets):
            minutes += self.minutes.start
            buckets[:] = bucket_index(seconds)
            self.cover(_range(minutes), _regular(buckets), all_series)
            minutes -= self.minutes.start
            np.clip(buckets, self.buckets.start - 1, self.buckets.stop, out=buckets)
            buckets -= self.buckets.start
        _, of_minute, slots = self.counts.shape
        positions = minutes
        positions *= of_minute
        positions += series
        positions *= slots
        positions += buckets
        positions += 1  # the zero bucket's
        np.add.at(self.counts.reshape(-1), positions, np.int32(1))

    def _hold(self, minutes: Int64Array, series: int, buckets: Int64Array) -> bool:
        """Whether there are counters for all rows, and all values are regular."""
        return (
            series <= self.counts.shape[1]
            and _all_below(len(self.minutes), minutes)
            and _all_below(len(self.buckets), buckets)
            and self.buckets.start > LOWEST_BUCKET
        )

    def cover(self, minutes: range, buckets: range, series: int = 0) -> None:
        """Grow until there is a counter for everything within."""
        minutes, buckets = _hull(self.minutes, minutes), _hull(self.buckets, buckets)
        shape = len(minutes), max(series, self.counts.shape[1]), len(buckets) + 2
        if shape == self.counts.shape:
            return
        if math.prod(shape) > self._most:
            raise _Unsuited
        counts = np.zeros(shape, dtype=np.int32)
        if self.counts.size:
            at = self.minutes.start - minutes.start
            same = counts[at : at + len(self.minutes), : self.counts.shape[1]]
            at = self.buckets.start - buckets.start + 1
            same[:, :, at : at + len(self.buckets)] = self.counts[:, :, 1:-1]
            same[:, :, [0, -1]] = self.counts[:, :, [0, -1]]
        self.minutes, self.buckets, self.counts = minutes, buckets, counts


def _all_below(end: int, values: Int64Array) -> bool:
    """Whether all lie in 0 .. end - 1."""
    return bool(values.view(np.uint64).max(initial=0) < end)


def _range(values: NDArray[np.integer]) -> range:
    return range(int(values.min()), int(values.max()) + 1) if values.size else NONE


def _regular(buckets: NDArray[np.integer]) -> range:
    """Those of neither zero nor failed requests."""
    return _range(buckets[(buckets > ZERO_BUCKET) & (buckets < OVERFLOW_BUCKET)])


def _hull(known: range, more: range) -> range:
    if not known or not more:
        return known or more
    return range(min(known.start, more.start), max(known.stop, more.stop))


def _table(counters: _Counters, series: _Series) -> pa.Table:
    """A row per counter that is not zero."""
    _, of_minute, slots = counters.counts.shape
    counts = counters.counts.reshape(-1, slots)
    minute, number = np.divmod(np.arange(len(counts), dtype=np.int32), np.int32(of_minute))
    # Everything but bucket and count is the same for all counters of a series and minute.
    codes, dictionaries = [], []
    for texts in zip(*series.texts, strict=True):
        known = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        codes.append(np.array([known[text] for text in texts], dtype=np.int32)[number])
        dictionaries.append(pa.array(list(known), pa.string()))
    of_cells = [*codes, minute + np.int32(counters.minutes.start)]
    kinds = [*(pa.int32() for _ in of_cells), pa.int16(), pa.int64()]
    rows = int(np.count_nonzero(counts))
    columns, outs = zip(*(fillable(rows, kind) for kind in kinds), strict=True)
    _fill(outs, counts, of_cells, [ZERO_BUCKET, *counters.buckets, OVERFLOW_BUCKET])
    arrays = [
        pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)
        for indices, dictionary in zip(columns, dictionaries, strict=False)
    ]
    names = [*series.keys, "minute", "bucket", "count"]
    return pa.table([*arrays, *columns[len(arrays) :]], names)


def _fill(
    outs: Sequence[NDArray[Any]],
    counts: NDArray[np.int32],
    of_cells: list[NDArray[np.int32]],
    buckets: list[int],
) -> None:
    """Write what is not zero of `counts`, shape (cells, buckets), block by block."""
    step, done = max(BLOCK_COUNTERS // len(buckets), 1), 0
    of_block = np.tile(np.array(buckets, dtype=np.int16), step)
    for first in range(0, len(counts), step):
        block = counts[first : first + step].reshape(-1)
        used = np.flatnonzero(block != 0)
        cell = used // len(buckets)
        *of_cell, bucket, count = (out[done : done + len(used)] for out in outs)
        for values, out in zip(of_cells, of_cell, strict=True):
            values[first : first + step].take(cell, out=out, mode="clip")
        of_block.take(used, out=bucket, mode="clip")
        count[:] = block.take(used)
        done += len(used)
