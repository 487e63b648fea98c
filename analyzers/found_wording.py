"""Changes that were found, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analyzers.wording import interval_text, times
from nibai.history import Movement
from nibai.stats.shifts import Shift
from nibai.units import significant

SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (0.0, "ns"))
NEARLY = 0.9


def headline(metric: str, movements: Sequence[Movement]) -> str:
    """The quantile that moved furthest, the median where it nearly did; else errors or spread.

    >>> headline("latency", [])
    'latency changed'
    """
    moved = [one for one in movements if one.changed]
    quantiles = [one for one in moved if one.quantile is not None]
    if quantiles:
        furthest = max(quantiles, key=_distance)
        nearly = (one for one in quantiles if _distance(one) >= NEARLY * _distance(furthest))
        return f"{metric} {_short(min(nearly, key=lambda one: one.view != 'p50'))}"
    for one in moved:
        if one.view == "errors":
            return _short(one)
    return f"{metric} {_short(moved[0])}" if moved else f"{metric} changed"


def _distance(movement: Movement) -> float:
    size = movement.size.value
    return math.inf if not size else abs(math.log2(size))


def _short(movement: Movement) -> str:
    return movement.text.partition(" [")[0]


def movement_text(view: str, ends: Sequence[float], shift: Shift, *, unit: str, better: int) -> str:
    """One view in words; `better` is 1 where less is better and -1 where more is.

    >>> found = Shift(-1.0, -1.1, -0.9, 0.95, changed=True)
    >>> movement_text("p50", (0.2, 0.1), found, unit="s", better=1)
    'p50 200 ms -> 100 ms, 2.00x faster [1.87, 2.14]'
    >>> movement_text("spread", (3.0, 6.0), Shift(1.0, 0.8, 1.2, 0.95, changed=True),
    ...     unit="s", better=1)
    'spread 3.00x -> 6.00x, 2.00x wider [1.74, 2.30]'
    """
    if view == "errors":
        before, after = (f"{end:.3%}" for end in ends)
        return f"errors {before} -> {after}, {_points(shift)}"
    if view == "spread":
        before, after = (times(end) for end in ends)
        return f"spread {before} -> {after}, {_wider(shift)}"
    before, after = (quantity(end, unit) for end in ends)
    log2 = (-better * shift.value, *sorted((-better * shift.low, -better * shift.high)))
    return f"{view} {before} -> {after}, {interval_text(*log2, timed=better > 0 and unit == 's')}"


def quantity(value: float, unit: str) -> str:
    """A measured value with its unit, times in the unit people would use.

    >>> quantity(0.1034, "s"), quantity(12.0, "1/s"), quantity(float("inf"), "s")
    ('103 ms', '12 1/s', 'failed')
    """
    if math.isinf(value):
        return "failed"
    if unit != "s" or value == 0 or math.isnan(value):
        return f"{significant(value)} {unit}"
    factor, name = next((f, n) for f, n in SCALES if value >= f)
    return f"{significant(value / (factor or 1e-9))} {name}"


def _wider(shift: Shift) -> str:
    text = interval_text(-shift.value, -shift.high, -shift.low)
    return text.replace("slower", "wider").replace("faster", "narrower")


def _points(shift: Shift) -> str:
    value, low, high = (f"{100 * x:+.3g}" for x in (shift.value, shift.low, shift.high))
    return f"{value}pp [{low}, {high}]"
