"""What the endpoint's own past says about one quantile: critical value, error rate, resolution.

Every past pair is judged by the complete judge with its own earlier history only, so the printed
rate never uses the future. Source: nibai's calibration.md, sections 2 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nibai.histogram import Float64Array
from nibai.model import FalsePositiveRate
from nibai.stats.inversion import WALK
from nibai.stats.past_windows import PastPairs
from nibai.stats.placebo import MIN_WINDOWS, Calibration, Judged, Rule, calibrate, judged, walk
from nibai.stats.printed_rate import measured_rate, non_overlapping
from nibai.stats.student import critical_value

FOUND_SHARE = 0.8
"""An endpoint resolves an effect that is found in this share of past windows."""

EFFECT_BISECTIONS = 6


@dataclass(frozen=True, slots=True)
class PastJudgement:
    """The critical value for the next pair and how often the judge was wrong before.

    `critical` replaces Student's, None where the past does not give one. `smallest_effect` is a
    share (0.05: a change by 5 % is found in 4 of 5 windows), None when even six octaves would not
    be. `days_missing`: days of history until a pair can be judged.
    """

    calibration: Calibration
    critical: float | None
    rate: FalsePositiveRate | None
    smallest_effect: float | None
    days_missing: float


def judge_past(
    past: PastPairs,
    p: float,
    *,
    level: float = 0.95,
    margin: float = 0.0,
    freedom: float | None = None,
) -> PastJudgement:
    """Calibration of the p-quantile; `margin` (a share) is that of a second printed rate.

    `freedom` of the judged pair, where matching its load took some: its statistic has heavier tails
    than that of the past by the ratio of Student's quantiles.
    """
    history = past.history
    floor = critical_value(level, history.blocks - 1)
    rule = Rule(history.blocks, 1 - level, floor, lag=history.slides)
    standing = past.standing(p)
    calibration = calibrate(np.abs(standing), rule)
    missing = max(MIN_WINDOWS - calibration.effective_windows, 0.0)
    days = missing * history.slides / history.pairs_per_day
    if calibration.reason is not None:
        return PastJudgement(calibration, None, None, None, days)
    rate = _rate(past, p, rule, standing, margin)
    smallest = _smallest_effect(past, p, standing, calibration.critical)
    heavier = critical_value(level, freedom or history.blocks - 1) / floor
    return PastJudgement(calibration, calibration.critical * heavier, rate, smallest, days)


def _rate(
    past: PastPairs, p: float, rule: Rule, standing: Float64Array, margin: float
) -> FalsePositiveRate | None:
    valid = past.usable
    walked = walk(np.abs(standing), rule, valid)
    other = None
    if margin > 0:
        edge = math.log2(1 + margin)
        reach = np.maximum(past.standing(p, edge), -past.standing(p, -edge))
        other = margin, _answers(reach, judged(reach, walked, rule))
    answers = _answers(standing, judged(np.abs(standing), walked, rule))
    return measured_rate(answers, valid, rule.lag, other=other)


def _answers(standing: Float64Array, found: Judged) -> Judged:
    """Pairs with too few requests for the quantile are undecidable too."""
    thin = np.isnan(standing) & ~found.no_history
    return replace(found, unstable=found.unstable | thin)


def _smallest_effect(
    past: PastPairs, p: float, standing: Float64Array, critical: float
) -> float | None:
    """The effect that would have been found in most past windows, had it been there.

    A change by d moves the interval of a pair by d: it is found when -d is outside the interval.
    """
    among = np.zeros(len(standing), dtype=np.bool_)
    among[non_overlapping(~np.isnan(standing), past.history.slides)] = True

    def found_share(effect: float) -> float:
        up = past.standing(p, -effect, among=among)[among] > critical
        down = -past.standing(p, effect, among=among)[among] > critical
        return float(np.concatenate([up, down]).mean()) if among.any() else 0.0

    far = next((d for d in WALK if found_share(float(d)) >= FOUND_SHARE), None)
    if far is None:
        return None
    low, high = 0.0, float(far)
    for _ in range(EFFECT_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if found_share(middle) >= FOUND_SHARE else (middle, high)
    return float(2.0**high - 1)
