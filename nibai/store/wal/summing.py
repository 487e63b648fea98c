"""Rows of the log summed to rows of the lake, by integers alone.

Every row gets one number made of day, series, minute, kind (provenance and scale) and bucket, whose
order is the order of the lake. Equal numbers stand together once they are sorted; collectors that
bring whole minutes are sorted already. Texts are looked at once per distinct series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nibai.histogram import OVERFLOW_BUCKET
from nibai.store.engine.columns import column, numbers, text_column
from nibai.store.lake.rows import TABLES

SERIES = ("endpoint", "variant", "replica", "segment", "metric")
MINUTES_A_DAY = 1440
BUCKETS = 1 << 16
LOWEST_BUCKET = -(1 << 15)
UNCOUNTED = "scalar"
"""Rows of base statistics have a count and a sum, but nobody knows their buckets."""

_MOST = 1 << 62
_DENSE = 1 << 20

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """What rows are told apart by: a number per row (R,), rising with the texts, and the texts."""

    numbers: Int64Array
    texts: list[tuple[str, ...]]

    def column(self, place: int, wanted: Int64Array) -> pa.Array:
        """One text of each of some numbers."""
        names = text_column([one[place] for one in self.texts])
        return pa.DictionaryArray.from_arrays(column(wanted, pa.int32()), names).cast(pa.string())


class Sums:
    """Rows of one segment, sorted; `hist` and `cell` are their sums."""

    def __init__(self, rows: pa.Table) -> None:
        rows = rows.unify_dictionaries()
        self._series = _labelled(rows, SERIES)
        self._kinds = _labelled(rows, ("provenance",))
        minutes = numbers(rows["minute"]).astype(np.int64)
        self._days, day = _distinct(minutes // MINUTES_A_DAY)
        self._scales, scale = _distinct(numbers(rows["scale"]).astype(np.int64))
        key = day * len(self._series.texts) + self._series.numbers
        key = key * MINUTES_A_DAY + minutes % MINUTES_A_DAY
        key = key * len(self._kinds.texts) + self._kinds.numbers
        key = (key * len(self._scales) + scale) * BUCKETS
        key += numbers(rows["bucket"]).astype(np.int64) - LOWEST_BUCKET
        self._rows = rows
        self._order = None if bool((key[1:] >= key[:-1]).all()) else np.argsort(key, kind="stable")
        self._keys = key if self._order is None else key[self._order]

    def hist(self) -> pa.Table:
        """Counts per bucket, those of base statistics and empty ones left out."""
        starts = _starts(self._keys)
        counts = np.add.reduceat(self._sorted("count"), starts)
        key = self._keys[starts]
        kind = key // (BUCKETS * len(self._scales)) % len(self._kinds.texts)
        counted = np.array([texts[0] != UNCOUNTED for texts in self._kinds.texts])
        kept = (counts != 0) & counted[kind]
        key = key[kept]
        columns = self._columns(key // (BUCKETS * len(self._scales)))
        columns["scale"] = column(self._scales[key // BUCKETS % len(self._scales)], pa.int8())
        columns["bucket"] = column(key % BUCKETS + LOWEST_BUCKET, pa.int16())
        columns["count"] = column(counts[kept], pa.int64()).cast(pa.int32())
        return pa.table(columns).select(TABLES["hist"].names).cast(TABLES["hist"])

    def cell(self) -> pa.Table:
        """Sums and extremes per series, minute and provenance."""
        keys = self._keys // (BUCKETS * len(self._scales))
        starts = _starts(keys)
        columns = self._columns(keys[starts])
        for name, source in (("count", "count"), ("errors", "errors"), ("timeouts", "timeouts")):
            columns[name] = column(np.add.reduceat(self._sorted(source), starts), pa.int64())
        columns["sum"] = column(np.add.reduceat(self._sorted("value"), starts), pa.float64())
        for name, extreme in (("min", np.fmin), ("max", np.fmax)):
            columns[name] = column(extreme.reduceat(self._ends(name), starts), pa.float64())
        return pa.table(columns).select(TABLES["cell"].names).cast(TABLES["cell"])

    def _ends(self, name: str) -> NDArray[np.float64]:
        """What each row says of an extreme; a row of one request states it by its value."""
        single = (self._sorted("count") == 1) & (
            self._keys % BUCKETS + LOWEST_BUCKET != OVERFLOW_BUCKET
        )
        return np.where(single, self._sorted("value"), self._sorted(name))

    def _sorted(self, name: str) -> NDArray[np.float64] | Int64Array:
        values = numbers(self._rows[name])
        return values if self._order is None else values[self._order]

    def _columns(self, key: Int64Array) -> dict[str, pa.Array]:
        """The columns that both tables share, of numbers without scale and bucket."""
        kinds, series = len(self._kinds.texts), len(self._series.texts)
        minute = key // kinds % MINUTES_A_DAY
        of = key // (kinds * MINUTES_A_DAY)
        day = self._days[of // series]
        texts = {name: self._series.column(i, of % series) for i, name in enumerate(SERIES)}
        return {
            "day": column(day, pa.int32()).view(pa.date32()),
            **texts,
            "minute": column(day * MINUTES_A_DAY + minute, pa.int32()),
            "provenance": self._kinds.column(0, key % kinds),
        }


def _starts(keys: Int64Array) -> Int64Array:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))


def _distinct(values: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Distinct values in their order, and the place of each value among them."""
    first, last = int(values.min()), int(values.max())
    if last - first >= _DENSE:
        used, places = np.unique(values, return_inverse=True)
        return used, places.astype(np.int64)
    # Few values near each other, as nearly always: ten times as fast as sorting them.
    here = np.zeros(last - first + 1, dtype=bool)
    here[values - first] = True
    places = np.cumsum(here) - 1
    return np.flatnonzero(here) + first, places[values - first]


def _labelled(rows: pa.Table, names: tuple[str, ...]) -> Labelled:
    """Distinct texts of some columns, in their order; a missing one counts as empty."""
    codes: Int64Array = np.zeros(rows.num_rows, dtype=np.int64)
    found: list[tuple[str, ...]] = [()]
    for name in names:
        known, here = _coded(rows[name])
        if len(found) * len(known) > _MOST:
            raise OverflowError("more series than can be numbered")
        used, codes = _distinct(codes * len(known) + here)
        found = [(*found[i // len(known)], known[i % len(known)]) for i in used.tolist()]
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    return Labelled(rank[codes], [found[i] for i in order])


def _coded(texts: pa.ChunkedArray) -> tuple[list[str], Int64Array]:
    """The texts of a column of one dictionary, and the number of each row's."""
    known = texts.chunk(0).dictionary.to_pylist()
    if texts.null_count and "" not in known:
        known.append("")
    indices = pa.chunked_array([chunk.indices for chunk in texts.chunks])
    if texts.null_count:
        indices = indices.fill_null(known.index(""))
    return known, numbers(indices).astype(np.int64)
