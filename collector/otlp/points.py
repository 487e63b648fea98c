"""Histogram points of OTLP as histograms of ours."""

from __future__ import annotations

import numpy as np

from collector.otlp.shapes import Point
from nibai.histogram import ZERO_THRESHOLD, BlockHistograms, bucket_index, from_otel_exponential

UNIT_FACTORS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "": 1.0}


def from_explicit(counts: np.ndarray, point: Point, total: float) -> BlockHistograms:
    """Counts between bounds spread evenly (in log) over the buckets between them.

    Coarse bounds give coarse quantiles: an explicit histogram cannot say more than its bounds do.
    What lies beyond the last bound is spread over one doubling.
    """
    factor = UNIT_FACTORS[point.unit]
    bounds = np.array(point.bounds, dtype=np.float64) * factor
    if not len(bounds):
        mean = total * factor / max(int(counts.sum()), 1)
        bounds, counts = np.array([mean]), np.array([counts.sum(), 0])
    edges = np.concatenate([[bounds[0] / 2], bounds, [bounds[-1] * 2]])
    first = bucket_index(np.maximum(edges, ZERO_THRESHOLD * 2)).astype(np.int64)
    buckets, shares = [], []
    for low, high, count in zip(first[:-1] + 1, first[1:] + 1, counts, strict=True):
        width = max(int(high - low), 1)
        buckets.append(low + np.arange(width))
        shares.append(np.diff(np.floor(np.arange(width + 1) * count / width)))
    where = np.concatenate(buckets)
    return BlockHistograms.from_rows(
        np.zeros(len(where), np.int64), where, np.concatenate(shares), blocks=1
    )


def from_exponential(counts: np.ndarray, point: Point) -> BlockHistograms:
    """The zero count first, then the buckets, in seconds."""
    histogram = from_otel_exponential(
        scale=point.scale,
        zero_count=int(counts[0]),
        positive_offset=point.offset,
        positive_counts=[int(count) for count in counts[1:]],
    )
    shift = np.log2(UNIT_FACTORS[point.unit]) * 2.0**histogram.scale
    return BlockHistograms(
        histogram.scale,
        histogram.offset + round(shift),
        histogram.counts,
        histogram.zero,
        histogram.overflow,
    )
