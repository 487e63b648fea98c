"""Is it really faster? One finding per quantile of a speed claim.

Judges "N x faster", "N% faster", "no more than N% slower" and "not slower" for every metric of
values. The rules and their measured error rates: nibai's statistics.md, sections 4, 5, 8, 10, 12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analyzers.calibration import past_gate, past_judgement, side_notes
from analyzers.gates import first_gate, no_data, too_few_requests, verdict_of
from analyzers.recording import below_gate, percentiles_gate, recording_notes
from analyzers.sample import Sample, sample_of
from analyzers.speed_evidence import estimate_of, evidence_of, no_evidence
from analyzers.speed_reading import (
    Reading,
    more_runs,
    quantile_of,
    run_reading,
    threshold_of,
    wide_span,
)
from analyzers.speed_reasons import reason_of, support_gate
from nibai.claims import quantile_label
from nibai.conventions import DEFAULT_LEVEL
from nibai.model import (
    Change,
    Claim,
    Finding,
    Promise,
    Reason,
    ReasonCode,
    UnitKind,
    Verdict,
)
from nibai.protocols import Analyzer, Windows
from nibai.stats.floors import raw_floor
from nibai.stats.mix import MixAnalysis
from nibai.stats.more_data import MoreData, more_blocks
from nibai.stats.ratio import PairedScores
from nibai.stats.recorded import RecordingError, Span
from nibai.stats.verdict import (
    MANY_RUNS,
    ONE_RUN_MAX_QUANTILE,
    decide,
    decide_runs,
)

RUN_BLOCK_REQUESTS = 20
"""Requests that every block of a run needs when blocks, not runs, decide."""

PROMISES = (Promise.FASTER, Promise.NO_SLOWER)


_About = tuple[str, tuple[str, str] | None, bool]


def _about(claim: Claim) -> _About:
    """Which traffic a claim is about, and whether at the same mix."""
    return claim.metric, claim.segment, claim.raw


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
        about: dict[_About, list[Claim]] = {}
        for part in parts:
            about.setdefault(_about(part), []).append(part)
        samples = {
            key: sample_of(comparison, claims[0], [quantile_of(claim) for claim in claims])
            for key, claims in about.items()
            if (comparison := windows.comparison(key[0])) is not None
        }
        return [self._judge(part, samples.get(_about(part))) for part in parts]

    def _judge(self, claim: Claim, sample: Sample | None) -> Finding:
        """The finding for one part; no sample: the metric was not measured on either side."""
        if sample is None:
            reason = Reason(ReasonCode.NO_DATA, f"no measurements of {claim.metric} on either side")
            return Finding(claim, Verdict.INCONCLUSIVE, reason, None, no_evidence(claim), "speedup")
        comparison = sample.comparison
        p = quantile_of(claim)
        if 0 in sample.counts:
            reason = comparison.gate or no_data(comparison, sample.counts)
            evidence = evidence_of(claim, sample, p, None)
            return Finding(claim, verdict_of(reason.code), reason, None, evidence, "speedup")
        reading = self._read(claim, sample, p)
        verdict, reason = self._decide(claim, sample, p, reading)
        estimate = estimate_of(reading, self.level)
        evidence = evidence_of(claim, sample, p, reading)
        return Finding(claim, verdict, reason, estimate, evidence, "speedup")

    # -- reading --------------------------------------------------------------------------
    def _read(self, claim: Claim, sample: Sample, p: float) -> Reading:
        threshold, error = threshold_of(claim), sample.recording(p)
        reading = (
            self._read_runs(sample, p, threshold, error)
            if sample.by_runs
            else self._read_blocks(claim, sample, p, error)
        )
        return replace(reading, notes=(*reading.notes, *recording_notes(sample, p, error)))

    def _read_blocks(
        self, claim: Claim, sample: Sample, p: float, error: RecordingError
    ) -> Reading:
        threshold = threshold_of(claim)
        past = past_judgement(sample, claim, p, self.level)
        critical = None if past is None else past.critical
        mix = sample.mix(p, self.level, critical)
        found = mix.like_for_like or mix.raw
        pair = sample.like_for_like
        seconds = sample.comparison.baseline.replicas[0].block_seconds
        bars = error.bars(threshold)
        wide = error.widened(Span(found.value, found.low, found.high))
        p_values = (1.0, 1.0) if pair is None else self._p_values(pair, p, bars, critical)
        bar = error.bar(found.value, threshold)
        more = MoreData(None)
        if bar is not None:
            more = more_blocks(found.value, found.low, found.high, bar, found.blocks, seconds)
        return Reading(
            wide.value,
            wide.low,
            wide.high,
            decide(wide.low, wide.high, threshold),
            *p_values,
            found.blocks,
            more,
            found.variance_factor,
            found.tail_episodes,
            sample.oriented(*found.n_effective),
            mix,
            tuple(side_notes(sample, claim, p, self.level)),
            past=past,
            error=error,
        )

    def _read_runs(
        self, sample: Sample, p: float, threshold: float, error: RecordingError
    ) -> Reading:
        runs = min(sample.replicas)
        over = sample.over_runs(p, self.level) if runs > 1 else None
        if over is not None and (runs >= MANY_RUNS or p > ONE_RUN_MAX_QUANTILE):
            decision = decide_runs(p, runs, [], wide_span(over, error), threshold)
            mix = self._mix_of_runs(sample, p)
            unit = sample.comparison.unit.value
            return run_reading(over, decision, (threshold, error), mix, unit)
        pairs = sample.scored_pairs()
        found = [pair.intervals([p], level=self.level)[0] for pair in pairs]
        wide = [wide_span(one, error) for one in found]
        all_runs = None if over is None else wide_span(over, error)
        decision = decide_runs(p, runs, wide, all_runs, threshold)
        if not found:
            return Reading(math.nan, -math.inf, math.inf, decision, 1.0, 1.0, None, MoreData(None))
        bars = error.bars(threshold)
        p_values = [self._p_values(pair, p, bars, None) for pair in pairs]
        # Several pairs: the span of what they say; the verdict is that of every one of them.
        value = sum(one.value for one in found) / len(found)
        return Reading(
            value,
            min(one.low for one in wide),
            max(one.high for one in wide),
            decision,
            max(refute for refute, _ in p_values),
            max(confirm for _, confirm in p_values),
            min(one.blocks for one in found),
            more_runs(over, threshold, error),
            max(one.variance_factor for one in found),
            min(one.tail_episodes for one in found),
            sample.oriented(*found[0].n_effective) if len(found) == 1 else None,
            self._mix_of_runs(sample, p),
            error=error,
        )

    def _p_values(
        self, pair: PairedScores, p: float, bars: tuple[float, float], critical: float | None
    ) -> tuple[float, float]:
        """Against and for the claim, at the bars that the recorded ratio has to pass."""
        less, greater = bars
        return (
            pair.p_less(p, less, level=self.level, critical=critical)
            if math.isfinite(less)
            else 1.0,
            pair.p_greater(p, greater, level=self.level, critical=critical)
            if math.isfinite(greater)
            else 1.0,
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
            or percentiles_gate(sample, p, reading.error)
            or below_gate(sample, p)
            or past_gate(past, sample.comparison)
            or self._thin(sample, p, reading)
            or support_gate(claim, sample, reading)
        )
        if gate is not None:
            return verdict_of(gate.code), gate
        return reading.decision.verdict, reason_of(claim, sample, reading)

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
