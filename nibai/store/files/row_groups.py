"""Large Parquet files, counted row group by row group with the help of their statistics.

Faster than a query: a group whose times lie in one block needs no times, and values go straight
into counters whose number the statistics tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nibai.buckets import Numbering, regular_buckets
from nibai.histogram import SCALE, ZERO_THRESHOLD
from nibai.store.files.layout import Bins, Blocks, Layout, PlainColumns, ReplicaSpan
from nibai.store.files.ticks import Clock

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData

WORTH_ROWS = 1_000_000
"""Files of fewer rows are surveyed row by row: it takes no time, and counts every disorder."""

BATCH_ROWS = 1 << 17
"""A row group of DuckDB in one go: every step of a batch waits for the interpreter, which imports
hold meanwhile, and that costs more than arrays of 1 MiB."""

MAX_CELLS = 1 << 17
"""What the blocks of a batch are counted into at once: 1 MiB."""

MAX_COUNTERS = 1 << 25
"""256 MiB of counts; more segments than that are left to a query."""


class StatisticsError(Exception):
    """A Parquet file's statistics do not suffice, or its rows are not what they say."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group; `start` and `end` as its clock counts, `least` and `most` in base units."""

    number: int
    rows: int
    start: float
    end: float
    least: float
    most: float


class RowGroups:
    """A Parquet file whose statistics say enough; segments are columns of text.

    They say enough when every group has them for both columns and nothing is missing, all values
    are above zero and finite, and the times of the groups follow one another. Order *within* a
    group is not looked at: rows are binned by their time, so no result changes. NaN hides from
    statistics and is found when counting. Raises StatisticsError otherwise.
    """

    def __init__(self, path: str, layout: Layout) -> None:
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - small files do without

        if layout.plain is None:
            raise StatisticsError(path)
        self._path = path
        self._plain = layout.plain
        self._segments = layout.segments
        try:
            self._file = ParquetFile(path, read_dictionary=list(layout.segments))
            kinds = [self._file.schema_arrow.field(name).type for name in layout.plain.columns]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StatisticsError(path) from error
        if not (_is_number(kinds[0]) and (_is_number(kinds[1]) or pa.types.is_timestamp(kinds[1]))):
            raise StatisticsError(path)
        self._clock = Clock.of(kinds[1], layout.plain.per_second)
        self._groups = self._proven()
        ends = [min(g.least for g in self._groups), max(g.most for g in self._groups)]
        self._first_bucket, last = regular_buckets(np.array(ends), SCALE).tolist()
        self._width = last - self._first_bucket + 1

    def span(self) -> ReplicaSpan:
        """Rows and time span of the file."""
        rows = sum(group.rows for group in self._groups)
        start, end = (
            self._clock.seconds(time) for time in (self._groups[0].start, self._groups[-1].end)
        )
        return ReplicaSpan("", "", rows, 0, start, end, 0, proven=True)

    def bins(self, blocks: Blocks) -> Iterator[Bins]:
        """Additive rows by segment; rows outside the blocks are left out."""
        grids = _Grids(blocks.count * blocks.repeats, self._width)
        try:
            edges = self._clock.first_at(blocks.edges)
            work = _Work()
            for group in self._groups:
                self._add(group, blocks, edges, grids, work)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StatisticsError(self._path) from error
        for segment, (counts, sums) in grids.of_segments.items():
            used = block, bucket = np.nonzero(counts)
            yield Bins("", "", segment, block, bucket + self._first_bucket, counts[used], sums)

    # -- statistics -----------------------------------------------------------------------
    def _proven(self) -> list[_Group]:
        metadata = self._file.metadata
        groups = []
        before = -math.inf
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            chunks = [group.column(i) for i in range(group.num_columns)]
            by_name = {chunk.path_in_schema: chunk for chunk in chunks}
            value, time = (_range(by_name.get(name)) for name in self._plain.columns)
            if value is None or time is None:
                raise StatisticsError(self._path)
            least, most = np.array(value) * self._plain.factor
            start, end = self._clock.times(np.array(time)).tolist()
            if least <= ZERO_THRESHOLD or not math.isfinite(most) or start < before:
                raise StatisticsError(self._path)
            groups.append(_Group(number, group.num_rows, start, end, least, most))
            before = end
        if not groups:
            raise StatisticsError(self._path)
        return groups

    # -- rows -----------------------------------------------------------------------------
    def _add(
        self, group: _Group, blocks: Blocks, edges: NDArray[Any], grids: _Grids, work: _Work
    ) -> None:
        """Count a group into the grids of its segments."""
        first, last = np.searchsorted(edges, [group.start, group.end], side="right").tolist()
        within = range(max(first - 1, 0), min(last, len(edges) - 1))
        numbers = [blocks.after(edge) for edge in within]
        if all(number is None for number in numbers):
            return
        # Floating times are looked at in any case, NaN may be among them.
        timeless = first == last and self._clock.ticks
        columns = [self._plain.value, *self._segments, *([] if timeless else [self._plain.time])]
        for batch in self._file.iter_batches(
            BATCH_ROWS, row_groups=[group.number], columns=columns, use_threads=False
        ):
            rows = work.rows(batch, self._plain, self._segments, self._first_bucket)
            if timeless:
                grids.add(numbers, [0, batch.num_rows], rows)
                continue
            times = self._clock.times(_numbers(batch.column(self._plain.time)))
            if not (times[1:] >= times[:-1]).all():
                order = np.argsort(times)
                times, rows = times[order], rows.take(order)
            if not (group.start <= times[0] and times[-1] <= group.end):
                raise StatisticsError(self._path)  # NaN sorts last
            cuts = np.searchsorted(times, edges[within.start : within.stop + 1]).tolist()
            grids.add(numbers, cuts, rows)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows to count; `segment` numbers each row's label, where there are several (else empty)."""

    buckets: NDArray[np.int64]
    values: NDArray[np.float64]
    labels: list[str]
    segment: NDArray[np.integer]

    def take(self, which: slice | NDArray[np.int64]) -> _Rows:
        """Some of the rows, or all in another order."""
        segment = self.segment[which] if len(self.labels) > 1 else self.segment
        return _Rows(self.buckets[which], self.values[which], self.labels, segment)

    def table(
        self, lengths: NDArray[np.int64], width: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts (stretch, bucket, segment) and sums (stretch, segment) of stretches of rows.

        One pass for all of them: after every step another thread may take the interpreter.
        Overwrites the buckets.
        """
        many, stretches, cells = len(self.labels), len(lengths), self.buckets
        if many == 1:
            sums = np.add.reduceat(self.values, np.cumsum(lengths) - lengths)
        else:
            parts = np.repeat(np.arange(stretches) * many, lengths) + self.segment
            sums = np.bincount(parts, weights=self.values, minlength=stretches * many)
            cells *= many
            cells += self.segment
        if stretches > 1:
            cells += np.repeat(np.arange(stretches) * (width * many), lengths)
        counts = np.bincount(cells, minlength=stretches * width * many)
        return counts.reshape(stretches, width, many), sums.reshape(stretches, many)


class _Work:
    """Memory for what is made of a batch, used again by the next one."""

    def __init__(self) -> None:
        self._values: NDArray[np.float64] = np.empty(BATCH_ROWS)
        self._numbering = Numbering(SCALE, BATCH_ROWS)

    def rows(
        self, batch: pa.RecordBatch, plain: PlainColumns, segments: tuple[str, ...], first: int
    ) -> _Rows:
        """Values in base units and their buckets, `first` being number 0."""
        values = self._values[: batch.num_rows]
        column = _numbers(batch.column(plain.value))
        np.multiply(column, plain.factor, out=values, dtype=np.float64)
        buckets = self._numbering.buckets(values)
        buckets -= first
        return _Rows(buckets, values, *_segments(batch, segments))


class _Grids:
    """Counts of shape (blocks, buckets) and sums of shape (blocks,), per segment."""

    def __init__(self, blocks: int, width: int) -> None:
        self._shape = blocks, width
        self.of_segments: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def add(self, blocks: Sequence[int | None], cuts: Sequence[int], rows: _Rows) -> None:
        """Add rows in order of time: those from `cuts[i]` to `cuts[i + 1]` lie in `blocks[i]`.

        None is a gap, whose rows are left out. ValueError where a bucket does not exist.
        """
        width = self._shape[1]
        if rows.buckets.view(np.uint64).max(initial=0) >= width:
            raise ValueError(width)
        filled = [i for i in range(len(blocks)) if cuts[i] < cuts[i + 1]]
        step = max(MAX_CELLS // (width * len(rows.labels)), 1)
        for some in (filled[i : i + step] for i in range(0, len(filled), step)):
            lengths = np.array([cuts[i + 1] - cuts[i] for i in some])
            within = rows.take(slice(cuts[some[0]], cuts[some[-1] + 1]))
            counts, sums = within.table(lengths, width)
            for label, count, total in zip(rows.labels, counts.T, sums.T, strict=True):
                self._keep([blocks[i] for i in some], label, count.T, total)

    def _keep(
        self,
        blocks: Sequence[int | None],
        label: str,
        counts: NDArray[np.int64],
        sums: NDArray[np.float64],
    ) -> None:
        of_blocks, sum_of_blocks = self._of(label)
        for i, block in enumerate(blocks):
            if block is not None:
                of_blocks[block] += counts[i]
                sum_of_blocks[block] += sums[i]

    def _of(self, label: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if label not in self.of_segments:
            if (len(self.of_segments) + 1) * math.prod(self._shape) > MAX_COUNTERS:
                raise StatisticsError(label)
            blocks, _ = self._shape
            self.of_segments[label] = np.zeros(self._shape, dtype=np.int64), np.zeros(blocks)
        return self.of_segments[label]


# -- helpers --------------------------------------------------------------------------------


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind))


def _range(chunk: ColumnChunkMetaData | None) -> tuple[Any, Any] | None:
    """Least and greatest value of a column's part; None where unknown or values are missing."""
    found = None if chunk is None else chunk.statistics
    if found is None or not (found.has_min_max and found.has_null_count) or found.null_count:
        return None
    return found.min_raw, found.max_raw


def _numbers(array: pa.Array) -> NDArray[Any]:
    """By DLPack, as in `rows.numbers`; timestamps as their ticks."""
    return np.from_dlpack(array.view(pa.int64()) if pa.types.is_timestamp(array.type) else array)


def _segments(
    batch: pa.RecordBatch, names: tuple[str, ...]
) -> tuple[list[str], NDArray[np.integer]]:
    """Labels, and which of them every row has; without segments no row needs one."""
    labels, number = [""], np.zeros(0, dtype=np.int32)
    for name in names:
        encoded = batch.column(name)
        texts = [f"{name}={value}" for value in encoded.dictionary.to_pylist()]
        code = encoded.indices
        if code.null_count:
            code = code.fill_null(len(texts))
            texts.append(f"{name}=")
        codes = _numbers(code)
        number = codes if len(labels) == 1 else number.astype(np.int64) * len(texts) + codes
        labels = [f"{label},{text}" if label else text for label in labels for text in texts]
    return labels, number
