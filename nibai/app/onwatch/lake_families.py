"""Totals of the lake as families: a histogram a series, requests by outcome, recent quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nibai.conventions import ACCELERATOR_USE, DEFAULT_QUANTILES, METRICS
from nibai.exposition import Families, HistogramValue
from nibai.histogram import BlockHistograms, merge
from nibai.store.engine.columns import numbers
from nibai.store.series.totals import Seen

Series = tuple[str, str, str]
"""Endpoint, variant, metric."""

TIMES = tuple(metric.name for metric in METRICS.values() if metric.unit == "s")
"""The metrics that are exported as histograms."""

EXPORTED = (*TIMES, ACCELERATOR_USE)


def lake_families(families: Families, seen: Seen) -> None:
    """Add everything that comes out of the lake."""
    cells = _cells(seen.cell)
    for (endpoint, variant, metric), counts in histograms(seen.hist):
        if metric not in TIMES:
            continue
        total = cells.get((endpoint, variant, metric), {}).get("sum", 0.0)
        value = HistogramValue(counts, total)
        families.put(f"nibai_{metric}_seconds", (endpoint, variant), value)
    for (endpoint, variant), outcomes in _requests(cells).items():
        for outcome, number in outcomes.items():
            families.put("nibai_requests_total", (endpoint, variant, outcome), number)
    for (endpoint, variant, metric), counts in histograms(seen.recent):
        if metric == ACCELERATOR_USE:
            families.put("nibai_accelerator_use_ratio", (endpoint, variant), mean(counts))
            continue
        values = counts.quantile(DEFAULT_QUANTILES).tolist()
        for quantile, value in zip(DEFAULT_QUANTILES, values, strict=True):
            labels = (endpoint, variant, metric, f"{quantile:g}")
            families.put("nibai_latency_quantile_seconds", labels, value)


def mean(counts: BlockHistograms) -> float:
    """The mean of one block by the middles of its buckets: to half a bucket, 1.1 % at scale 5.

    >>> round(mean(BlockHistograms.from_values([0.0, 0.5, 0.5, 1.0])), 2)
    0.49
    """
    row = counts.counts[0]
    middles = np.exp2((counts.offset + np.arange(len(row)) + 0.5) / 2.0**counts.scale)
    known = int(row.sum() + counts.zero[0])
    return float(row @ middles) / known if known else math.nan


def histograms(table: pa.Table) -> Iterator[tuple[Series, BlockHistograms]]:
    """Every series of a table that is sorted by endpoint, variant and metric, in one block."""
    encoded = [_encoded(table[name]) for name in ("endpoint", "variant", "metric")]
    scale, bucket, count = (numbers(table[name]) for name in ("scale", "bucket", "count"))
    if not len(scale):
        return
    changes = [codes[1:] != codes[:-1] for codes, _ in encoded]
    starts = np.flatnonzero(np.r_[True, np.logical_or.reduce(changes)])
    for start, end in zip(starts, [*starts[1:], len(scale)], strict=True):
        parts = []
        for one in np.unique(scale[start:end]).tolist():
            rows = start + np.flatnonzero(scale[start:end] == one)
            block = np.zeros(len(rows), dtype=np.int64)
            parts.append(
                BlockHistograms.from_rows(block, bucket[rows], count[rows], blocks=1, scale=one)
            )
        endpoint, variant, metric = (names[codes[start]] for codes, names in encoded)
        yield (endpoint, variant, metric), parts[0] if len(parts) == 1 else merge(parts)


def _encoded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """(a number per row, the name of each number)."""
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    return numbers(pa.chunked_array([whole.indices])), whole.dictionary.to_pylist()


def _cells(table: pa.Table) -> dict[Series, dict[str, float]]:
    return {
        (row["endpoint"], row["variant"], row["metric"]): {
            "count": float(row["count"]),
            "errors": float(row["errors"]),
            "timeouts": float(row["timeouts"]),
            "sum": row["sum"] or 0.0,
        }
        for row in table.to_pylist()
    }


def _requests(
    cells: Mapping[Series, Mapping[str, float]],
) -> dict[tuple[str, str], dict[str, float]]:
    """Requests by outcome; of several metrics the one that saw the most speaks."""
    most: dict[tuple[str, str], Mapping[str, float]] = {}
    for (endpoint, variant, metric), cell in cells.items():
        if metric not in TIMES:
            continue
        known = most.get((endpoint, variant))
        if known is None or cell["count"] > known["count"]:
            most[endpoint, variant] = cell
    return {
        series: {
            "success": max(cell["count"] - cell["errors"] - cell["timeouts"], 0.0),
            "error": cell["errors"],
            "timeout": cell["timeouts"],
        }
        for series, cell in most.items()
    }
