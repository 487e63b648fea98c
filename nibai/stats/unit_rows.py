"""How much the hosts, replicas, runs or days of one side differ: what one of them cannot show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nibai.model import Comparison, ReplicaSample, Side, UnitRow
from nibai.stats.floors import raw_floor
from nibai.stats.sides import replica_segments, requests, run_log2_quantiles
from nibai.units import ratio_of

QUANTILES = (0.5, 0.99)
MAX_UNITS = 100


def unit_rows(comparison: Comparison) -> tuple[UnitRow, ...]:
    """Median and p99 of every unit of both sides, beside the typical unit of its side.

    Nothing when each side is one unit. A quantile is left out where a unit has too few requests.
    """
    sides = (("baseline", comparison.baseline), ("candidate", comparison.candidate))
    if max(len(side.replicas) for _, side in sides) < 2:  # noqa: PLR2004 - nothing to compare
        return ()
    return tuple(row for role, side in sides for row in _side(role, side))


def _side(role: str, side: Side) -> list[UnitRow]:
    units = side.replicas[:MAX_UNITS]
    return [row for p in QUANTILES for row in _quantile(role, units, p)]


def _quantile(role: str, units: Sequence[ReplicaSample], p: float) -> list[UnitRow]:
    segments = [replica_segments(unit) for unit in units]
    counts = [requests(one) for one in segments]
    enough = [n >= raw_floor(p) for n in counts]
    found = run_log2_quantiles(segments, p, None)
    finite = [q for q, ok in zip(found, enough, strict=True) if ok and math.isfinite(q)]
    typical = sum(finite) / len(finite) if finite else math.nan
    return [
        UnitRow(role, unit.name, p, ratio_of(q), ratio_of(q - typical), n)
        for unit, q, n, ok in zip(units, found, counts, enough, strict=True)
        if ok
    ]
