"""Abrupt changes of level in a recorded series: CUSUM against a long-run variance, recursively.

The place is that of the best step (least squares), the test is the CUSUM in standard deviations
that are estimated on either side of it, so that the step itself does not enter. A stretch that a
straight line explains better than a step is drift, not a change, and is left alone.

Assumes noise whose correlation fades like AR(1). Guarantee: an unchanged series shows a change in
about `alpha` of cases for correlations up to 0.5, in up to twice as many at 0.8, four times at 0.9
(measured: tests/statistical).

Source: nibai's statistics.md, section 14; interval of the location: Bai (1997), Review of
Economics and Statistics 79.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from nibai.histogram import Float64Array, Int64Array

ALPHA = 0.05
MIN_SEGMENT = 24
"""Points on either side of a change."""

PARTS = 4
MAX_CORRELATION = 0.95

DRIFT_ADVANTAGE = 3.84
"""By how much, in long-run variances, a line must beat a step: the 5 % point of chi-square(1)."""

LOCATION_FACTOR = 11.0
"""Half-width of a 95 % interval of the location, in long-run variances over squared shifts."""

MAX_TERMS = 100
ROUNDING = 1e-12

MIN_STRETCH = 4
"""Shortest stretch in minimum segments: correlation is not known from fewer points."""

NEXT_LEVEL = 0.25
"""The share of alpha that goes to stretches of half the length and shorter."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The first point of the new level and an interval [low, high] for it, both by position.

    `statistic` is the CUSUM in long-run standard deviations (corrected for their being estimated),
    `p_value` its Kolmogorov tail.
    """

    index: int
    low: int
    high: int
    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class LongRunVariance:
    """n times the variance of a mean: the variance of points times (1+phi)/(1-phi)."""

    value: float
    phi: float


def change_points(
    values: ArrayLike, *, alpha: float = ALPHA, min_segment: int = MIN_SEGMENT
) -> tuple[ChangePoint, ...]:
    """All changes of a series in order, `alpha` halved at every level of the recursion.

    NaN are missing points; an infinite value counts as one unit beyond the largest finite one.

    >>> rng = np.random.default_rng(1)
    >>> [point.index for point in change_points(np.repeat([0.0, 1.0], 100) + rng.normal(size=200))]
    [101]
    """
    finite, positions = observed(values)
    found: list[ChangePoint] = []
    stretches = [(0, len(finite), alpha)]
    while stretches:
        start, end, level = stretches.pop()
        point = strongest_change(finite[start:end], min_segment, enough=level)
        if point is None or point.p_value >= level:
            continue
        cut = start + point.index
        found.append(_moved(point, start, positions))
        stretches += [(start, cut, level / 2), (cut, end, level / 2)]
    return tuple(sorted(found, key=lambda point: point.index))


def strongest_change(
    values: Float64Array, min_segment: int = MIN_SEGMENT, *, enough: float = 0.0
) -> ChangePoint | None:
    """The most certain change of a finite series; None where there is nothing like a step.

    The whole series is looked at, then shorter and shorter stretches of it, because a change and
    its return hide each other; `p_value` allows for all of them. With `enough` shorter stretches
    are left out once the p-value is below it.
    """
    best: ChangePoint | None = None
    values = _level(values, min_segment)
    for share, stretches in _zoom(len(values), min_segment):
        for start, end in stretches:
            point = _step(values[start:end], min_segment)
            if point is None:
                continue
            p_value = min(point.p_value / share, 1.0)
            if best is None or (p_value, -point.statistic) < (best.p_value, -best.statistic):
                best = ChangePoint(
                    start + point.index, start + point.low, start + point.high,
                    point.statistic, p_value,
                )  # fmt: skip
        if best is not None and best.p_value < enough:
            break
    return best


@lru_cache(maxsize=256)
def _zoom(n: int, min_segment: int) -> tuple[tuple[float, tuple[tuple[int, int], ...]], ...]:
    """Levels of stretches that overlap by half, each with the share of alpha one of them gets.

    >>> _zoom(200, 24)
    ((0.75, ((0, 200),)), (0.0625, ((0, 100), (50, 150), (100, 200))))
    """
    levels: list[tuple[float, tuple[tuple[int, int], ...]]] = []
    level_share, parts = 1 - NEXT_LEVEL, 1
    while n // parts >= (2 if parts == 1 else MIN_STRETCH) * min_segment:
        length = n / parts
        stretches = tuple(
            (round(i * length / 2), round(i * length / 2 + length)) for i in range(2 * parts - 1)
        )
        levels.append((level_share / len(stretches), stretches))
        level_share, parts = level_share * NEXT_LEVEL, 2 * parts
    return tuple(levels)


def _step(values: Float64Array, min_segment: int) -> ChangePoint | None:
    """The best step of one stretch by itself, with a p-value that allows for its place.

    None: too short, constant, largest at the edge, or better told as a line.
    """
    n = len(values)
    if n < 2 * min_segment:
        return None
    sums, cuts, taken = _steps(values, min_segment)
    height = float(np.abs(sums).max())
    if height <= ROUNDING * n * float(np.abs(values).max()):
        return None
    cut = int(cuts[taken.argmax()])
    # On the edge the maximum lies beyond it: what is there is too short to be told from noise.
    if n > 2 * min_segment and cut in (min_segment, n - min_segment):
        return None
    noise = long_run_variance(values, cut)
    if float(_line(values) @ values) - taken.max() > DRIFT_ADVANTAGE * noise.value:
        return None
    statistic = (
        _deflated(height / math.sqrt(n * noise.value), noise, n) if noise.value else math.inf
    )
    shift = float(sums[cut - min_segment]) * n / (cut * (n - cut))
    reach = min(math.ceil(LOCATION_FACTOR * noise.value / shift**2), n)
    low, high = max(cut - reach, 1), min(cut + reach, n - 1)
    return ChangePoint(cut, low, high, statistic, kolmogorov_tail(statistic))


def long_run_variance(
    values: Float64Array, cut: int | None = None, parts: int = PARTS
) -> LongRunVariance:
    """From sub-segments each centred on itself; one of them ends at `cut`, where a step may be.

    The lag-1 correlation is pooled, corrected for short segments and clipped to [0, 0.95].
    """
    n = len(values)
    before = parts if cut is None else min(max(round(parts * cut / n), 1), parts - 1)
    first = n if cut is None else cut
    after = parts - before
    edges = np.array(
        [first * i // before for i in range(before)]
        + [first + (n - first) * i // after for i in range(after)]
        + [n]
    )
    lengths = np.diff(edges)
    means = np.add.reduceat(values, edges[:-1]) / lengths
    deviation = values - np.repeat(means, lengths)
    power = float(deviation @ deviation)
    if n <= parts or power <= n * (ROUNDING * float(np.abs(values).max())) ** 2:
        return LongRunVariance(0.0, 0.0)
    across = float((deviation[edges[1:-1]] * deviation[edges[1:-1] - 1]).sum())
    lag1 = (float(deviation[1:] @ deviation[:-1]) - across) / power
    phi = min(max(lag1 + (1 + 3 * lag1) * parts / n, 0.0), MAX_CORRELATION)
    return LongRunVariance(power / (n - parts) * (1 + phi) / (1 - phi), phi)


def observed(values: ArrayLike) -> tuple[Float64Array, Int64Array]:
    """Values that are there, infinite ones one unit beyond the finite ones, and their positions."""
    array = np.asarray(values, dtype=np.float64)
    positions = np.flatnonzero(~np.isnan(array))
    found = array[positions]
    infinite = np.isinf(found)
    if infinite.any():
        finite = found[~infinite]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        found = np.where(infinite, np.where(found > 0, high + 1, low - 1), found)
    return found, positions.astype(np.int64)


def kolmogorov_tail(statistic: float) -> float:
    """P(K > statistic) of the supremum of a Brownian bridge.

    >>> round(kolmogorov_tail(1.358), 3)
    0.05
    """
    if statistic < 0.2:  # noqa: PLR2004 - below, the tail differs from 1 by less than 1e-12
        return 1.0
    tail, sign = 0.0, 1.0
    for j in range(1, MAX_TERMS):
        term = math.exp(-2 * (j * statistic) ** 2)
        tail, sign = tail + 2 * sign * term, -sign
        if term < ROUNDING * tail:
            break
    return min(max(tail, 0.0), 1.0)


def _deflated(statistic: float, noise: LongRunVariance, n: int) -> float:
    """A CUSUM as it would be with the variance known, at the same tail probability.

    The log of the long-run variance has variance (6 + 2 phi^2) / (n (1 - phi^2)) (delta method),
    that of a chi-square with about n (1 - phi^2) / 3 degrees of freedom: tails like Student's.
    """
    freedom = n * (1 - noise.phi**2) / 3
    return math.sqrt(freedom * math.log1p(4 * statistic**2 / freedom)) / 2


def _steps(values: Float64Array, min_segment: int) -> tuple[Float64Array, Int64Array, Float64Array]:
    """(CUSUM, cut, sum of squares that a step there explains) of every possible cut."""
    n = len(values)
    cuts = np.arange(min_segment, n - min_segment + 1)
    sums = np.cumsum(values - values.mean())[cuts - 1]
    return sums, cuts, sums**2 * n / (cuts * (n - cuts))


def _line(values: Float64Array) -> Float64Array:
    """The least-squares line, less its mean."""
    n = len(values)
    clock = np.arange(n) - (n - 1) / 2
    return np.asarray(clock * (float(clock @ values) / float(clock @ clock)), dtype=np.float64)


def _level(values: Float64Array, min_segment: int) -> Float64Array:
    """The series less its drift, where a line explains it clearly better than a step.

    Without this, short stretches of a long ramp would look like steps.
    """
    if len(values) < 2 * min_segment:
        return values
    line = _line(values)
    _, cuts, taken = _steps(values, min_segment)
    noise = long_run_variance(values, int(cuts[taken.argmax()])).value
    drift = float(line @ values) - float(taken.max()) > DRIFT_ADVANTAGE * noise
    return values - line if drift else values


def _moved(point: ChangePoint, start: int, positions: Int64Array) -> ChangePoint:
    """The same change counted in the whole series, missing points included."""
    index, low, high = (
        int(positions[start + place]) for place in (point.index, point.low, point.high)
    )
    return ChangePoint(index, low, high, point.statistic, point.p_value)
