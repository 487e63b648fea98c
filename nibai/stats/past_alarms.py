"""Beside the level: did the upper blocks or the spread between blocks change?

A tail or a restlessness that grew leaves the judged quantile where it was. Points are the blocks'
own quantiles; the endpoint's past gives the errors and critical values. Level, upper quantile and
spread are one family, so each alarm has a third of alpha.
Source: nibai's calibration.md, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array
from nibai.stats.past_windows import PastPairs, block_quantiles
from nibai.stats.point_judge import Outcome, calibrate_pairs, judge_all, verdict_at
from nibai.stats.point_statistics import PointStatistic, Spread, UpperQuantile
from nibai.stats.point_windows import PairWindows

FAMILY = 3
"""Level, upper quantile, spread."""

MARGIN = 0.05
"""What nobody claimed must differ by more than this to be said."""

ALARMS: tuple[PointStatistic, ...] = (UpperQuantile(0.9), Spread())


@dataclass(frozen=True, slots=True)
class Alarm:
    """A side of the traffic that changed: log2 ratio first/second with its interval."""

    statistic: PointStatistic
    value: float
    low: float
    high: float


def side_alarms(
    past: PastPairs, judged: tuple[BlockHistograms, BlockHistograms], p: float, *, level: float
) -> list[Alarm]:
    """What else changed between the judged sides, given in the order of the log ratio.

    Nothing is said where the past is too short or a block of the judged sides has no p-quantile.
    """
    sides = [block_quantiles(side, p)[None, :] for side in judged]
    if not all(np.isfinite(side).all() for side in sides):
        return []
    pairs = _with_judged(past, sides, p)
    found = []
    for statistic in ALARMS:
        calibrated = calibrate_pairs(pairs, statistic, alpha=(1 - level) / FAMILY)
        if not judge_all(calibrated).changed[-1]:
            continue  # the interval, which costs as much again, would only say so too
        verdict = verdict_at(calibrated, len(pairs) - 1, margin=MARGIN)
        if verdict.outcome is Outcome.CHANGED:
            found.append(Alarm(statistic, verdict.value, verdict.low, verdict.high))
    return found


def _with_judged(past: PastPairs, judged: Sequence[Float64Array], p: float) -> PairWindows:
    """Past pairs, a gap of one window, the judged pair: it is judged with fully past pairs only."""
    lag = past.history.slides
    first, second = past.block_quantiles(p)
    usable = past.usable & np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    first, second = (
        np.concatenate([np.where(usable[:, None], side, 0.0), np.repeat(own, lag, axis=0)])
        for side, own in zip((first, second), judged, strict=True)
    )
    valid = np.concatenate([usable, np.zeros(lag, dtype=np.bool_)])
    return PairWindows(first, second, valid, np.arange(len(valid)), lag)
