"""Large Parquet files, counted row group by row group with the help of their statistics.

Faster than a query: they say the span of time and of values beforehand, so that one pass over the
columns suffices; groups outside every block are not read, and one whose times lie in one block
needs no times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nibai.store.engine.columns import raw
from nibai.store.files.cells import Axis, Grids, Reader, Rows, TooManyError
from nibai.store.files.coded import Asked, Remembered
from nibai.store.files.layout import Binned, Blocks, Layout, ReplicaSpan, Stray
from nibai.store.files.ticks import Clock

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData, RowGroupMetaData

WORTH_ROWS = 1_000_000
"""Files of fewer rows are surveyed row by row: it takes no time, and counts every disorder."""

BATCH_ROWS = 1 << 17
"""A row group of DuckDB in one go: every step of a batch waits for the interpreter, which imports
hold meanwhile, and that costs more than arrays of 1 MiB."""

INT16 = 1 << 15


class StatisticsError(Exception):
    """A Parquet file's statistics do not suffice, or its rows are not what they say."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group from row `first` on; `start` and `end` are its times as its clock counts.

    `least` and `most` are values as they are stored, `unknown` of them are missing.
    """

    number: int
    first: int
    rows: int
    start: float
    end: float
    least: float
    most: float
    unknown: int


class RowGroups:
    """A Parquet file whose statistics say enough; segments are columns of text.

    They say enough when every group has the least and greatest value and time, all finite, and no
    time is missing. Unusable rows and rows out of order are counted with the others; the order
    within a group that lies in one block is not looked at where groups follow one another, as no
    result depends on it. NaN hides from statistics and is found when counting. `failed` says which
    values of the column `PlainColumns.failed` mean a failure. Raises StatisticsError otherwise.
    """

    def __init__(self, path: str, layout: Layout, failed: Asked) -> None:
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - small files do without

        if layout.plain is None:
            raise StatisticsError(path)
        self._path = path
        self._plain = layout.plain
        self._segments = layout.segments
        self._failed = Remembered(failed)
        try:
            # Only texts become dictionaries, whatever else is named.
            coded = [
                *layout.segments,
                *([] if self._plain.failed is None else [self._plain.failed]),
            ]
            self._file = ParquetFile(path, read_dictionary=coded)
            schema = self._file.schema_arrow
            value = schema.field(self._plain.value).type
            time = pa.int64() if self._plain.time is None else schema.field(self._plain.time).type
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StatisticsError(path) from error
        if not (_is_number(value) and (_is_number(time) or pa.types.is_timestamp(time))):
            raise StatisticsError(path)
        self._clock = Clock.of(time, self._plain.per_second)
        self._groups = self._read_groups()
        self._start = min(group.start for group in self._groups)
        self._end = max(group.end for group in self._groups)
        self._in_turn = all(
            group.end <= following.start
            for group, following in zip(self._groups, self._groups[1:], strict=False)
        )
        ends = np.array([min(g.least for g in self._groups), max(g.most for g in self._groups)])
        least, most = (ends * self._plain.factor).tolist()
        self._axis = Axis.between(least, most)

    def span(self) -> ReplicaSpan:
        """Rows and time span of the file."""
        rows = sum(group.rows for group in self._groups)
        if self._plain.time is None:
            return ReplicaSpan("", "", rows, 0, None, None, proven=True)
        start, end = (self._clock.seconds(time) for time in (self._start, self._end))
        return ReplicaSpan("", "", rows, 0, start, end, proven=True)

    def bins(self, blocks: Blocks) -> Binned:
        """Additive rows by segment; rows outside the blocks are left out."""
        counting = _Counting(
            Grids(blocks.count * blocks.repeats, self._axis),
            Reader(self._plain, self._segments, self._axis, BATCH_ROWS),
        )
        try:
            edges = self._edges(blocks)
            strays = {group.number: self._add(group, blocks, edges, counting)
                      for group in self._groups}  # fmt: skip
        except (pa.ArrowException, OSError, ValueError, TooManyError) as error:
            raise StatisticsError(self._path) from error
        return Binned(tuple(counting.grids.bins()), strays)

    # -- statistics -----------------------------------------------------------------------
    def _read_groups(self) -> list[_Group]:
        metadata = self._file.metadata
        groups: list[_Group] = []
        first = 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if group.num_rows:
                groups.append(self._group(group, number, first))
            first += group.num_rows
        if not groups:
            raise StatisticsError(self._path)
        return groups

    def _group(self, group: RowGroupMetaData, number: int, first: int) -> _Group:
        by_name = {
            chunk.path_in_schema: chunk
            for chunk in (group.column(i) for i in range(group.num_columns))
        }
        least, most, unknown = self._range(by_name.get(self._plain.value))
        if self._plain.time is None:
            times = [first, first + group.num_rows - 1]
        else:
            *times, missing = self._range(by_name.get(self._plain.time))
            if missing:
                raise StatisticsError(self._path)
        start, end = self._clock.times(np.array(times)).tolist()
        return _Group(number, first, group.num_rows, start, end, least, most, unknown)

    def _range(self, chunk: ColumnChunkMetaData | None) -> tuple[Any, Any, int]:
        """Least and greatest value of a column's part, and how many are missing."""
        found = None if chunk is None else chunk.statistics
        if found is None or not (found.has_min_max and found.has_null_count):
            raise StatisticsError(self._path)
        least, most = found.min_raw, found.max_raw
        if not (math.isfinite(least) and math.isfinite(most)):
            raise StatisticsError(self._path)
        return least, most, found.null_count

    # -- rows -----------------------------------------------------------------------------
    def _edges(self, blocks: Blocks) -> NDArray[Any]:
        """Where blocks start, as the file's clock counts; without one, in rows."""
        if self._plain.time is not None:
            return self._clock.first_at(blocks.edges)
        rows = sum(group.rows for group in self._groups)
        return -(-np.arange(blocks.count + 1) * rows // blocks.count)

    def _add(
        self, group: _Group, blocks: Blocks, edges: NDArray[Any], counting: _Counting
    ) -> Stray:
        """Count a group into the grids of its segments."""
        first, last = np.searchsorted(edges, [group.start, group.end], side="right").tolist()
        within = range(max(first - 1, 0), min(last, len(edges) - 1))
        numbers = [blocks.after(edge) for edge in within]
        if all(number is None for number in numbers):
            counting.before = None
            return Stray(group.unknown if self._plain.failed is None else 0)
        # Floating times are looked at in any case, NaN may be among them.
        timeless = self._in_turn and first == last and self._clock.ticks
        bad, disorder, begin = 0, 0, group.first
        for batch in self._batches(group, timeless=timeless):
            rows = counting.reader.rows(batch, self._failures(batch))
            bad += rows.bad
            if timeless:
                cuts, counting.before = [0, batch.num_rows], None
            else:
                times = self._times(batch, begin)
                falls, ordered = counting.falls(times)
                disorder += falls
                if not _inside(times, group, ordered=ordered):
                    raise StatisticsError(self._path)
                around = edges[within.start : within.stop + 1]
                rows, cuts = _in_order(rows, times, around, ordered=ordered)
            counting.grids.add(numbers, cuts, rows)
            begin += batch.num_rows
        return Stray(bad, disorder)

    def _batches(self, group: _Group, *, timeless: bool) -> Iterator[pa.RecordBatch]:
        wanted = [self._plain.value, *self._segments, self._plain.failed]
        wanted += [] if timeless else [self._plain.time]
        columns = list(dict.fromkeys(name for name in wanted if name is not None))
        yield from self._file.iter_batches(
            BATCH_ROWS, row_groups=[group.number], columns=columns, use_threads=False
        )

    def _failures(self, batch: pa.RecordBatch) -> NDArray[np.bool_] | None:
        if self._plain.failed is None:
            return None
        return self._failed.of_rows(batch.column(self._plain.failed))

    def _times(self, batch: pa.RecordBatch, begin: int) -> NDArray[Any]:
        if self._plain.time is None:
            return np.arange(begin, begin + batch.num_rows)
        return self._clock.times(raw(batch.column(self._plain.time))[0])


@dataclass(slots=True)
class _Counting:
    """One pass over a file; `before` is the time of the row above, None where it is not known."""

    grids: Grids
    reader: Reader
    before: Any = None

    def falls(self, times: NDArray[Any]) -> tuple[int, bool]:
        """How many rows are earlier than the row above, and whether none of the batch's own is.

        NaN is no order.
        """
        if not len(times):
            return 0, True
        inside = len(times) - 1 - int(np.count_nonzero(times[1:] >= times[:-1]))
        fell = self.before is not None and bool(times[0] < self.before)
        self.before = times[-1]
        return inside + fell, not inside


def _inside(times: NDArray[Any], group: _Group, *, ordered: bool) -> bool:
    """Whether all times lie where the statistics say; NaN lies nowhere."""
    if not len(times):
        return True
    first, last = (times[0], times[-1]) if ordered else (times.min(), times.max())
    return bool(group.start <= first and last <= group.end)


def _in_order(
    rows: Rows, times: NDArray[Any], edges: NDArray[Any], *, ordered: bool
) -> tuple[Rows, list[int]]:
    """The rows in order of their blocks, and where each block begins and the last one ends."""
    if ordered:
        return rows, np.searchsorted(times, edges).tolist()
    block = np.searchsorted(edges, times, side="right")
    # numpy sorts 16 bits by radix.
    narrow = block.astype(np.int16) if len(edges) < INT16 else block
    ends = np.cumsum(np.bincount(block, minlength=len(edges) + 1))
    return rows.take(np.argsort(narrow, kind="stable")), ends[: len(edges)].tolist()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind))
