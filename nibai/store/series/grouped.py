"""Result tables of the engine as block series by replica and segment."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from nibai.histogram import BlockHistograms, Int64Array, merge
from nibai.model import BlockSeries, Provenance, RecordedAs
from nibai.stats.cells import split
from nibai.stats.recorded import RecordedShare
from nibai.store.engine.columns import numbers

RECORDED = {
    "fitted": Provenance.PERCENTILE_FIT,
    "spread": Provenance.EXPLICIT,
    "unbinned": Provenance.SCALAR,
    "quartered": Provenance.QUARTILE_FIT,
    "sampled": Provenance.SAMPLED,
}

RECORDED_COLUMNS = ", ".join(
    f"coalesce(sum(count) FILTER (WHERE provenance = '{kind.value}'), 0)::BIGINT AS {name}"
    for name, kind in RECORDED.items()
)
"""SQL: how many requests of the cells were recorded without buckets of their own."""

Found = dict[str, dict[str, BlockSeries]]
"""replica -> segment -> blocks."""


def assemble(hist: pa.Table | None, cell: pa.Table | None, count: int, strata: int = 1) -> Found:
    """Rows of one side as block series by replica and segment."""
    found: Found = {}
    if cell is None:
        return found
    h, c = None if hist is None else Grouped(hist), Grouped(cell)
    for key, at in c.groups():
        block = c.column("block")[at]
        totals = {
            name: np.bincount(block, weights=c.column(name)[at], minlength=count)
            for name in ("sum", "errors", "timeouts")
        }
        rows = None if h is None else h.positions.get(key)
        if h is None or rows is None:  # base statistics alone
            together = BlockHistograms.empty(count * strata)
        else:
            together = h.histograms(rows, count * strata)
        parts = split(together, strata) if strata > 1 else ()
        found.setdefault(key[0], {})[key[1]] = BlockSeries(
            merge(parts) if parts else together,
            totals["errors"].astype(np.int64),
            totals["timeouts"].astype(np.int64),
            totals["sum"].astype(np.float64),
            parts,
            RecordedAs(**{name: int(c.column(name)[at].sum()) for name in RECORDED}),
        )
    return found


def shares(cells: pa.Table) -> dict[str, RecordedShare]:
    """Rows (segment, count, how they were recorded) by segment; the count is that of buckets."""
    columns = {name: numbers(cells.column(name)).tolist() for name in ("count", *RECORDED)}
    found = {}
    for i, segment in enumerate(cells.column("segment").to_pylist()):
        of = RecordedAs(**{name: int(columns[name][i]) for name in RECORDED})
        found[str(segment)] = RecordedShare(of, int(columns["count"][i]) - of.unbinned)
    return found


def per_slot(found: pa.Table | None, count: int) -> Int64Array:
    """Rows (replica, block, count) as a table of replicas by slots, shape (R, T)."""
    if found is None or not found.num_rows:
        return np.zeros((1, count), dtype=np.int64)
    encoded = found.column("replica").combine_chunks().dictionary_encode()
    replica = np.from_dlpack(encoded.indices).astype(np.int64)
    table = np.zeros((len(encoded.dictionary), count), dtype=np.int64)
    np.add.at(table, (replica, numbers(found.column("block"))), numbers(found.column("count")))
    return table


class Grouped:
    """A result table with the positions of its rows by (replica, segment)."""

    def __init__(self, table: pa.Table) -> None:
        self._columns: dict[str, np.ndarray] = {
            name: numbers(table.column(name))
            for name in table.column_names
            if name not in ("replica", "segment")
        }
        codes, names = [], []
        for name in ("replica", "segment"):
            encoded = table.column(name).combine_chunks().dictionary_encode()
            codes.append(np.from_dlpack(encoded.indices))
            names.append([str(text) for text in encoded.dictionary.to_pylist()])
        pair = codes[0].astype(np.int64) * max(len(names[1]), 1) + codes[1]
        order = np.argsort(pair, kind="stable")
        values, starts = np.unique(pair[order], return_index=True)
        width = max(len(names[1]), 1)
        self.positions = {
            (names[0][value // width], names[1][value % width]): rows
            for value, rows in zip(values, np.split(order, starts[1:]), strict=True)
        } if len(order) else {}  # fmt: skip

    def column(self, name: str) -> np.ndarray:
        return self._columns[name]

    def groups(self) -> Iterable[tuple[tuple[str, str], np.ndarray]]:
        return self.positions.items()

    def histograms(self, rows: np.ndarray, count: int) -> BlockHistograms:
        """One group's histograms, at the coarsest scale present."""
        scales = self.column("scale")[rows]
        parts = []
        for scale in np.unique(scales):
            at = rows[scales == scale]
            columns = (self.column(name)[at] for name in ("block", "bucket", "count"))
            parts.append(BlockHistograms.from_rows(*columns, blocks=count, scale=int(scale)))
        return merge(parts)
