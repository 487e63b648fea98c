"""The endpoint's own past beside a verdict: when it must be there, and how it is said."""

from __future__ import annotations

import math

from analyzers.gates import SHORT_LIVE_WINDOW_SECONDS, hours_text, window_seconds
from analyzers.sample import Sample
from analyzers.wording import interval_text, subject, times
from nibai.histogram import merge
from nibai.model import Claim, Comparison, Promise, Reason, ReasonCode
from nibai.stats.past_alarms import Alarm, side_alarms
from nibai.stats.past_judge import PastJudgement, judge_past
from nibai.stats.placebo import MIN_WINDOWS
from nibai.stats.point_statistics import Spread
from nibai.units import significant


def past_judgement(sample: Sample, claim: Claim, p: float, level: float) -> PastJudgement | None:
    """What the past says about a quantile; None for runs, hosts and where there is no past."""
    if sample.past is None:
        return None
    pair = sample.like_for_like
    freedom = None if pair is None else pair.freedom
    return judge_past(sample.past, p, level=level, margin=margin_of(claim), freedom=freedom)


def margin_of(claim: Claim) -> float:
    """By how much the claim lets the ratio differ from no change, as a share."""
    allowed = claim.amount if claim.promise is Promise.NO_SLOWER else 0.0
    return (1 + allowed) * (1 + claim.margin) - 1


def past_gate(judgement: PastJudgement | None, comparison: Comparison) -> Reason | None:
    """Why the past forbids a verdict on windows of this length."""
    if judgement is None:
        return None
    seconds = window_seconds(comparison)
    calibration = judgement.calibration
    if calibration.reason is ReasonCode.HISTORY_TOO_UNSTABLE:
        return Reason(
            ReasonCode.HISTORY_TOO_UNSTABLE,
            "this endpoint's past changes so much without any change that nothing would stand out: "
            "watch longer windows",
        )
    if seconds >= SHORT_LIVE_WINDOW_SECONDS or calibration.reason is None:
        return None
    return Reason(
        ReasonCode.UNCALIBRATED_SHORT_WINDOW,
        f"a live window of {hours_text(seconds)} h is judged by the endpoint's own unchanged past: "
        f"{_windows(calibration.effective_windows)} of the {MIN_WINDOWS:g} windows needed "
        f"{'is' if calibration.effective_windows == 1 else 'are'} known, "
        f"{_days(judgement.days_missing)} of history before the baseline "
        "would do; or use at least 6 h on both sides, or repeated runs (--runs)",
    )


def side_notes(sample: Sample, claim: Claim, p: float, level: float) -> list[str]:
    """What else changed beside the judged quantile: said, never a verdict."""
    if sample.past is None or not all(sample.ordered):
        return []
    sides = tuple(merge(side.values()) for side in sample.ordered)
    alarms = side_alarms(sample.past, (sides[0], sides[1]), p, level=level)
    return [
        _alarm_text(alarm, claim, timed=sample.comparison.value_unit == "s") for alarm in alarms
    ]


def _alarm_text(alarm: Alarm, claim: Claim, *, timed: bool) -> str:
    about = subject(claim)
    if isinstance(alarm.statistic, Spread):
        factor, word = 2.0 ** abs(alarm.value), "more" if alarm.value < 0 else "less"
        return f"also changed: {about} varies {times(factor)} {word} from block to block"
    said = interval_text(alarm.value, alarm.low, alarm.high, timed=timed)
    worse = "slowest" if timed else "highest"
    return f"also changed: in the {worse} blocks {about} is {said}"


def _windows(count: float) -> str:
    return significant(count, 2)


def _days(days: float) -> str:
    whole = max(math.ceil(days - 1e-9), 1)
    return f"{whole} more day{'s' if whole > 1 else ''}"
