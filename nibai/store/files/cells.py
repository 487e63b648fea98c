"""Rows of a batch counted into cells of (block, bucket) by label, every step a pass over arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nibai.buckets import Numbering, regular_buckets
from nibai.histogram import OVERFLOW_BUCKET, SCALE, ZERO_BUCKET, ZERO_THRESHOLD
from nibai.store.engine.columns import raw
from nibai.store.files.coded import coded
from nibai.store.files.layout import Bins, PlainColumns

MAX_CELLS = 1 << 17
"""What the blocks of a batch are counted into at once: 1 MiB."""

MAX_COUNTERS = 1 << 25
"""256 MiB of counts; more segments than that are left to a query."""


class TooManyError(Exception):
    """More segments than there is memory for."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Buckets side by side: the regular ones, then zero, failed, and one for unusable rows."""

    first: int
    regular: int

    @classmethod
    def between(cls, least: float, most: float) -> Axis:
        """All buckets of values in base units; what is not above zero has the bucket of zero."""
        ends = np.array([max(least, np.nextafter(ZERO_THRESHOLD, 1.0)), most])
        first, last = regular_buckets(ends, SCALE).tolist()
        return cls(first, max(last - first + 1, 0))

    @property
    def zero(self) -> int:
        return self.regular

    @property
    def failed(self) -> int:
        return self.regular + 1

    @property
    def unusable(self) -> int:
        return self.regular + 2

    @property
    def width(self) -> int:
        return self.regular + 3

    def buckets(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bucket numbers of places; unusable rows have none."""
        found = place + self.first
        found[place == self.zero] = ZERO_BUCKET
        found[place == self.failed] = OVERFLOW_BUCKET
        return found


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to count; `segment` numbers each row's label, where there are several (else empty).

    `place` is the place of a row's bucket on the axis, `values` are in base units and zero where
    a row failed or is unusable; `bad` rows are unusable.
    """

    place: NDArray[np.int64]
    values: NDArray[np.float64]
    labels: list[str]
    segment: NDArray[np.integer]
    bad: int = 0

    def take(self, which: slice | NDArray[np.integer]) -> Rows:
        """Some of the rows, or all in another order."""
        segment = self.segment[which] if len(self.labels) > 1 else self.segment
        return Rows(self.place[which], self.values[which], self.labels, segment)

    def table(
        self, lengths: NDArray[np.int64], width: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts (stretch, place, segment) and sums (stretch, segment) of stretches of rows.

        One pass for all of them: after every step another thread may take the interpreter.
        Overwrites the places.
        """
        many, stretches, cells = len(self.labels), len(lengths), self.place
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


class Reader:
    """Makes rows of batches, in memory that the next batch uses again."""

    def __init__(
        self, plain: PlainColumns, segments: tuple[str, ...], axis: Axis, most_rows: int
    ) -> None:
        self._plain = plain
        self._segments = segments
        self._axis = axis
        self._values: NDArray[np.float64] = np.empty(most_rows)
        self._numbering = Numbering(SCALE, most_rows)

    def rows(self, batch: pa.RecordBatch, failed: NDArray[np.bool_] | None) -> Rows:
        """The rows of a batch; ValueError where a value lies beyond the axis."""
        values = self._values[: batch.num_rows]
        column, known = raw(batch.column(self._plain.value))
        np.multiply(column, self._plain.factor, out=values, dtype=np.float64)
        place = self._numbering.buckets(values)
        place -= self._axis.first
        labels = _labels(batch, self._segments)
        odd, bad = None, 0
        # NaN is not above anything.
        if known is not None or failed is not None or not values.min(initial=1.0) > ZERO_THRESHOLD:
            odd, bad = self._mark(place, values, known, failed)
        regular = place.view(np.uint64) if odd is None else place[~odd].view(np.uint64)
        if regular.max(initial=0) >= self._axis.regular:
            raise ValueError(self._plain.value)
        return Rows(place, values, *labels, bad)

    def _mark(
        self,
        place: NDArray[np.int64],
        values: NDArray[np.float64],
        known: NDArray[np.bool_] | None,
        failed: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.bool_], int]:
        """Places beside the regular ones, which rows have one, and how many are unusable."""
        unusable = ~(values >= 0.0)
        if known is not None:
            unusable |= ~known
        zero = values <= ZERO_THRESHOLD
        if failed is not None:
            unusable &= ~failed
        for rows, where in (
            (zero, self._axis.zero),
            (failed, self._axis.failed),
            (unusable, self._axis.unusable),
        ):
            if rows is not None:
                place[rows] = where
        odd = unusable if failed is None else unusable | failed
        values[odd] = 0.0
        return odd | zero, int(np.count_nonzero(unusable))


class Grids:
    """Counts of shape (blocks, places) and sums of shape (blocks,), per segment."""

    def __init__(self, blocks: int, axis: Axis) -> None:
        self._blocks = blocks
        self._axis = axis
        self._of_segments: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def add(self, blocks: Sequence[int | None], cuts: Sequence[int], rows: Rows) -> None:
        """Add rows in order of time: those from `cuts[i]` to `cuts[i + 1]` lie in `blocks[i]`.

        None is a gap, whose rows are left out.
        """
        width = self._axis.width
        filled = [i for i in range(len(blocks)) if cuts[i] < cuts[i + 1]]
        step = max(MAX_CELLS // (width * len(rows.labels)), 1)
        for some in (filled[i : i + step] for i in range(0, len(filled), step)):
            lengths = np.array([cuts[i + 1] - cuts[i] for i in some])
            within = rows.take(slice(cuts[some[0]], cuts[some[-1] + 1]))
            counts, sums = within.table(lengths, width)
            for label, count, total in zip(rows.labels, counts.T, sums.T, strict=True):
                self._keep([blocks[i] for i in some], label, count.T, total)

    def bins(self) -> Iterator[Bins]:
        """What was counted, by segment; segments without a usable row have none."""
        for segment, (counts, sums) in self._of_segments.items():
            used = block, place = np.nonzero(counts[:, : self._axis.unusable])
            if len(block):
                yield Bins("", "", segment, block, self._axis.buckets(place), counts[used], sums)

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
        if label not in self._of_segments:
            shape = self._blocks, self._axis.width
            if (len(self._of_segments) + 1) * math.prod(shape) > MAX_COUNTERS:
                raise TooManyError(label)
            self._of_segments[label] = np.zeros(shape, dtype=np.int64), np.zeros(self._blocks)
        return self._of_segments[label]


def _labels(batch: pa.RecordBatch, names: tuple[str, ...]) -> tuple[list[str], NDArray[Any]]:
    """Labels, and which of them every row has; without segments no row needs one."""
    labels = [""]
    number: NDArray[Any] = np.zeros(0, dtype=np.int32)
    for name in names:
        found = coded(batch.column(name))
        texts = [f"{name}={value or ''}" for value in found.values.to_pylist()]
        codes = found.codes
        number = codes if len(labels) == 1 else number.astype(np.int64) * len(texts) + codes
        labels = [f"{label},{text}" if label else text for label in labels for text in texts]
    return labels, number
