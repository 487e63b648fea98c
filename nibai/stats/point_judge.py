"""The complete judge of a point series: statistic, calibration, gates, interval and margin.

A pair of windows is changed when the interval of log2 baseline/candidate at the critical value of
its own past lies wholly beyond the margin. Points are natural, non-negative values in order of
time; ratios above 1 mean that the candidate is lower. Source: nibai's calibration.md, section 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.histogram import Float64Array
from nibai.model import ReasonCode
from nibai.stats.placebo import UNSTABLE_SHARE, Calibration, Judged, Rule, Walk, judged, walk
from nibai.stats.point_statistics import Level, PointStatistic, Quantile
from nibai.stats.point_windows import PairWindows, pair_windows

NARROW_SHARE = 0.8
"""From this share of its largest value on, the critical value costs the rank sum its power."""

MEDIAN = Quantile(0.5)


class Outcome(StrEnum):
    """What is said about one pair of windows."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class PointVerdict:
    """One judged pair: log2 baseline/candidate with its interval, which never contradicts it.

    `statistic` is the one that judged (a level may be judged by the median). `reason` says why a
    pair is inconclusive, or that a bound of an unchanged one is infinite for want of tail points.
    """

    outcome: Outcome
    reason: ReasonCode | None
    value: float
    low: float
    high: float
    statistic: PointStatistic
    calibration: Calibration


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedPairs:
    """Every grid pair of a series with the critical values of its past.

    `walks` holds the statistic's own and, for a level, that of the median which stands in.
    """

    pairs: PairWindows
    statistics: tuple[PointStatistic, ...]
    rules: tuple[Rule, ...]
    walks: tuple[Walk, ...]

    def judging(self) -> NDArray[np.int64]:
        """Index of the statistic that judges each pair, shape (K,)."""
        if len(self.statistics) == 1:
            return np.zeros(len(self.pairs), dtype=np.int64)
        share = self.walks[0].critical / self.rules[0].ceiling
        return np.asarray((share > NARROW_SHARE) & (share < UNSTABLE_SHARE), dtype=np.int64)


def calibrate_pairs(
    pairs: PairWindows,
    statistic: PointStatistic,
    *,
    alpha: float = 0.05,
    reference: Float64Array | None = None,
) -> CalibratedPairs:
    """Critical values of every grid pair from its own valid past.

    `reference` is a sibling reference of this statistic (`placebo.sibling_reference`).
    """
    statistics: tuple[PointStatistic, ...] = (statistic,)
    if isinstance(statistic, Level):
        statistics = (statistic, MEDIAN)
    rules = tuple(rule_of(s, pairs, alpha) for s in statistics)
    rules = (replace(rules[0], reference=reference), *rules[1:])
    walks = tuple(
        walk(np.abs(s.signed(pairs)), rule, pairs.valid)
        for s, rule in zip(statistics, rules, strict=True)
    )
    return CalibratedPairs(pairs, statistics, rules, walks)


def rule_of(statistic: PointStatistic, pairs: PairWindows, alpha: float = 0.05) -> Rule:
    """The calibration rule of a statistic on these windows."""
    window = pairs.window
    return Rule(window, alpha, statistic.floor(alpha), statistic.ceiling(window), pairs.lag)


def judge_all(
    calibrated: CalibratedPairs, *, margin: float = 0.0, injected: PairWindows | None = None
) -> Judged:
    """The answer for every grid pair; `margin` is a share (0.05 for 5 %).

    `injected` replaces the judged windows and leaves history and critical values alone: what the
    judge would have said had each candidate alone been changed.
    """
    pairs = calibrated.pairs if injected is None else injected
    judging = calibrated.judging()
    answers = [
        judged(_reach(s, pairs, margin), walked, rule)
        for s, walked, rule in zip(
            calibrated.statistics, calibrated.walks, calibrated.rules, strict=True
        )
    ]
    return Judged(
        np.choose(judging, [answer.changed for answer in answers]),
        answers[0].no_history,
        np.choose(judging, [answer.unstable for answer in answers]),
    )


def judge(
    values: ArrayLike,
    start: int,
    window: int,
    statistic: PointStatistic,
    *,
    valid: ArrayLike | None = None,
    margin: float = 0.0,
    alpha: float = 0.05,
    reference: Float64Array | None = None,
) -> PointVerdict:
    """Baseline points [start, start + w) against candidate points [start + w, start + 2w).

    Points after the candidate are not looked at. `valid` marks points that may serve as history
    (see `pair_windows`); the judged pair need not be valid.

    >>> rng = np.random.default_rng(4)
    >>> calm = np.exp(rng.normal(0, 0.1, 900))
    >>> calm[840:] /= 1.2
    >>> found = judge(calm, 780, 60, Level())
    >>> found.outcome.value, [round(2**x, 2) for x in (found.value, found.low, found.high)]
    ('changed', [1.22, 1.15, 1.29])
    """
    points = np.asarray(values, dtype=np.float64)[: start + 2 * window]
    usable = None if valid is None else np.asarray(valid, dtype=np.bool_)[: len(points)]
    pairs = pair_windows(points, window, valid=usable, last_start=start)
    calibrated = calibrate_pairs(pairs, statistic, alpha=alpha, reference=reference)
    return verdict_at(calibrated, len(pairs) - 1, margin=margin)


def verdict_at(calibrated: CalibratedPairs, k: int, *, margin: float = 0.0) -> PointVerdict:
    """The answer for grid pair k with its interval."""
    i = int(calibrated.judging()[k])
    statistic, rule = calibrated.statistics[i], calibrated.rules[i]
    calibration = calibrated.walks[i].at(k, rule)
    row = np.array([k])
    (bounds,) = statistic.intervals(calibrated.pairs, row, calibration.critical).tolist()
    value, low, high = bounds
    if (why := calibration.reason) is not None:
        return PointVerdict(
            Outcome.INCONCLUSIVE, why, value, -math.inf, math.inf, statistic, calibration
        )
    until = calibrated.pairs.take(np.arange(k + 1))
    changed = bool(_reach(statistic, until, margin)[k] > calibration.critical)
    low, high = _agreeing(value, low, high, math.log2(1 + margin), changed=changed)
    outcome = Outcome.CHANGED if changed else Outcome.UNCHANGED
    endless = not changed and math.isinf(max(-low, high))
    reason = ReasonCode.TOO_FEW_TAIL_EPISODES if endless else None
    return PointVerdict(outcome, reason, value, low, high, statistic, calibration)


def _reach(statistic: PointStatistic, pairs: PairWindows, margin: float) -> Float64Array:
    """T of the trial ratio within the margin that fits best from either side: |T(0)| without one.

    Every ratio within the margin is incompatible when this exceeds the critical value.
    """
    edge = math.log2(1 + margin)
    up = statistic.signed(pairs, edge)
    down = up if edge == 0.0 else statistic.signed(pairs, -edge)
    return np.asarray(np.maximum(up, -down))


def _agreeing(
    value: float, low: float, high: float, edge: float, *, changed: bool
) -> tuple[float, float]:
    """Bounds moved to the margin where ties or a statistic that is not monotone leave them off."""
    if not changed:
        return (min(low, edge), high) if value > 0 else (low, max(high, -edge))
    return (max(low, edge), high) if value > 0 else (low, min(high, -edge))
