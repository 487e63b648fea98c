"""A speed verdict in a sentence that quotes what is supported."""

from __future__ import annotations

import math

from analyzers.gates import thin_segments
from analyzers.recording import too_coarse
from analyzers.sample import Sample
from analyzers.speed_reading import Reading, threshold_of
from analyzers.wording import duration_text, interval_text, promised, subject
from nibai.model import Claim, Promise, Reason, ReasonCode
from nibai.stats.shares import Scope


def support_gate(claim: Claim, sample: Sample, reading: Reading) -> Reason | None:
    """Whether the segments that both sides have carry enough of the traffic."""
    if reading.mix is None or len(set(sample.sides[0]) | set(sample.sides[1])) < 2:  # noqa: PLR2004
        return None
    terms = reading.mix.decomposition
    baseline, candidate = sample.oriented(*terms.coverage)
    shares = f"{baseline:.0%} of the baseline's and {candidate:.0%} of the candidate's requests"
    if terms.scope is Scope.NOTHING:
        return thin_segments(*sample.sides, sample.min_requests) or Reason(
            ReasonCode.NO_COMMON_SEGMENTS,
            f"the segments that both sides have hold only {shares}: the traffic is not the same",
        )
    if terms.scope is Scope.KEPT_SEGMENTS:
        inner = interval_text(reading.value, reading.low, reading.high, timed=_timed(sample))
        return Reason(
            ReasonCode.PARTIAL_SUPPORT,
            f"{subject(claim)} is {inner} in the segments that both sides have ({shares}), "
            f"{reading.decision.verdict.value} there; nothing can be said of the rest",
        )
    return None


def reason_of(claim: Claim, sample: Sample, reading: Reading) -> Reason:
    """The decision in a sentence that quotes what is supported."""
    timed = _timed(sample)
    said = f"{subject(claim)} is " + interval_text(
        reading.value, reading.low, reading.high, timed=timed
    )
    code, wanted = reading.decision.code, promised(claim)
    faster = claim.promise is Promise.FASTER
    if code is ReasonCode.MEETS_CLAIM:
        return Reason(code, f"{said}, {'at least ' if faster else ''}{wanted}")
    if code is ReasonCode.FALLS_SHORT:
        # "not not slower" and "not no more than" say the opposite of what they mean.
        return Reason(code, f"{said}{', not' if faster else ': the promise was'} {wanted}")
    if code is ReasonCode.RUNS_DISAGREE:
        return Reason(
            code,
            f"{said}: the {sample.comparison.unit.value}s disagree whether it is {wanted}"
            f"{_more(sample, reading)}",
        )
    return Reason(*_undecided(claim, sample, reading, said))


def _undecided(claim: Claim, sample: Sample, reading: Reading, said: str) -> tuple[ReasonCode, str]:
    wanted = promised(claim)
    if reading.decision.code is ReasonCode.TOO_FEW_TAIL_EPISODES:
        return _unbounded(claim, sample, reading, said)
    if reading.error.bar(reading.value, threshold_of(claim)) is None:
        text = f"{said}: {wanted} is inside the interval; {too_coarse(sample)}"
        return ReasonCode.RECORDED_TOO_COARSE, text
    if reading.more.undecidable:
        text = f"{said}: practically undecidable, the effect equals the claim ({wanted})"
        return ReasonCode.PRACTICALLY_UNDECIDABLE, text
    text = f"{said}: {wanted} is inside the interval{_more(sample, reading)}"
    return reading.decision.code, text


def _unbounded(claim: Claim, sample: Sample, reading: Reading, said: str) -> tuple[ReasonCode, str]:
    if reading.blocks is not None and reading.blocks < 8:  # noqa: PLR2004 - the fewest blocks
        held = (
            "1 block of time holds"
            if reading.blocks == 1
            else f"{reading.blocks} blocks of time hold"
        )
        text = f"{said}: only {held} requests on both sides, not 8"
        return ReasonCode.TOO_FEW_BLOCKS, text
    if max(sample.censored) > 0 and not math.isfinite(reading.value):
        code = ReasonCode.BOTH_CENSORED if math.isnan(reading.value) else ReasonCode.CENSORED
        shares = (
            f"{sample.censored[0]:.1%} of the baseline, {sample.censored[1]:.1%} of the candidate"
        )
        return code, f"{subject(claim)} lies among failed or timed out requests ({shares})"
    episodes = reading.tail_episodes
    rests = f"rests on about {episodes:.0f} episodes" if episodes else "rests on too few episodes"
    text = f"{said}: the tail {rests}, too few to bound it; measure longer or in more runs"
    return ReasonCode.TOO_FEW_TAIL_EPISODES, text


def _more(sample: Sample, reading: Reading) -> str:
    more = reading.more
    if more.blocks is None:
        return ""
    if more.capped:
        return "; more than 28 days would be needed to decide"
    if more.seconds is not None:
        return f"; about {duration_text(more.seconds)} more would decide"
    return f"; about {more.blocks} more {sample.comparison.unit.value}s per side would decide"


def _timed(sample: Sample) -> bool:
    return sample.comparison.value_unit == "s"
