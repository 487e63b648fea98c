"""Self-normalised statistics of two windows of points: level, quantile, upper tail, spread.

Each gives a signed T for many pairs at once, about N(0, 1) on independent unchanged points, and the
interval of log2 baseline/candidate that a critical value leaves for one pair. T at a trial ratio d
compares the baseline with the candidate times 2**d; it falls as d grows, and the sign of T(0) is
that of the estimate: positive means the candidate is lower. Source: nibai's calibration.md, 2.1.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.histogram import Float64Array
from nibai.stats.inversion import first_crossings
from nibai.stats.point_windows import PairWindows
from nibai.stats.student import critical_value
from nibai.stats.variance import t_statistic, variance_factor

BLOCKS = 10
SPREAD_QUANTILES = (0.1, 0.9)
MIN_SPREAD = 0.001
"""Octaves below which a spread, or an error made from one, is rounding of the points."""

SPREAD_ERROR = 1.2 * math.log2(math.e)
"""Standard error of a difference of two log2 spreads, times the root of the window."""

HISTORY = 240
"""Pairs over which the standard error of an upper quantile is taken (40 windows)."""


Rows = NDArray[np.int64]


class PointStatistic(Protocol):
    """What calibration and judge need to know of a statistic."""

    @property
    def name(self) -> str:
        """What it is about, for people."""
        ...

    def floor(self, alpha: float) -> float:
        """The critical value on independent points."""
        ...

    def ceiling(self, window: int) -> float:
        """The largest T there can be."""
        ...

    def signed(self, pairs: PairWindows, shift: float = 0.0) -> Float64Array:
        """T of every pair at the trial log2 ratio `shift`, shape (K,)."""
        ...

    def intervals(self, pairs: PairWindows, rows: Rows, critical: float) -> Float64Array:
        """(value, low, high) of log2 baseline/candidate of R pairs, (R, 3); may be infinite."""
        ...


# -- level --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """Tie-corrected rank sum; the estimate is that of Hodges and Lehmann."""

    @property
    def name(self) -> str:
        """What it is about."""
        return "level"

    def floor(self, alpha: float) -> float:
        """The normal quantile."""
        return _normal(alpha)

    def ceiling(self, window: int) -> float:
        """That of complete separation."""
        return math.sqrt(3 * window**2 / (2 * window + 1))

    def signed(self, pairs: PairWindows, shift: float = 0.0) -> Float64Array:
        """Rank-sum z of every pair; 0 where all points are equal."""
        w = pairs.window
        joint = np.concatenate([pairs.baseline, pairs.candidate + shift], axis=1)
        order = np.argsort(joint, axis=1)
        ordered = np.take_along_axis(joint, order, axis=1)
        new = np.ones(ordered.shape, dtype=np.bool_)
        new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        group = np.cumsum(new) - 1
        size = np.bincount(group)
        rank = (np.cumsum(size) - (size - 1) / 2)[group].reshape(ordered.shape)
        rank -= 2 * w * np.arange(len(joint))[:, None]
        excess = np.where(order < w, rank, 0.0).sum(axis=1) - w * (2 * w + 1) / 2
        squares = ((rank - (2 * w + 1) / 2) ** 2).sum(axis=1)
        error = np.sqrt(w * w / (2 * w * (2 * w - 1)) * squares)
        return np.asarray(excess / np.where(error > 0, error, 1.0))

    def intervals(self, pairs: PairWindows, rows: Rows, critical: float) -> Float64Array:
        """Exact: z only changes where d passes a difference of two points."""
        found = [self._interval(pairs.baseline[k], pairs.candidate[k], critical) for k in rows]
        return np.array(found).reshape(-1, 3)

    def _interval(
        self, baseline: Float64Array, candidate: Float64Array, critical: float
    ) -> tuple[float, float, float]:
        w = len(baseline)
        difference = np.sort(np.subtract.outer(baseline, candidate).ravel())
        separate = self._within(baseline) + self._within(candidate)
        squares = ((2 * w) ** 3 - 2 * w - separate) / 12
        error = math.sqrt(max(w * w / (2 * w * (2 * w - 1)) * squares, 0.0))
        most = w * w / 2 + critical * error  # differences above d that are still compatible
        value = float(np.median(difference))
        if most >= w * w:
            return value, -math.inf, math.inf
        inner = math.floor(most + 1e-9)
        return value, float(difference[w * w - 1 - inner]), float(difference[inner])

    @staticmethod
    def _within(points: Float64Array) -> float:
        """Sum of t^3 - t over groups of equal points."""
        _, size = np.unique(points, return_counts=True)
        return float((size**3.0 - size).sum())


# -- quantile -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantile:
    """PBS-AR on points: windows in 10 blocks paired by position, exact order statistics."""

    p: float

    @property
    def name(self) -> str:
        """What it is about."""
        return f"p{100 * self.p:g}"

    def floor(self, alpha: float) -> float:
        """Student's quantile over blocks."""
        return critical_value(1 - alpha, BLOCKS - 1)

    def ceiling(self, window: int) -> float:  # noqa: ARG002 - the protocol's
        """None: all blocks agreeing gives any t."""
        return math.inf

    def signed(self, pairs: PairWindows, shift: float = 0.0) -> Float64Array:
        """Block t at `shift` over the root of the variance factor at the estimate."""
        estimate = self._estimate(pairs)
        factor = variance_factor(self._differences(pairs, estimate))
        trial = np.full(len(pairs), shift)
        return np.asarray(t_statistic(self._differences(pairs, trial)) / np.sqrt(factor))

    def intervals(self, pairs: PairWindows, rows: Rows, critical: float) -> Float64Array:
        """From the estimates to the first crossings on either side, 6 octaves at most."""
        chosen = pairs.take(rows)
        value = self._estimate(chosen)
        factor = variance_factor(self._differences(chosen, value))

        def t(row: NDArray[np.int64], trial: Float64Array) -> Float64Array:
            return t_statistic(self._differences(chosen.take(row), trial))

        bounds = np.array(first_crossings(t, value, critical * np.sqrt(factor))).reshape(-1, 2)
        return np.column_stack([value, bounds])

    def _estimate(self, pairs: PairWindows) -> Float64Array:
        b, c = (_quantiles(side, self.p) for side in (pairs.baseline, pairs.candidate))
        return np.asarray(b - c)

    def _differences(self, pairs: PairWindows, shift: Float64Array) -> Float64Array:
        """D_g, shape (K, 10): counts up to the common quantile, candidate minus baseline.

        Points equal to the quantile count in part, so that exactly the share p lies below it.
        """
        w = pairs.window
        candidate = pairs.candidate + shift[:, None]
        joint = np.sort(np.concatenate([pairs.baseline, candidate], axis=1), axis=1)
        wanted = 2 * w * self.p
        x = joint[:, [max(math.ceil(wanted - 1e-9) - 1, 0)]]
        below, equal = (joint < x).sum(axis=1), (joint == x).sum(axis=1)
        part = ((wanted - below) / equal)[:, None]
        edges = np.arange(BLOCKS) * w // BLOCKS
        counts = [
            np.add.reduceat((side < x) + part * (side == x), edges, axis=1)
            for side in (candidate, pairs.baseline)
        ]
        return np.asarray((counts[0] - counts[1]) * BLOCKS / w)


# -- upper tail -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpperQuantile:
    """Difference of an upper quantile in standard errors that the *history* shows.

    The candidate's own error would hide a fatter tail behind itself.
    """

    p: float = 0.9

    @property
    def name(self) -> str:
        """What it is about."""
        return f"upper p{100 * self.p:g}"

    def floor(self, alpha: float) -> float:
        """The normal quantile."""
        return _normal(alpha)

    def ceiling(self, window: int) -> float:  # noqa: ARG002 - the protocol's
        """None."""
        return math.inf

    def signed(self, pairs: PairWindows, shift: float = 0.0) -> Float64Array:
        """(difference - shift) over root two times the median error of past baselines."""
        return np.asarray((self._difference(pairs) - shift) / self._error(pairs))

    def intervals(self, pairs: PairWindows, rows: Rows, critical: float) -> Float64Array:
        """Difference plus and minus critical errors."""
        return _around(self._difference(pairs)[rows], critical * self._error(pairs)[rows])

    def _difference(self, pairs: PairWindows) -> Float64Array:
        b, c = (_quantiles(side, self.p) for side in (pairs.baseline, pairs.candidate))
        return np.asarray(b - c)

    def _error(self, pairs: PairWindows) -> Float64Array:
        """Median over valid pairs j <= k - lag; the pair's own baseline while there is none."""
        reach = math.sqrt(self.p * (1 - self.p) / pairs.window)
        ends = np.clip([self.p - reach, self.p + reach], 0.0, 1.0)
        low, high = _quantiles(pairs.baseline, ends)
        own = (high - low) / 2
        error = _running_median(own, pairs.valid, pairs.lag)
        return math.sqrt(2) * np.maximum(error, MIN_SPREAD)


def _running_median(own: Float64Array, valid: NDArray[np.bool_], lag: int) -> Float64Array:
    """Median of the last 240 valid values j <= k - lag for every k; `own` while there is none."""
    median = own.copy()
    recent: list[float] = []
    ordered: list[float] = []
    for k in range(lag, len(own)):
        if valid[k - lag]:
            recent.append(float(own[k - lag]))
            insort(ordered, recent[-1])
        if len(ordered) > HISTORY:
            del ordered[bisect_left(ordered, recent[-HISTORY - 1])]
        if ordered:
            middle = len(ordered) // 2
            median[k] = (ordered[middle] + ordered[-middle - 1]) / 2
    return median


# -- spread -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spread:
    """Ratio of the distances between p10 and p90, on the log scale."""

    @property
    def name(self) -> str:
        """What it is about."""
        return "spread"

    def floor(self, alpha: float) -> float:
        """The normal quantile."""
        return _normal(alpha)

    def ceiling(self, window: int) -> float:  # noqa: ARG002 - the protocol's
        """None."""
        return math.inf

    def signed(self, pairs: PairWindows, shift: float = 0.0) -> Float64Array:
        """Difference of log spreads over its error on independent normal points."""
        error = SPREAD_ERROR / math.sqrt(pairs.window)
        return np.asarray((self._difference(pairs) - shift) / error)

    def intervals(self, pairs: PairWindows, rows: Rows, critical: float) -> Float64Array:
        """Difference plus and minus critical errors."""
        error = SPREAD_ERROR / math.sqrt(pairs.window)
        return _around(self._difference(pairs.take(rows)), np.full(len(rows), critical * error))

    @staticmethod
    def _difference(pairs: PairWindows) -> Float64Array:
        spreads = []
        for side in (pairs.baseline, pairs.candidate):
            low, high = _quantiles(side, SPREAD_QUANTILES)
            spreads.append(np.log2(np.maximum(high - low, MIN_SPREAD)))
        return np.asarray(spreads[0] - spreads[1])


# -- parts ------------------------------------------------------------------------------------


def _normal(alpha: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2)


def _quantiles(points: Float64Array, p: ArrayLike) -> Float64Array:
    """Quantiles of each row, the i-th smallest of n standing at (i - 1/2) / n."""
    return np.asarray(np.quantile(points, np.asarray(p), axis=1, method="hazen"))


def _around(value: Float64Array, half: Float64Array) -> Float64Array:
    return np.column_stack([value, value - half, value + half])
