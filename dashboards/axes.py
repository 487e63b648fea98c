"""Axes of the charts: ratios and durations on log scales, quantiles on the normal scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

from dashboards.theme import Spec

MOST_TICKS = 7
LINEAR_BELOW = 2.5
LADDERS: tuple[tuple[float, ...], ...] = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
REACH = 4.0
QUANTILE_TICKS = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)

Span = tuple[float, float]


def ticks(low: float, high: float) -> list[float]:
    """At most seven round numbers between two positive ones, evenly placed on a log scale.

    >>> ticks(0.9, 12)
    [1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0]
    >>> ticks(0.9, 1.3)
    [0.9, 1.0, 1.1, 1.2, 1.3]
    """
    if high / low < LINEAR_BELOW:
        for step in STEPS:
            found = _linear(low, high, step * 10 ** math.floor(math.log10(high)))
            if len(found) <= MOST_TICKS:
                return found
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = []
    for ladder in LADDERS:
        found = [round(m * 10.0**k, 12) for k in decades for m in ladder]
        found = [value for value in found if low <= value <= high]
        if len(found) <= MOST_TICKS:
            return found
    return found[:: len(found) // MOST_TICKS + 1]


def _linear(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def ratio_span(values: Iterable[float], bounds: Iterable[float]) -> Span:
    """The range of a ratio axis: every value, and bounds up to a factor of four beyond them."""
    inner = [value for value in (*values, 1.0) if value > 0]
    low, high = min(inner) / REACH, max(inner) * REACH
    every = inner + [min(max(bound, low), high) for bound in bounds if bound > 0]
    return min(every) / 1.06, max(every) * 1.06


def clipped(value: float | None, span: Span, open_end: float) -> float:
    """A bound inside the axis; one that does not exist reaches its end."""
    return open_end if value is None else min(max(value, span[0]), span[1])


def ratio_axis(span: Span, title: str, **more: object) -> Spec:
    """A log axis of ratios such as `2x`."""
    return {
        "scale": {"type": "log", "domain": list(span), "nice": False},
        "axis": {
            "values": ticks(*span),
            "labelExpr": "format(datum.value, '~g') + 'x'",
            "title": title,
            **more,
        },
    }


def value_axis(values: Sequence[float], unit: str, title: str, **more: object) -> Spec:
    """A log axis of measurements: durations as `20 ms`, other units as plain numbers."""
    span = (min(values) / 1.05, max(values) * 1.05)
    suffix = " + 's'" if unit == "s" else ""
    return {
        "scale": {"type": "log", "domain": list(span), "nice": False},
        "axis": {
            "values": ticks(*span),
            "labelExpr": f"format(datum.value, '~s'){suffix}",
            "title": title if unit == "s" else f"{title}, {unit}",
            **more,
        },
    }


def quantile_position(p: float) -> float:
    """Where a quantile stands: its normal score, so that the tail has room.

    >>> round(quantile_position(0.99), 3)
    2.326
    """
    return NormalDist().inv_cdf(p)


def quantile_axis(lowest: float, highest: float) -> Spec:
    """The axis of `quantile_position`, labelled p50, p90 and so on."""
    marks = [p for p in QUANTILE_TICKS if lowest <= p <= highest] or [lowest]
    names = {quantile_position(p): f"p{p * 100:g}" for p in marks}
    labels = ", ".join(f"'{name}'" for name in names.values())
    # The label is found by the position of the tick in the list, not by comparing floats.
    return {
        "scale": {
            "domain": [quantile_position(lowest) - 0.15, quantile_position(highest) + 0.15],
            "nice": False,
            "zero": False,
        },
        "axis": {
            "values": list(names),
            "labelExpr": f"[{labels}][round(datum.index * {max(len(names) - 1, 0)})]",
            "labelOverlap": "greedy",
            "title": "quantile",
            "grid": False,
        },
    }
