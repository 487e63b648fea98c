"""Ratios and differences of per-request means: errors, cost, tokens, throughput.

Assumes paired blocks as PBS-AR does and as many events that block sums are roughly normal; shares
of rare events use exact Poisson bounds on effective numbers instead.
Source: nibai's statistics.md, section 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from nibai.errors import HistogramMismatchError
from nibai.histogram import Float64Array
from nibai.model import ReasonCode
from nibai.stats.inversion import MIN_BLOCKS
from nibai.stats.linear import LinearTest
from nibai.stats.proportions import poisson_mean
from nibai.stats.replication import RunInterval
from nibai.stats.variance import variance_factor

FEW_EVENTS = 20
"""Below so many events on either side, block sums are too skewed for Student's t."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockSums:
    """Per block of one side: a sum (events, dollars, tokens) and the requests it is over, (G,)."""

    sums: Float64Array
    n: Float64Array

    @classmethod
    def of(cls, sums: ArrayLike, n: ArrayLike) -> BlockSums:
        """From anything array-like."""
        return cls(np.asarray(sums, dtype=np.float64), np.asarray(n, dtype=np.float64))

    @property
    def mean(self) -> float:
        """Sum per request over all blocks; NaN without a request."""
        return float(self.sums.sum() / self.n.sum()) if self.n.sum() > 0 else math.nan

    @property
    def filled(self) -> int:
        """Blocks with at least one request."""
        return int((self.n > 0).sum())


@dataclass(frozen=True, slots=True)
class RareTest:
    """Difference of two Poisson rates (candidate minus baseline) from effective counts.

    Square-and-add of the two exact (Garwood) intervals; with no event on either side the upper
    bound is the exact one of the candidate.
    """

    events: tuple[float, float]
    n: tuple[float, float]

    @property
    def estimate(self) -> float:
        """Candidate rate minus baseline rate."""
        return self.events[1] / self.n[1] - self.events[0] / self.n[0]

    def interval(self, level: float) -> tuple[float, float]:
        """Bounds of the difference."""
        rates = [k / n for k, n in zip(self.events, self.n, strict=True)]
        bounds = [
            [end / n for end in poisson_mean(k, level)]
            for k, n in zip(self.events, self.n, strict=True)
        ]
        down = math.hypot(rates[1] - bounds[1][0], bounds[0][1] - rates[0])
        up = math.hypot(bounds[1][1] - rates[1], rates[0] - bounds[0][0])
        return self.estimate - down, self.estimate + up

    def p_less(self, x: float) -> float:
        """One-sided p-value that refutes "at least x" when small."""
        return self._p(lambda level: self.interval(level)[1] < x)

    def p_greater(self, x: float) -> float:
        """One-sided p-value that supports "more than x" when small."""
        return self._p(lambda level: self.interval(level)[0] > x)

    @staticmethod
    def _p(excluded: Callable[[float], bool]) -> float:
        """Smallest one-sided level at which the interval leaves the value out (0.5: never)."""
        low, high = 0.0, 0.5
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if excluded(1 - 2 * middle) else (middle, high)
        return high


@dataclass(frozen=True, slots=True)
class WiderTest:
    """Two reasons to doubt one difference, requests and units: only what both show is shown."""

    within: LinearTest | RareTest
    between: RunInterval

    def p_less(self, x: float) -> float:
        """One-sided p-value that refutes "at least x" when small."""
        return max(self.within.p_less(x), self.between.p_less(x))

    def p_greater(self, x: float) -> float:
        """One-sided p-value that supports "more than x" when small."""
        return max(self.within.p_greater(x), self.between.p_greater(x))


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A log2 ratio or a difference with its interval; infinite bounds have a `reason`.

    `log2` says which: thresholds given to the p-values are in the same unit as `value`.
    """

    value: float
    low: float
    high: float
    level: float
    blocks: int
    variance_factor: float
    n_effective: tuple[float, float] | None
    log2: bool
    test: LinearTest | RareTest | WiderTest | None = None
    reason: ReasonCode | None = None

    def p_less(self, threshold: float) -> float:
        """One-sided p-value that refutes "at least `threshold`" when small; 1 when unknown."""
        return 1.0 if self.test is None else self.test.p_less(self._natural(threshold))

    def p_greater(self, threshold: float) -> float:
        """One-sided p-value that supports "more than `threshold`" when small; 1 when unknown."""
        return 1.0 if self.test is None else self.test.p_greater(self._natural(threshold))

    def at_least_as_wide(self, units: RunInterval) -> MeanInterval:
        """Of a difference: widened to what its units (runs, hosts) say of their own spread.

        Blocks within few units do not show how much units differ; few units whose shares happen to
        agree (no failure at all) do not show how few requests they had.
        """
        if isinstance(self.test, WiderTest) or self.test is None:
            return self
        low, high = min(self.low, units.low), max(self.high, units.high)
        return replace(self, low=low, high=high, test=WiderTest(self.test, units))

    def _natural(self, threshold: float) -> float:
        return 2.0**threshold if self.log2 else threshold


def mean_ratio(baseline: BlockSums, candidate: BlockSums, *, level: float = 0.95) -> MeanInterval:
    """log2 of mean_b / mean_c of non-negative quantities (cost or tokens per request).

    Swapping the sides mirrors value and interval.

    >>> found = mean_ratio(BlockSums.of([20.0] * 8, [10] * 8), BlockSums.of([10.0] * 8, [10] * 8))
    >>> found.value, round(found.low, 6), round(found.high, 6)
    (1.0, 1.0, 1.0)
    """
    blocks = _paired_blocks(baseline, candidate)
    b, c = baseline.mean, candidate.mean
    if reason := _unusable(baseline, candidate):
        return _unknown(math.nan, level, blocks, reason, log2=True)
    if not (b > 0 and c > 0):
        value = math.nan if b == c else math.copysign(math.inf, b - c)
        return _unknown(value, level, blocks, ReasonCode.NO_DATA, log2=True)
    s_b, s_c = _per_block(baseline.sums, baseline), _per_block(candidate.sums, candidate)
    imbalance = _per_block(baseline.n, baseline) - _per_block(candidate.n, candidate)
    test = LinearTest.of(s_b - b / 2 * imbalance, -s_c - c / 2 * imbalance)
    low, high = (_log2(bound) for bound in test.interval(level))
    return _found(test, (math.log2(b / c), low, high), level, blocks, None, log2=True)


def share_difference(
    baseline: BlockSums,
    candidate: BlockSums,
    *,
    level: float = 0.95,
    n_effective: tuple[float, float] | None = None,
) -> MeanInterval:
    """Candidate's share minus baseline's share of requests that are events (errors, flips).

    Rare events (fewer than 20 on a side) get exact Poisson bounds on effective numbers: those
    given, or n over the clumping of block counts (their variance over the binomial one) on the
    side that clumps more.

    >>> quiet = BlockSums.of([0] * 8, [1000] * 8)
    >>> found = share_difference(quiet, quiet)
    >>> round(found.low, 6), round(found.high, 6)
    (-0.000461, 0.000461)
    """
    blocks = _paired_blocks(baseline, candidate)
    if reason := _unusable(baseline, candidate):
        return _unknown(math.nan, level, blocks, reason, log2=False)
    b, c = baseline.mean, candidate.mean
    if min(baseline.sums.sum(), candidate.sums.sum()) < FEW_EVENTS:
        rare = _rare(baseline, candidate, n_effective)
        bounds = (c - b, *rare.interval(level))
        return _found(rare, bounds, level, blocks, rare.n, log2=False)
    sizes = [_per_block(side.n, side) for side in (baseline, candidate)]
    rates = [_per_block(side.sums, side) for side in (baseline, candidate)]
    middle = (b + c) / 2
    a = rates[1] - rates[0] + middle * (sizes[0] - sizes[1])
    test = LinearTest.of(a, -(sizes[0] + sizes[1]) / 2)
    return _found(test, (c - b, *test.interval(level)), level, blocks, None, log2=False)


def throughput_ratio(
    completed_baseline: ArrayLike,
    seconds_baseline: ArrayLike,
    completed_candidate: ArrayLike,
    seconds_candidate: ArrayLike,
    *,
    level: float = 0.95,
) -> MeanInterval:
    """log2 of candidate / baseline in completed requests per second, over paired blocks of time.

    Only for windows in which capacity, not arrivals, sets the rate; several runs belong in
    `run_interval`. Completed and seconds have shape (G,).
    """
    return mean_ratio(
        BlockSums.of(completed_candidate, seconds_candidate),
        BlockSums.of(completed_baseline, seconds_baseline),
        level=level,
    )


def _paired_blocks(baseline: BlockSums, candidate: BlockSums) -> int:
    shapes = {a.shape for side in (baseline, candidate) for a in (side.sums, side.n)}
    if len(shapes) != 1:
        raise HistogramMismatchError(f"sums and counts of both sides must pair, got {shapes}")
    return min(baseline.filled, candidate.filled)


def _unusable(baseline: BlockSums, candidate: BlockSums) -> ReasonCode | None:
    filled = min(baseline.filled, candidate.filled)
    if filled == 0:
        return ReasonCode.NO_DATA
    return ReasonCode.TOO_FEW_BLOCKS if filled < MIN_BLOCKS else None


def _per_block(values: Float64Array, side: BlockSums) -> Float64Array:
    return np.asarray(len(values) * values / side.n.sum(), dtype=np.float64)


def _rare(
    baseline: BlockSums, candidate: BlockSums, n_effective: tuple[float, float] | None
) -> RareTest:
    sides = (baseline, candidate)
    total = [float(side.n.sum()) for side in sides]
    if n_effective is None:
        inflation = max(_clumping(side) for side in sides)
        n_effective = (total[0] / inflation, total[1] / inflation)
    events = tuple(
        float(side.sums.sum()) * n / whole
        for side, n, whole in zip(sides, n_effective, total, strict=True)
    )
    return RareTest((events[0], events[1]), n_effective)


def _clumping(side: BlockSums) -> float:
    """Variance of block counts over that of independent events, at least 1; 1 without events."""
    share, blocks = side.mean, len(side.n)
    independent = float(side.n.sum()) * share * (1 - share)
    if independent <= 0:
        return 1.0
    excess = side.sums - share * side.n
    observed = float((excess**2).sum()) * blocks / (blocks - 1)
    return max(observed * float(variance_factor(excess)) / independent, 1.0)


def _log2(bound: float) -> float:
    if bound <= 0:
        return -math.inf
    return math.log2(bound) if math.isfinite(bound) else math.inf


def _found(
    test: LinearTest | RareTest,
    reading: tuple[float, float, float],
    level: float,
    blocks: int,
    n_effective: tuple[float, float] | None,
    *,
    log2: bool,
) -> MeanInterval:
    value, low, high = reading
    finite = math.isfinite(low) and math.isfinite(high)
    factor = test.factor if isinstance(test, LinearTest) else 1.0
    reason = None if finite else ReasonCode.TOO_FEW_TAIL_EPISODES
    return MeanInterval(value, low, high, level, blocks, factor, n_effective, log2, test, reason)


def _unknown(
    value: float, level: float, blocks: int, reason: ReasonCode, *, log2: bool
) -> MeanInterval:
    return MeanInterval(value, -math.inf, math.inf, level, blocks, 1.0, None, log2, None, reason)
