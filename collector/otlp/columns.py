"""Rows of one batch for the write-ahead log, collected column by column."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from nibai.histogram import OVERFLOW_BUCKET, SCALE, ZERO_BUCKET, BlockHistograms, bucket_index
from nibai.model import Provenance
from nibai.store.engine.columns import column
from nibai.store.lake.rows import WAL_SCHEMA

Key = tuple[str, str, str, str, str]
"""Endpoint, variant, replica, segment and metric."""


_PROVENANCES = [Provenance.EXACT.value, Provenance.EXPLICIT.value]


class Columns:
    """Rows of one batch, collected column by column; series are numbered once."""

    def __init__(self) -> None:
        self._series: dict[Key, int] = {}
        self._parts: list[dict[str, np.ndarray]] = []

    def add_requests(
        self,
        series: np.ndarray,
        minute: np.ndarray,
        seconds: np.ndarray,
        lost: np.ndarray,
        timed_out: np.ndarray,
    ) -> None:
        """One row per request; a failed one is infinitely slow."""
        buckets = bucket_index(np.where(lost, np.inf, seconds))
        n = len(series)
        # A row of one request needs no minimum and maximum: the fold takes its value.
        unknown = np.full(n, np.nan)
        self._add(
            series,
            minute=minute,
            scale=np.full(n, SCALE, dtype=np.int8),
            bucket=buckets.astype(np.int16),
            count=np.ones(n, dtype=np.int64),
            value=np.where(lost, 0.0, seconds),
            min=unknown,
            max=unknown,
            errors=(lost & ~timed_out).astype(np.int64),
            timeouts=timed_out.astype(np.int64),
            provenance=np.zeros(n, dtype=np.int32),
        )

    def add_histogram(
        self,
        key: Key,
        minute: int,
        histogram: BlockHistograms,
        total: float,
        *,
        failed: bool,
        timeout: bool,
        explicit: bool = False,
    ) -> None:
        """One row per bucket; the sum stands in the first row.

        `explicit`: the buckets were made from counts between other bounds.
        """
        used = np.flatnonzero(histogram.counts[0])
        buckets = np.concatenate([[ZERO_BUCKET], histogram.offset + used, [OVERFLOW_BUCKET]])
        counts = np.concatenate([histogram.zero, histogram.counts[0][used], histogram.overflow])
        keep = counts > 0
        buckets, counts = buckets[keep], counts[keep]
        if failed:
            buckets, counts = np.array([OVERFLOW_BUCKET]), np.array([counts.sum()])
        if not counts.sum():
            return
        n = len(counts)
        first = np.arange(n) == 0
        unknown = np.full(n, np.nan)
        lost = counts if failed else np.zeros(n, dtype=np.int64)
        self._add(
            np.full(n, self.number(key), dtype=np.int32),
            minute=np.full(n, minute, dtype=np.int32),
            scale=np.full(n, histogram.scale, dtype=np.int8),
            bucket=buckets.astype(np.int16),
            count=counts.astype(np.int64),
            value=np.where(first, 0.0 if failed else total, 0.0),
            min=unknown,
            max=unknown,
            errors=np.zeros(n, dtype=np.int64) if timeout else lost.astype(np.int64),
            timeouts=lost.astype(np.int64) if timeout else np.zeros(n, dtype=np.int64),
            provenance=np.full(n, explicit and not failed, dtype=np.int32),
        )

    def batch(self) -> pa.RecordBatch | None:
        """The batch, None without a row."""
        if not self._parts:
            return None
        whole = {name: self._whole(name) for name in self._parts[0]}
        arrays = []
        for field in WAL_SCHEMA:
            if field.name in _TEXTS:
                place = _TEXTS.index(field.name)
                texts = [key[place] for key in self._series]
                arrays.append(_dictionary(whole["series"], texts))
            elif field.name == "provenance":
                arrays.append(_dictionary(whole[field.name], _PROVENANCES))
            else:
                arrays.append(column(whole[field.name], field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=WAL_SCHEMA)

    def _whole(self, name: str) -> np.ndarray:
        parts = [part[name] for part in self._parts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _add(self, series: np.ndarray, **columns: np.ndarray) -> None:
        self._parts.append({"series": series, **columns})

    def number(self, key: Key) -> int:
        """The number of a series in this batch."""
        return self._series.setdefault(key, len(self._series))


_TEXTS = ("endpoint", "variant", "replica", "segment", "metric")


def _dictionary(codes: np.ndarray, texts: Sequence[str]) -> pa.DictionaryArray:
    numbers: dict[str, int] = {}
    number = [numbers.setdefault(text, len(numbers)) for text in texts]
    indices = column(np.array(number, dtype=np.int32)[codes], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, _few_texts(tuple(numbers)), safe=False)


@lru_cache(maxsize=256)
def _few_texts(texts: tuple[str, ...]) -> pa.Array:
    """Texts as a column: `pa.array` imports pandas, and a cast costs as much as a batch."""
    packed = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, packed)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(packed))]
    return pa.Array.from_buffers(pa.string(), len(packed), buffers)
