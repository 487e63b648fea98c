"""Latency by load: quantiles of both sides in the strata of load that they share."""

from __future__ import annotations

import math

import numpy as np

from nibai.histogram import BlockHistograms, merge
from nibai.model import Comparison, LoadRow, LoadStrata, Side
from nibai.stats.cells import pooled_strata
from nibai.stats.floors import raw_floor

ROWS = (0.5, 0.9, 0.99)


def load_rows(comparison: Comparison) -> tuple[LoadRow, ...]:
    """Rows of both sides from the quietest stratum on; none where load is not matched."""
    load = comparison.load
    if load is None or not load.edges:
        return ()
    rates = _rates(load)
    return tuple(
        row
        for role, side in (("baseline", comparison.baseline), ("candidate", comparison.candidate))
        for stratum, counts in enumerate(_by_group(side, load))
        if counts is not None
        for row in _quantiles(role, stratum, rates[stratum], counts)
    )


def _rates(load: LoadStrata) -> list[float]:
    """The middle of every stratum's arrivals, per second and replica.

    The outer ones reach to the 5th and the 95th percentile.
    """
    least, most = min(one[0] for one in load.arrivals), max(one[2] for one in load.arrivals)
    edges = [min(least, load.edges[0]), *load.edges, max(most, load.edges[-1])]
    groups = np.array(load.groups)
    found = []
    for group in range(groups.max() + 1):
        fine = np.flatnonzero(groups == group)
        found.append((edges[fine[0]] + edges[fine[-1] + 1]) / 2 / 60.0)
    return found


def _by_group(side: Side, load: LoadStrata) -> list[BlockHistograms | None]:
    """All requests of a side in every stratum."""
    strata = pooled_strata(side)
    found: list[BlockHistograms | None] = []
    for group in range(max(load.groups) + 1):
        fine = [number for number, one in enumerate(load.groups) if one == group]
        parts = [one[number].total() for one in strata.values() for number in fine]
        found.append(merge(parts) if parts else None)
    return found


def _quantiles(role: str, stratum: int, rate: float, counts: BlockHistograms) -> list[LoadRow]:
    n = int(counts.n[0])
    shown = [p for p in ROWS if n >= raw_floor(p)]
    values = counts.quantile(shown).tolist() if shown else []
    return [
        LoadRow(role, stratum, rate, p, value if math.isfinite(value) else None, n)
        for p, value in zip(shown, values, strict=True)
    ]
