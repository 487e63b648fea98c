"""What the data say about one quantile, and the question they are asked (log2)."""

from __future__ import annotations

from dataclasses import dataclass

from nibai.model import Claim, Promise
from nibai.stats.mix import MixAnalysis
from nibai.stats.more_data import MoreData, more_units
from nibai.stats.past_judge import PastJudgement
from nibai.stats.ratio import RatioInterval
from nibai.stats.recorded import AS_MEASURED, RecordingError, Span
from nibai.stats.replication import RunInterval
from nibai.stats.verdict import Decision, faster_threshold, no_slower_threshold


@dataclass(frozen=True, slots=True)
class Reading:
    """What one quantile's data say, before the claim is looked at (log2; see `Sample`)."""

    value: float
    low: float
    high: float
    decision: Decision
    p_refute: float
    p_confirm: float
    blocks: int | None
    more: MoreData
    variance_factor: float | None = None
    tail_episodes: float | None = None
    n_effective: tuple[float, float] | None = None
    mix: MixAnalysis | None = None
    notes: tuple[str, ...] = ()
    past: PastJudgement | None = None
    error: RecordingError = AS_MEASURED


def quantile_of(claim: Claim) -> float:
    """The quantile a claim is about; the median when it names none."""
    return 0.5 if claim.quantile is None else claim.quantile


def threshold_of(claim: Claim) -> float:
    """log2 ratio that the claim has to reach."""
    if claim.promise is Promise.NO_SLOWER:
        return no_slower_threshold(claim.amount, claim.margin)
    return faster_threshold(claim.amount, claim.margin)


def wide_span(found: RatioInterval | RunInterval, error: RecordingError) -> Span:
    return error.widened(Span(found.value, found.low, found.high))


def more_runs(over: RunInterval | None, threshold: float, error: RecordingError) -> MoreData:
    bar = None if over is None else error.bar(over.value, threshold)
    return MoreData(None) if over is None or bar is None else more_units(over, bar)


def run_reading(
    over: RunInterval,
    decision: Decision,
    question: tuple[float, RecordingError],
    mix: MixAnalysis | None,
    unit: str,
) -> Reading:
    threshold, error = question
    wide, bars = wide_span(over, error), error.bars(threshold)
    return Reading(
        wide.value,
        wide.low,
        wide.high,
        decision,
        over.p_less(bars[0]),
        over.p_greater(bars[1]),
        None,
        more_runs(over, threshold, error),
        mix=mix,
        notes=(f"typical {unit}: the mean of log ratios of {unit}s",),
        error=error,
    )
