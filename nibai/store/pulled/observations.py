"""Observations as additive rows, and what is to be added so that the lake says the same.

A source that is asked again may answer otherwise: minutes fill up late and are revised. What is
appended is the difference, so reading a window twice, or after a crash, changes nothing.
Source: nibai's storage.md, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET
from nibai.model import Observation, SeriesKey
from nibai.store.engine.columns import column, text_column
from nibai.store.lake.rows import WAL_SCHEMA
from nibai.store.pulled.new_rows import new_rows

Minute = tuple[SeriesKey, int]
Bucket = tuple[str, int, int]
"""Provenance, scale, bucket number."""

NEGLIGIBLE = 1e-9
"""Share of a sum that counts as rounding, not as a revision."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the lake holds of one minute of one series.

    `cells` maps a provenance to (count, sum, errors, timeouts), `buckets` a bucket to its count.
    """

    cells: dict[str, tuple[int, float, int, int]]
    buckets: dict[Bucket, int]
    min: float = math.nan
    max: float = math.nan


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows to append; minutes that are new and such that are revised, as they will be."""

    rows: pa.RecordBatch
    new: tuple[Observation, ...]
    revised: tuple[Observation, ...]

    @property
    def new_minutes(self) -> int:
        """Minutes that were not held."""
        return len(self.new)

    @property
    def revised_minutes(self) -> int:
        """Minutes that were held otherwise."""
        return len(self.revised)


def difference(observed: Iterable[Observation], stored: dict[Minute, Stored]) -> Difference:
    """What must be appended so that the stored minutes become the observed ones.

    Minutes that were not observed stay as they are: a source that lost a page says nothing of them.
    """
    fresh: list[Observation] = []
    rows: list[tuple[object, ...]] = []
    revised: list[Observation] = []
    for one in observed:
        before = stored.get((one.key, one.minute)) if stored else None
        if before is None:
            if one.count or one.sum or one.errors or one.timeouts:
                fresh.append(one)
            continue
        found = list(_rows(one, before))
        if found:
            revised.append(one)
        rows += found
    if not fresh:
        return Difference(_batch(rows), (), tuple(revised))
    batches = [new_rows(fresh), *([_batch(rows)] if rows else [])]
    return Difference(pa.concat_batches(batches), tuple(fresh), tuple(revised))


def _rows(one: Observation, before: Stored) -> Iterator[tuple[object, ...]]:
    """Signed rows of one minute; none where nothing changed."""
    wanted = {
        (one.provenance.value, one.scale, int(bucket)): int(count)
        for bucket, count in zip(one.buckets, one.bucket_counts, strict=True)
    }
    cells = {one.provenance.value: (one.count, one.sum, one.errors, one.timeouts)}
    for provenance, (count, total, errors, timeouts) in before.cells.items():
        n, s, e, t = cells.get(provenance, (0, 0.0, 0, 0))
        cells[provenance] = (n - count, s - total, e - errors, t - timeouts)
    steps = {
        bucket: wanted.get(bucket, 0) - before.buckets.get(bucket, 0)
        for bucket in wanted.keys() | before.buckets.keys()
    }
    for provenance, (count, total, errors, timeouts) in cells.items():
        own = {bucket: step for bucket, step in steps.items() if bucket[0] == provenance and step}
        # Counts that no bucket holds (base statistics only) stand in a row of their own.
        rest = count - sum(own.values())
        same = abs(total) <= NEGLIGIBLE * max(abs(one.sum), 1e-300)
        if not own and not rest and same and not errors and not timeouts:
            continue
        yield from _provenance_rows(one, provenance, own, rest, (total, errors, timeouts))


def _provenance_rows(
    one: Observation,
    provenance: str,
    steps: dict[Bucket, int],
    rest: int,
    cell: tuple[float, int, int],
) -> Iterator[tuple[object, ...]]:
    total, errors, timeouts = cell
    # A row of one request states its value (`nibai.store.wal.fold`): one inside the minute's range.
    told = 0.0
    for bucket, step in sorted(steps.items()):
        value = 0.0
        if step == 1 and bucket[2] != OVERFLOW_BUCKET:
            value = _inside(bucket, one)
            told += value
        yield _row(one, bucket, (step, value, math.nan, math.nan, 0, 0))
    low, high = (one.min, one.max) if provenance == one.provenance.value else (math.nan, math.nan)
    outside = (provenance, one.scale, ZERO_BUCKET)
    yield _row(one, outside, (rest, total - told, low, high, errors, timeouts))


def _inside(bucket: Bucket, one: Observation) -> float:
    """A value of a bucket that lies within the minute's range."""
    _, scale, number = bucket
    middle = 0.0 if number == ZERO_BUCKET else 2.0 ** ((number + 0.5) / 2**scale)
    return min(max(middle, one.min), one.max)


def _row(
    one: Observation, bucket: Bucket, amounts: tuple[int, float, float, float, int, int]
) -> tuple[object, ...]:
    """A row of the log; `amounts` are count, value, min, max, errors and timeouts."""
    key, (provenance, scale, number) = one.key, bucket
    series = (key.endpoint, key.variant, key.replica, key.segment, key.metric)
    return (*series, one.minute, scale, number, *amounts, provenance)


def _batch(rows: Sequence[tuple[object, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(WAL_SCHEMA)
    arrays = [_array(values, field.type) for values, field in zip(columns, WAL_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=WAL_SCHEMA)


def _array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_dictionary(kind):
        return column(np.array(values, dtype=kind.to_pandas_dtype()), kind)
    return text_column([str(value) for value in values]).cast(kind)
