"""Latency against load by bin: of requests where load was matched, else of blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from nibai.exposition.families import Families
from nibai.model import Exhibits, TimelinePoint

BINS = 5
FEWEST_BLOCKS = 2 * BINS
"""With fewer blocks on both sides together, bins would be single blocks."""

Blocks = dict[tuple[str, float], list[TimelinePoint]]


def load_gauges(families: Families, labels: Mapping[str, str], exhibits: Exhibits) -> None:
    """Latency of both sides in the same bins of load.

    Where the audit matched load, bins are its strata (requests a second and replica), and quantiles
    those of their requests. Else they are medians of blocks in five bins of as many blocks each,
    both sides together: the load of a block is its requests a second over all replicas. A bin
    without requests of a side has no series.
    """
    for row in exhibits.load:
        about = {"side": row.side, "load_bin": f"{row.stratum}", **labels}
        families.add("nibai_load_requests_per_second", row.rate, **about)
        quantile = f"{row.quantile:g}"
        families.add("nibai_load_latency_seconds", row.value, quantile=quantile, **about)
    if not exhibits.load:
        _by_blocks(families, labels, exhibits)


def _by_blocks(families: Families, labels: Mapping[str, str], exhibits: Exhibits) -> None:
    for quantile in sorted({point.quantile for point in exhibits.timeline}):
        blocks = _blocks(point for point in exhibits.timeline if point.quantile == quantile)
        seconds = _block_seconds(start for _, start in blocks)
        if seconds is None or len(blocks) < FEWEST_BLOCKS:
            continue
        loads = {key: sum(one.requests for one in points) / seconds
                 for key, points in blocks.items()}  # fmt: skip
        edges = np.quantile(list(loads.values()), np.arange(1, BINS) / BINS)
        binned: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
        for key, points in blocks.items():
            place = int(np.searchsorted(edges, loads[key], side="left"))
            binned[key[0], place].append((loads[key], _latency(points)))
        for (side, place), found in binned.items():
            load, latency = np.median(np.array(found), axis=0)
            families.add(
                "nibai_load_latency_seconds", float(latency), side=side, load_bin=f"{place}",
                quantile=f"{quantile:g}", **labels,
            )  # fmt: skip
            families.add(
                "nibai_load_requests_per_second", float(load), side=side, load_bin=f"{place}",
                **labels,
            )  # fmt: skip


def _blocks(points: Iterable[TimelinePoint]) -> Blocks:
    found: Blocks = defaultdict(list)
    for point in points:
        if point.value is not None and point.requests:
            found[point.side, point.start].append(point)
    return found


def _block_seconds(starts: Iterable[float]) -> float | None:
    gaps = [after - before for before, after in pairwise(sorted({*starts}))]
    return min(gaps, default=None)


def _latency(points: list[TimelinePoint]) -> float:
    """Of several replicas, the mean of logarithms by requests."""
    values = np.log([point.value for point in points if point.value is not None])
    return float(np.exp(np.average(values, weights=[point.requests for point in points])))
