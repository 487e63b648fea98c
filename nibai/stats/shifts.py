"""What changed at a change, and by how much: several views of one series judged together.

A view is one quantity per block (a log2 quantile, the spread, an error rate). Views are judged at
`alpha` divided by their number, so that an unchanged series shows any change in about `alpha` of
cases however the views hang together. Changes nearer than the minimum segment are one change.

Source: nibai's statistics.md, section 14 (detection), section 5 (variance factor).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nibai.histogram import Float64Array
from nibai.stats.change_points import (
    ALPHA,
    MIN_SEGMENT,
    ChangePoint,
    change_points,
    long_run_variance,
    observed,
    strongest_change,
)
from nibai.stats.student import critical_value

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Shift:
    """Mean after minus mean before in the view's unit (log2: 1 is a doubling), with its interval.

    `changed`: the change was found in this view, or its interval at the level shared by all views
    excludes 0. An infinite shift (from or to all requests failing) has no interval.
    """

    value: float
    low: float
    high: float
    level: float
    changed: bool


@dataclass(frozen=True, slots=True)
class JointChange:
    """One change with its shift per view; `point` is where the clearest view puts it.

    `before` and `after` are the stretches [start, end) that the shifts compare, by position.
    """

    point: ChangePoint
    view: str
    before: tuple[int, int]
    after: tuple[int, int]
    shifts: Mapping[str, Shift]


def joint_changes(
    views: Mapping[str, ArrayLike], *, alpha: float = ALPHA, min_segment: int = MIN_SEGMENT
) -> tuple[JointChange, ...]:
    """Changes of a series seen in any of its views (arrays of equal length), in order.

    >>> rng = np.random.default_rng(1)
    >>> p50, p99 = rng.normal(size=(2, 200))
    >>> found = joint_changes({"p50": p50, "p99": p99 + np.repeat([0.0, 2.0], 100)})
    >>> [(change.view, change.point.index, change.shifts["p50"].changed) for change in found]
    [('p99', 100, False)]
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in views.items()}
    points = [
        (point, name)
        for name, values in arrays.items()
        for point in change_points(values, alpha=alpha / len(arrays), min_segment=min_segment)
    ]
    clusters = _clusters(points, min_segment)
    ends = [0, *(cluster[0][0].index for cluster in clusters)]
    ends.append(max((len(values) for values in arrays.values()), default=0))
    found = []
    for i, cluster in enumerate(clusters):
        point, view = cluster[0]
        before, after = (ends[i], ends[i + 1]), (ends[i + 1], ends[i + 2])
        seen = {name for _, name in cluster}
        shifts = {
            name: _judged(
                values[slice(*before)], values[slice(*after)], len(arrays), seen=name in seen
            )
            for name, values in arrays.items()
        }
        found.append(JointChange(point, view, before, after, shifts))
    return tuple(found)


def joint_p_value(views: Mapping[str, ArrayLike], *, min_segment: int = MIN_SEGMENT) -> float:
    """P-value of "nothing changed in any view": the smallest one times the number of views."""
    points = (strongest_change(observed(values)[0], min_segment) for values in views.values())
    smallest = min((point.p_value for point in points if point is not None), default=1.0)
    return min(smallest * len(views), 1.0)


def shift(before: ArrayLike, after: ArrayLike, *, level: float = LEVEL) -> tuple[float, ...]:
    """(difference of means, low, high) of two stretches of one view, AR(1) noise allowed for.

    Welch's t with the long-run variance of each stretch and its effective number of points. An
    interval that cannot be had is infinite: fewer than two points, or mostly infinite values.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (before, after)]
    sides = [side[~np.isnan(side)] for side in sides]
    medians = [float(np.median(side)) if len(side) else math.nan for side in sides]
    if not all(math.isfinite(median) for median in medians):
        value = math.nan if medians[0] == medians[1] else medians[1] - medians[0]
        return value, -math.inf, math.inf
    split = len(sides[0])
    joined, _ = observed(np.concatenate(sides))
    parts = [joined[:split], joined[split:]]
    value = float(parts[1].mean() - parts[0].mean())
    if min(len(part) for part in parts) < 2:  # noqa: PLR2004 - no variance from one point
        return value, -math.inf, math.inf
    variances, freedom = zip(*(_of_mean(part) for part in parts), strict=True)
    total = sum(variances)
    if total == 0.0:
        return value, value, value
    df = total**2 / sum(v * v / f for v, f in zip(variances, freedom, strict=True))
    reach = critical_value(level, df) * math.sqrt(total)
    return value, value - reach, value + reach


def _of_mean(part: Float64Array) -> tuple[float, float]:
    """Variance of a stretch's mean and its degrees of freedom: effective points less one."""
    noise = long_run_variance(part, parts=1)
    effective = len(part) * (1 - noise.phi) / (1 + noise.phi)
    return noise.value / len(part), max(effective - 1, 1.0)


def _judged(before: Float64Array, after: Float64Array, views: int, *, seen: bool) -> Shift:
    value, low, high = shift(before, after)
    _, lowest, highest = shift(before, after, level=1 - (1 - LEVEL) / views)
    return Shift(value, low, high, LEVEL, seen or lowest > 0 or highest < 0)


def _clusters(
    points: list[tuple[ChangePoint, str]], min_segment: int
) -> list[list[tuple[ChangePoint, str]]]:
    """Points nearer than the minimum segment to a clearer one join it; in order of time."""
    clusters: list[list[tuple[ChangePoint, str]]] = []
    for point, name in sorted(points, key=lambda found: -found[0].statistic):
        for cluster in clusters:
            if abs(cluster[0][0].index - point.index) < min_segment:
                cluster.append((point, name))
                break
        else:
            clusters.append([(point, name)])
    return sorted(clusters, key=lambda cluster: cluster[0][0].index)
