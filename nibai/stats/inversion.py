"""Inversion of paired block scores: which ratios of quantiles two sides are compatible with.

Nothing here knows how the scores were made (`score.py`): pooled or standardised to a mix.
Source: nibai's statistics.md, section 5. Swapping the sides mirrors value and interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nibai.errors import HistogramMismatchError
from nibai.histogram import Float64Array
from nibai.model import ReasonCode
from nibai.stats.score import ScoreTable
from nibai.stats.student import critical_value, lower_tail
from nibai.stats.variance import effective_freedom, t_statistic, variance_factor

MIN_BLOCKS = 8
"""Non-empty blocks per side below which no finite bound is given."""

REACH = 6.0
"""Octaves to either side of the estimate in which a bound is looked for."""

WALK = np.append(0.01 * 1.7 ** np.arange(13), REACH)
"""Distances from the estimate (octaves) at which the walk for a bound stops to look."""

BISECTIONS = 14


@dataclass(frozen=True, slots=True)
class RatioInterval:
    """A log2 ratio baseline/candidate of p-quantiles with its interval.

    `value`, `low` and `high` are log2; infinite bounds are +-inf and `reason` says why. The value
    is infinite when one side's quantile is infinite (censored) or zero, NaN when both are.
    `n_effective` (baseline, candidate), `deff` and `tail_episodes` describe and gate nothing.
    """

    p: float
    value: float
    low: float
    high: float
    level: float
    blocks: int
    requests: tuple[int, int]
    variance_factor: float
    deff: float
    n_effective: tuple[float, float]
    tail_episodes: float
    critical: float
    reason: ReasonCode | None = None


@dataclass(frozen=True, slots=True)
class _Point:
    """What is settled at the estimate before any bound is looked for."""

    value: float
    factor: float
    deff: float
    freedom: float = math.nan

    def critical(self, level: float, given: float | None) -> float:
        """The critical value: a given one, else Student's of as many blocks as these are worth."""
        return critical_value(level, self.freedom) if given is None else given


class PairedScores:
    """Two sides ready for any quantile, level or threshold (tables are computed once).

    `ceiling_log2` is log2 of a known timeout; it sharpens the one-sided bound of a censored side.
    """

    def __init__(
        self, baseline: ScoreTable, candidate: ScoreTable, *, ceiling_log2: float | None = None
    ) -> None:
        if baseline.blocks != candidate.blocks:
            raise HistogramMismatchError(
                f"{baseline.blocks} baseline blocks cannot pair with {candidate.blocks} of the "
                "candidate"
            )
        if baseline.scale != candidate.scale:
            raise HistogramMismatchError("both sides need the same histogram scale")
        self.baseline = baseline
        self.candidate = candidate
        self._ceiling = ceiling_log2
        self._positions: dict[float, tuple[float, float]] = {}

    @property
    def blocks(self) -> int:
        """Number of block pairs, G."""
        return self.baseline.blocks

    @property
    def filled(self) -> int:
        """Non-empty blocks of the side that has fewer."""
        return min(self.baseline.filled, self.candidate.filled)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the block differences, G - 1 for pooled sides."""
        return max((self.baseline.freedom + self.candidate.freedom) / 2, 1.0)

    def same_as(self, other: PairedScores) -> bool:
        """Whether both hold the same scores, so that all answers are the same."""
        return all(
            (one.offset, one.freedom) == (two.offset, two.freedom)
            and np.array_equal(one.cdf, two.cdf)
            and np.array_equal(one.body, two.body)
            and np.array_equal(one.slope, two.slope)
            for one, two in ((self.baseline, other.baseline), (self.candidate, other.candidate))
        )

    # -- statistics -----------------------------------------------------------------------
    def estimate(self, p: float) -> float:
        """log2 of the ratio of p-quantiles; NaN when both are infinite or both zero."""
        b, c = self.baseline.log2_quantile(p), self.candidate.log2_quantile(p)
        return math.nan if math.isinf(b) and b == c else b - c

    def differences(self, p: Float64Array, d: Float64Array) -> Float64Array:
        """Block differences D_g, shape (T, G), at T pairs of quantile and trial log2 ratio.

        Their mean is F_c(x-d) - F_b(x) where x is the p-quantile of both sides together.
        """
        shift = d * 2.0**self.baseline.scale + (self.candidate.offset - self.baseline.offset)
        x = self._common_quantile(p, shift)
        return self.baseline.score_at(p, x) - self.candidate.score_at(p, x - shift)

    def t(self, p: Float64Array, d: Float64Array) -> Float64Array:
        """Block t statistics, shape (T,), at trial log2 ratios; they fall as d grows."""
        return t_statistic(self.differences(p, d))

    def _common_quantile(self, p: Float64Array, shift: Float64Array) -> Float64Array:
        """The x with F_b(x) + F_c(x - shift) = 2p, in buckets above the baseline's."""
        ends = np.array([self._ends(q) for q in p.tolist()])
        own, other = ends[:, 0], ends[:, 1] + shift
        low = np.floor(np.minimum(own, other))
        high = np.floor(np.maximum(own, other)) + 1.0
        while (high - low > 1).any():
            middle = np.floor((low + high) / 2)
            below = self._joint(middle, shift) < 2 * p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        # Between two edges of the baseline lies at most one edge of the shifted candidate.
        knot = np.minimum(np.floor(low - shift) + 1.0 + shift, high)
        at_knot = self._joint(knot, shift)
        before = at_knot >= 2 * p
        low, high = np.where(before, low, knot), np.where(before, knot, high)
        share = self._joint(low, shift)
        rise = self._joint(high, shift) - share
        part = (2 * p - share) / np.where(rise > 0, rise, 1.0)
        return np.asarray(low + (high - low) * np.where(rise > 0, np.clip(part, 0.0, 1.0), 0.0))

    def _ends(self, p: float) -> tuple[float, float]:
        if p not in self._positions:
            self._positions[p] = (self.baseline.position(p), self.candidate.position(p))
        return self._positions[p]

    def _joint(self, position: Float64Array, shift: Float64Array) -> Float64Array:
        return self.baseline.share_at(position) + self.candidate.share_at(position - shift)

    # -- answers --------------------------------------------------------------------------
    def intervals(
        self, ps: Sequence[float], *, level: float = 0.95, critical: float | None = None
    ) -> list[RatioInterval]:
        """Two-sided intervals for several quantiles (cheaper than one by one)."""
        sound = [p for p in ps if math.isfinite(self.estimate(p)) and self.filled >= MIN_BLOCKS]
        points = dict(zip(sound, self._points(sound), strict=True))
        crit = {p: points[p].critical(level, critical) for p in sound}
        bounds = dict(zip(sound, self._bounds(sound, points, crit), strict=True))
        return [
            self._describe(p, points[p], bounds[p], (level, crit[p]))
            if p in points
            else self._one_sided(p, level, critical)
            for p in ps
        ]

    def p_less(
        self, p: float, threshold: float, *, level: float = 0.95, critical: float | None = None
    ) -> float:
        """One-sided p-value against "the log2 ratio is at least `threshold`" (small refutes it).

        At most (1-level)/2 exactly when the upper bound of the interval lies below the threshold.
        """
        return self._p_value(p, threshold, level, critical, upward=True)

    def p_greater(
        self, p: float, threshold: float, *, level: float = 0.95, critical: float | None = None
    ) -> float:
        """One-sided p-value against "the log2 ratio is at most `threshold`" (small supports it)."""
        return self._p_value(p, threshold, level, critical, upward=False)

    def _points(self, ps: Sequence[float]) -> list[_Point]:
        if not ps:
            return []
        p, d = np.array(ps), np.array([self.estimate(p) for p in ps])
        scores = self.differences(p, d)
        correlated = variance_factor(scores, self.blocks - self.freedom)
        factor = correlated * (self.blocks - 1) / self.freedom
        variance = factor * scores.var(axis=1, ddof=1) / self.blocks
        independent = p * (1 - p) * (1 / self.baseline.requests + 1 / self.candidate.requests)
        return [
            _Point(float(v), float(f), float(deff), effective_freedom(self.freedom, float(c)))
            for v, f, deff, c in zip(d, factor, variance / independent, correlated, strict=True)
        ]

    def _bounds(
        self, ps: Sequence[float], points: dict[float, _Point], crit: dict[float, float]
    ) -> list[tuple[float, float]]:
        """First crossings of |t| = crit * sqrt(f) on both sides of each estimate."""
        if not ps:
            return []
        quantiles = np.array(ps)
        start = np.array([points[q].value for q in ps])
        limit = np.array([crit[q] * math.sqrt(points[q].factor) for q in ps])
        return first_crossings(lambda row, d: self.t(quantiles[row], d), start, limit)

    def _p_value(
        self, p: float, threshold: float, level: float, critical: float | None, *, upward: bool
    ) -> float:
        pair, direction = self._usable(p)
        if pair is None or direction == (-1 if upward else 1):
            return 1.0
        (point,) = pair._points([p])  # noqa: SLF001 - same class
        # Every trial between the estimate and the threshold counts: the interval ends at the first
        # crossing, and a p-value must agree with it where t is not monotone.
        gap = threshold - point.value
        passed = WALK[abs(gap) > WALK] if (gap > 0) == upward else WALK[:0]
        trial = np.append(point.value + math.copysign(1.0, gap) * passed, threshold)
        t = pair.t(np.full(len(trial), p), trial)
        extreme = float(t.min() if upward else -t.max())
        scaled = extreme / math.sqrt(point.factor)
        if critical is None:
            return lower_tail(scaled, point.freedom)
        usual = critical_value(level, self.freedom)
        return lower_tail(scaled * usual / critical, self.freedom)

    def _usable(self, p: float) -> tuple[PairedScores | None, int]:
        """Tables with a finite estimate, and which bound they can give: -1 low, 1 high, 0 both."""
        if self.filled < MIN_BLOCKS:
            return None, 0
        if math.isfinite(value := self.estimate(p)):
            return self, 0
        if math.isnan(value) or min(len(self.baseline.cdf), len(self.candidate.cdf)) < 2:  # noqa: PLR2004 - no finite bucket
            return None, 0
        bounded = PairedScores(
            self.baseline.bounded(self._ceiling), self.candidate.bounded(self._ceiling)
        )
        return bounded, 1 if value < 0 else -1

    def _one_sided(self, p: float, level: float, critical: float | None) -> RatioInterval:
        """What can be said when a quantile is infinite or zero, or blocks are missing."""
        low, high = -math.inf, math.inf
        pair, direction = self._usable(p)
        point = _Point(self.estimate(p), 1.0, math.nan, self.freedom)
        if pair is not None:
            (found,) = pair._points([p])  # noqa: SLF001 - same class
            ((low_, high_),) = pair._bounds(  # noqa: SLF001 - same class
                [p], {p: found}, {p: found.critical(level, critical)}
            )
            low, high = (low, high_) if direction > 0 else (low_, high)
            point = replace(found, value=point.value)
        return self._describe(p, point, (low, high), (level, point.critical(level, critical)))

    def _reason(self, p: float) -> ReasonCode:
        """Why a bound is infinite."""
        if not (self.baseline.requests and self.candidate.requests):
            return ReasonCode.NO_DATA
        if math.isnan(value := self.estimate(p)):
            return ReasonCode.BOTH_CENSORED
        if self.filled < MIN_BLOCKS:
            return ReasonCode.TOO_FEW_BLOCKS
        return ReasonCode.TOO_FEW_TAIL_EPISODES if math.isfinite(value) else ReasonCode.CENSORED

    def _describe(
        self, p: float, point: _Point, bounds: tuple[float, float], used: tuple[float, float]
    ) -> RatioInterval:
        finite = math.isfinite(bounds[0]) and math.isfinite(bounds[1])
        requests = (self.baseline.requests, self.candidate.requests)
        # Blocks can look calmer than independent requests by luck; they never hold more than n.
        inflation = max(point.deff, 1.0) if math.isfinite(point.deff) else 1.0
        return RatioInterval(
            p=p,
            value=point.value,
            low=bounds[0],
            high=bounds[1],
            level=used[0],
            blocks=self.filled,
            requests=requests,
            variance_factor=point.factor,
            deff=point.deff,
            n_effective=(requests[0] / inflation, requests[1] / inflation),
            tail_episodes=min(_episodes(self.baseline, p), _episodes(self.candidate, p)),
            critical=used[1],
            reason=None if finite else self._reason(p),
        )


def first_crossings(
    t: Callable[[NDArray[np.int64], Float64Array], Float64Array],
    start: Float64Array,
    limit: Float64Array,
) -> list[tuple[float, float]]:
    """Where |t| first exceeds `limit` on either side of each of R estimates; infinite if nowhere.

    `t` takes row numbers and trial log2 ratios of one shape; it falls as the trial grows. `start`
    and `limit` have shape (R,).
    """
    rows = np.repeat(np.arange(len(start)), 2)
    sign = np.tile([-1.0, 1.0], len(start))
    origin, bound = start[rows], limit[rows]
    trial = (origin[:, None] + sign[:, None] * WALK).ravel()
    beyond = t(np.repeat(rows, len(WALK)), trial).reshape(-1, len(WALK)) * -sign[:, None]
    crossed = beyond > bound[:, None]
    first = np.argmax(crossed, axis=1)
    far = WALK[first]
    near = np.where(first > 0, WALK[np.maximum(first - 1, 0)], 0.0)
    # Two halvings at once: what a call of t costs hardly depends on how many trials it gets.
    for _ in range(BISECTIONS // 2):
        middle = (near + far) / 2
        trials = np.stack([(near + middle) / 2, middle, (middle + far) / 2])
        t_ = t(np.tile(rows, 3), (origin + sign * trials).ravel()).reshape(3, -1)
        out = t_ * -sign > bound
        half = np.where(out[1], [near, trials[0], middle], [middle, trials[2], far])
        inner = np.where(out[1], out[0], out[2])
        near, far = np.where(inner, half[:2], half[1:])
    distance = np.where(crossed.any(axis=1), (near + far) / 2, np.inf)
    return [(float(low), float(high)) for low, high in (origin + sign * distance).reshape(-1, 2)]


def _episodes(side: ScoreTable, p: float) -> float:
    """(sum x)^2 / sum x^2 of block exceedances of the quantile: how many blocks carry the tail."""
    position = side.position(p)
    if math.isnan(position) or len(side.cdf) < 2:  # noqa: PLR2004 - no finite bucket
        return math.nan
    at = np.array([max(position, 0.0)])
    beyond = np.maximum(side.score_at(np.zeros(1), at)[0] - side.full, 0.0)
    power = float((beyond**2).sum())
    return float(beyond.sum()) ** 2 / power if power > 0 else 0.0
