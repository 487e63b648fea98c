"""Bucket counts of a minute of which only percentiles were recorded.

Assumes type-7 percentiles (linear between order statistics) and a smooth distribution between
them; nothing bounds the error, so that intervals carry the margins of `nibai.stats.recorded`.
Source: nibai's statistics.md, section 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import SCALE, bucket_index

_NORMAL = NormalDist()


def rebuilt_counts(
    n: int, percentiles: Mapping[float, float], low: float, high: float
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Buckets (K,) of scale 5 and counts (K,), which add up to n exactly.

    `percentiles` maps p in (0, 1) to values in base units; `low` and `high` are the smallest and
    largest value. Percentiles that fall back against their order are raised to it.

    >>> buckets, counts = rebuilt_counts(1000, {0.5: 0.1, 0.9: 0.2}, 0.05, 0.4)
    >>> int(counts.sum()), round(float(2 ** (buckets[np.cumsum(counts) >= 500][0] / 32)), 2)
    (1000, 0.1)
    """
    first, last = (int(index) for index in bucket_index(np.array([low, high])))
    if n <= 1 or first == last:
        return np.array([first], dtype=np.int32), np.array([n], dtype=np.int64)
    # The plotting position of a type-7 percentile: without it p99 is 4 to 8 % too low.
    inner = [(((n - 1) * p + 0.5) / n, value) for p, value in sorted(percentiles.items())]
    nodes = [(0.5 / n, low), *inner, (1 - 0.5 / n, high)]
    z = np.array([_NORMAL.inv_cdf(u) for u, _ in nodes])
    levels = np.clip(np.array([value for _, value in nodes]), low, high)
    values = np.maximum.accumulate(np.log2(levels))
    z, values = _strictly(z, values)
    edges = np.arange(first + 1, last + 1) / 2.0**SCALE  # inner edges; the ends hold the rest
    at = np.interp(edges, values, z)
    below = np.array([_NORMAL.cdf(one) for one in at])
    cumulative = np.concatenate([[0], np.rint(n * below), [n]]).astype(np.int64)
    counts = np.diff(np.maximum.accumulate(cumulative))
    kept = counts > 0
    return np.arange(first, last + 1, dtype=np.int32)[kept], counts[kept]


def _strictly(
    z: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of equal values the last one: the distribution function jumps there."""
    last = np.append(np.diff(values) > 0, [True])
    return z[last], values[last]
