"""Is it really faster? One finding per quantile of a speed claim.

Judges "N x faster", "N% faster", "no more than N% slower" and "not slower" for every metric of
values. The rules and their measured error rates: nibai's statistics.md, sections 4, 5, 8, 10, 12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzers.calibration import past_gate, past_judgement, side_notes
from analyzers.gates import first_gate, no_data, thin_segments, too_few_requests, verdict_of
from analyzers.sample import Sample, sample_of
from analyzers.wording import duration_text, interval_text, promised, subject
from nibai.claims import quantile_label
from nibai.conventions import DEFAULT_LEVEL
from nibai.model import (
    Change,
    Claim,
    Estimate,
    Evidence,
    Finding,
    Promise,
    Reason,
    ReasonCode,
    UnitKind,
    Verdict,
)
from nibai.protocols import Analyzer, Windows
from nibai.stats.floors import raw_floor
from nibai.stats.mix import MixAnalysis, Scope
from nibai.stats.more_data import MoreData, more_blocks, more_units
from nibai.stats.past_judge import PastJudgement
from nibai.stats.replication import RunInterval
from nibai.stats.verdict import (
    MANY_RUNS,
    ONE_RUN_MAX_QUANTILE,
    Decision,
    decide,
    decide_runs,
    faster_threshold,
    no_slower_threshold,
)

RUN_BLOCK_REQUESTS = 20
"""Requests that every block of a run needs when blocks, not runs, decide."""

PROMISES = (Promise.FASTER, Promise.NO_SLOWER)


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


class Speedup:
    """Analyzer of speed claims at a confidence level."""

    def __init__(self, level: float = DEFAULT_LEVEL) -> None:
        self.level = level

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """One finding per speed part of the change's sentences."""
        parts = [
            part
            for sentence in change.sentences
            for part in sentence.parts
            if part.promise in PROMISES
        ]
        # Parts about the same traffic share its tables, those of its past above all.
        about: dict[tuple[str, tuple[str, str] | None], list[Claim]] = {}
        for part in parts:
            about.setdefault((part.metric, part.segment), []).append(part)
        samples = {
            key: sample_of(comparison, claims[0], [quantile_of(claim) for claim in claims])
            for key, claims in about.items()
            if (comparison := windows.comparison(key[0])) is not None
        }
        return [self._judge(part, samples.get((part.metric, part.segment))) for part in parts]

    def _judge(self, claim: Claim, sample: Sample | None) -> Finding:
        """The finding for one part; no sample: the metric was not measured on either side."""
        if sample is None:
            reason = Reason(ReasonCode.NO_DATA, f"no measurements of {claim.metric} on either side")
            return Finding(
                claim, Verdict.INCONCLUSIVE, reason, None, _no_evidence(claim), "speedup"
            )
        comparison = sample.comparison
        p = quantile_of(claim)
        if 0 in sample.counts:
            reason = comparison.gate or no_data(comparison, sample.counts)
            evidence = _evidence(claim, sample, p, None)
            return Finding(claim, verdict_of(reason.code), reason, None, evidence, "speedup")
        reading = self._read(claim, sample, p)
        verdict, reason = self._decide(claim, sample, p, reading)
        estimate = _estimate(reading, self.level)
        evidence = _evidence(claim, sample, p, reading)
        return Finding(claim, verdict, reason, estimate, evidence, "speedup")

    # -- reading --------------------------------------------------------------------------
    def _read(self, claim: Claim, sample: Sample, p: float) -> Reading:
        threshold = threshold_of(claim)
        if sample.by_runs:
            return self._read_runs(sample, p, threshold)
        return self._read_blocks(claim, sample, p, threshold)

    def _read_blocks(self, claim: Claim, sample: Sample, p: float, threshold: float) -> Reading:
        past = past_judgement(sample, claim, p, self.level)
        critical = None if past is None else past.critical
        mix = sample.mix(p, self.level, critical)
        found = mix.like_for_like or mix.raw
        pair = sample.like_for_like
        seconds = sample.comparison.baseline.replicas[0].block_seconds
        return Reading(
            found.value,
            found.low,
            found.high,
            decide(found.low, found.high, threshold),
            1.0 if pair is None else pair.p_less(p, threshold, level=self.level, critical=critical),
            1.0
            if pair is None
            else pair.p_greater(p, threshold, level=self.level, critical=critical),
            found.blocks,
            more_blocks(found.value, found.low, found.high, threshold, found.blocks, seconds),
            found.variance_factor,
            found.tail_episodes,
            _straight(sample, found.n_effective),
            mix,
            tuple(side_notes(sample, claim, p, self.level)),
            past=past,
        )

    def _read_runs(self, sample: Sample, p: float, threshold: float) -> Reading:
        runs = min(sample.replicas)
        over = sample.over_runs(p, self.level) if runs > 1 else None
        if over is not None and (runs >= MANY_RUNS or p > ONE_RUN_MAX_QUANTILE):
            decision = decide_runs(p, runs, [], over, threshold)
            mix = self._mix_of_runs(sample, p)
            return _run_reading(over, decision, threshold, mix, sample.comparison.unit.value)
        pairs = sample.scored_pairs()
        found = [pair.intervals([p], level=self.level)[0] for pair in pairs]
        decision = decide_runs(p, runs, found, over, threshold)
        if not found:
            return Reading(math.nan, -math.inf, math.inf, decision, 1.0, 1.0, None, MoreData(None))
        # Several pairs: the span of what they say; the verdict is that of every one of them.
        value = sum(one.value for one in found) / len(found)
        return Reading(
            value,
            min(one.low for one in found),
            max(one.high for one in found),
            decision,
            max(pair.p_less(p, threshold, level=self.level) for pair in pairs),
            max(pair.p_greater(p, threshold, level=self.level) for pair in pairs),
            min(one.blocks for one in found),
            more_units(over, threshold) if over is not None else MoreData(None),
            max(one.variance_factor for one in found),
            min(one.tail_episodes for one in found),
            _straight(sample, found[0].n_effective) if len(found) == 1 else None,
            self._mix_of_runs(sample, p),
        )

    def _mix_of_runs(self, sample: Sample, p: float) -> MixAnalysis | None:
        cut = len(sample.sides[0]) > 1 or sample.load is not None
        return sample.mix(p, self.level) if cut else None

    # -- deciding -------------------------------------------------------------------------
    def _decide(
        self, claim: Claim, sample: Sample, p: float, reading: Reading
    ) -> tuple[Verdict, Reason]:
        past = reading.past
        gate = first_gate(
            sample.comparison, sample.sides, claim.quantile, calibrated=past is not None
        )
        gate = (
            gate
            or past_gate(past, sample.comparison)
            or self._thin(sample, p, reading)
            or _support(claim, sample, reading)
        )
        if gate is not None:
            return verdict_of(gate.code), gate
        return reading.decision.verdict, _reason(claim, sample, reading)

    def _thin(self, sample: Sample, p: float, reading: Reading) -> Reason | None:
        """Too little to judge this quantile, whatever the interval says."""
        label = quantile_label(p)
        if reading.decision.code is ReasonCode.ONE_RUN_PER_SIDE:
            return Reason(
                ReasonCode.ONE_RUN_PER_SIDE,
                f"one run per side cannot settle {label}: runs of one system differ more in the "
                "tail than any interval inside a run shows; give several runs per side "
                "(5 or more decide every quantile)",
            )
        thin = too_few_requests(sample.counts, raw_floor(p), label)
        if thin is not None:
            return thin
        few = sample.comparison.unit is UnitKind.RUN and min(sample.replicas) < MANY_RUNS
        if not few or p > ONE_RUN_MAX_QUANTILE:
            return None
        smallest = sample.smallest_block()
        if smallest >= RUN_BLOCK_REQUESTS:
            return None
        return Reason(
            ReasonCode.TOO_FEW_REQUESTS,
            f"a run is judged in 8 parts of at least {RUN_BLOCK_REQUESTS} requests; the emptiest "
            f"has {smallest}: measure longer runs, or give 5 or more runs per side",
        )


def build(options: Mapping[str, object]) -> Analyzer:
    """The analyzer; option `level` (0.95)."""
    level = options.get("level", DEFAULT_LEVEL)
    return Speedup(float(str(level)))


def quantile_of(claim: Claim) -> float:
    """The quantile a claim is about; the median when it names none."""
    return 0.5 if claim.quantile is None else claim.quantile


def threshold_of(claim: Claim) -> float:
    """log2 ratio that the claim has to reach."""
    if claim.promise is Promise.NO_SLOWER:
        return no_slower_threshold(claim.amount, claim.margin)
    return faster_threshold(claim.amount, claim.margin)


def _run_reading(
    over: RunInterval, decision: Decision, threshold: float, mix: MixAnalysis | None, unit: str
) -> Reading:
    return Reading(
        over.value,
        over.low,
        over.high,
        decision,
        over.p_less(threshold),
        over.p_greater(threshold),
        None,
        more_units(over, threshold),
        mix=mix,
        notes=(f"typical {unit}: the mean of log ratios of {unit}s",),
    )


def _support(claim: Claim, sample: Sample, reading: Reading) -> Reason | None:
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


def _reason(claim: Claim, sample: Sample, reading: Reading) -> Reason:
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
        return Reason(code, f"{said}, not {wanted}")
    if code is ReasonCode.RUNS_DISAGREE:
        return Reason(
            code,
            f"{said}: the {sample.comparison.unit.value}s disagree whether it is {wanted}"
            f"{_more(sample, reading)}",
        )
    if code is ReasonCode.TOO_FEW_TAIL_EPISODES:
        return Reason(*_unbounded(sample, reading, said))
    if reading.more.undecidable:
        return Reason(
            ReasonCode.PRACTICALLY_UNDECIDABLE,
            f"{said}: practically undecidable, the effect equals the claim ({wanted})",
        )
    return Reason(code, f"{said}: {wanted} is inside the interval{_more(sample, reading)}")


def _unbounded(sample: Sample, reading: Reading, said: str) -> tuple[ReasonCode, str]:
    if reading.blocks is not None and reading.blocks < 8:  # noqa: PLR2004 - the fewest blocks
        text = f"{said}: only {reading.blocks} blocks of time hold requests on both sides, not 8"
        return ReasonCode.TOO_FEW_BLOCKS, text
    if max(sample.censored) > 0 and not math.isfinite(reading.value):
        code = ReasonCode.BOTH_CENSORED if math.isnan(reading.value) else ReasonCode.CENSORED
        shares = (
            f"{sample.censored[0]:.1%} of the baseline, {sample.censored[1]:.1%} of the candidate"
        )
        return code, f"the quantile lies among failed or timed out requests ({shares})"
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


def _estimate(reading: Reading, level: float) -> Estimate:
    return Estimate(
        _ratio(reading.value),
        _ratio(reading.low),
        _ratio(reading.high),
        level,
    )


def _ratio(log2_value: float) -> float | None:
    return 2.0**log2_value if math.isfinite(log2_value) else None


def _straight(sample: Sample, pair: tuple[float, float]) -> tuple[float, float]:
    """A pair that came in the order of the log ratio, as (baseline, candidate)."""
    return sample.oriented(*pair)


def _evidence(claim: Claim, sample: Sample, p: float, reading: Reading | None) -> Evidence:
    mix = None if reading is None else reading.mix
    terms = None if mix is None else mix.decomposition
    values = sample.value(p)
    more = MoreData(None) if reading is None else reading.more
    past = None if reading is None else reading.past
    undecided = reading is not None and reading.decision.verdict is Verdict.INCONCLUSIVE
    return Evidence(
        requests=sample.counts,
        blocks=None if reading is None else reading.blocks,
        unit=sample.unit,
        replicas=sample.replicas,
        scope=sample.scope,
        tail_episodes=None if reading is None else _finite(reading.tail_episodes),
        n_effective=None if reading is None else reading.n_effective,
        false_positive_rate=None if past is None else past.rate,
        raw_ratio=_ratio(sample.raw(p)),
        mix_effect=None if terms is None else _ratio(terms.mix),
        censored_share=sample.censored,
        more_data_needed_seconds=more.seconds if undecided else None,
        more_units_needed=more.blocks if undecided and sample.by_runs else None,
        margin=claim.margin,
        threshold=2.0 ** threshold_of(claim),
        mix_coverage=None if terms is None else sample.oriented(*terms.coverage),
        load_overlap=sample.overlap,
        simpson=None if terms is None else terms.simpson,
        terms=None
        if terms is None
        else {
            "like_for_like": terms.like_for_like,
            "load": terms.load,
            "mix": terms.mix,
            "support": terms.support,
        },
        baseline_value=_ratio(values[0]),
        candidate_value=_ratio(values[1]),
        p_refute=None if reading is None else reading.p_refute,
        p_confirm=None if reading is None else reading.p_confirm,
        variance_factor=None if reading is None else reading.variance_factor,
        critical=None if past is None else past.critical,
        effective_windows=None if past is None else past.calibration.effective_windows,
        smallest_effect=None if past is None else past.smallest_effect,
        notes=_notes(sample, reading),
    )


def _notes(sample: Sample, reading: Reading | None) -> tuple[str, ...]:
    notes: list[str] = []
    if reading is not None:
        notes += reading.notes
        if reading.mix is not None and reading.mix.decomposition.simpson:
            notes.append("Simpson: the mix changed so much that the raw ratio points the other way")
        if reading.mix is not None and reading.mix.decomposition.orders_disagree:
            notes.append("with the candidate's traffic mix the sign of the ratio is the other one")
    if sample.by_runs and sample.comparison.unit is UnitKind.RUN:
        notes += _order_notes(sample)
    return tuple(notes)


def _order_notes(sample: Sample) -> list[str]:
    unknown = None in sample.comparison.sweep_order
    return ["the order in which the runs were made is not known"] if unknown else []


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _no_evidence(claim: Claim) -> Evidence:
    return Evidence(
        requests=(0, 0),
        blocks=None,
        unit="none",
        replicas=(0, 0),
        scope="nothing",
        margin=claim.margin,
    )
