"""Are the answers still the same? One finding per claim about predictions, from pairs.

Judges "same predictions", "accuracy down at most Npp", "same JSON validity" and "same output mix"
where both variants answered the same requests (evidence levels A and B). The rules and their error
rates: nibai's drift.md, sections 1 to 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analyzers.capture_gaps import owning_up_to_gaps
from analyzers.output_mix import unpaired_finding
from analyzers.prediction_gates import accuracy_reading, prediction_gates, rise_reading
from analyzers.prediction_mix import mix_reading
from analyzers.prediction_reading import Case, Reading, Scope
from analyzers.prediction_reasons import decide, margin_text, too_few
from analyzers.prediction_report import Judged, evidence_of, notes_of, within
from analyzers.prediction_wording import LEVELS
from analyzers.text_outputs import are_texts
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
    Verdict,
)
from nibai.pairing import MATCH_NEEDED
from nibai.prediction_evidence import GateState
from nibai.prediction_plans import judged_margins
from nibai.predictions import CORRECT, JSON_VALID, EvidenceLevel, PredictionSample, total
from nibai.protocols import Analyzer, PredictionWindows, Windows
from nibai.stats.flip_margins import FLOOR_PAIRS
from nibai.stats.gates import GateStates, judge_gates

NAME = "predictions"

PROMISES = (
    Promise.SAME_PREDICTIONS,
    Promise.ACCURACY,
    Promise.SAME_JSON_VALIDITY,
    Promise.SAME_OUTPUT_MIX,
)

PAIRED = (EvidenceLevel.SHADOW, EvidenceLevel.REPLAY)

BATCH = "batch"
"""Claims "for batch=8" are about answers that were computed eight at a time."""

ONE_SIDED = 0.5
"""Sentences refute one-sided at half of alpha; the gates have all of it: their p counts half."""


class Predictions:
    """Analyzer of claims about predictions at a confidence level."""

    def __init__(self, level: float = DEFAULT_LEVEL) -> None:
        self.level = level
        self.alpha = 1 - level

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """One finding per prediction part, and one per further profile of batch.

        A further profile gets a claim of its own ("for batch=8") that no sentence of the change
        holds: what it says is not about the traffic whose latency was measured.
        """
        parts = [
            part
            for sentence in change.sentences
            for part in sentence.parts
            if part.promise in PROMISES
        ]
        if not parts:
            return []
        samples = windows.predictions() if isinstance(windows, PredictionWindows) else ()
        further = [claim for claim in further_profiles(parts, samples) if claim not in parts]
        return [self.judge(change, part, samples) for part in (*parts, *further)]

    def judge(self, change: Change, claim: Claim, samples: Sequence[PredictionSample]) -> Finding:
        """The finding for one part."""
        if not samples:
            return _nothing(claim, "no answers of both variants: capture outputs, or replay inputs")
        sample, segment = _sample_for(claim, samples)
        if sample is None:
            there = ", ".join(str(one.batch) for one in samples if one.batch is not None)
            return _nothing(
                claim, f"no answers at batch {segment[1] if segment else '?'}: there is {there}"
            )
        if sample.level not in PAIRED:
            if sample.unpaired is not None:
                found = unpaired_finding(change, claim, sample, self.level)
                return owning_up_to_gaps(found, sample.gaps)
            return _unpaired(claim, sample)
        margins, fixed_at = judged_margins(change, claim, texts=are_texts(sample.pairs.values()))
        case = Case(
            change,
            claim,
            _scope(sample, segment),
            segment,
            margins,
            margin_fixed_at=fixed_at,
            latency_profile=sample.batch == samples[0].batch,
        )
        return owning_up_to_gaps(self._judged(case), sample.gaps)

    def _judged(self, case: Case) -> Finding:
        gate = _gate(case)
        if gate is None:
            asked = self._readings(case)
            if not isinstance(asked, Reason):
                return self._finding(case, asked)
            gate = asked
        return self._finding(case, (), gate)

    def _readings(self, case: Case) -> list[Reading] | Reason:
        """The gates of a claim, or why there are none."""
        claim, pairs, margins = case.claim, case.scope.pairs, case.margins
        if claim.promise is Promise.ACCURACY:
            return self._accuracy(case)
        if margins is None:
            return Reason(ReasonCode.MARGIN_NOT_STATED, margin_text(case.change, claim))
        if claim.promise is Promise.SAME_JSON_VALIDITY:
            valid = pairs.signals.get(JSON_VALID)
            if valid is None or not valid.n:
                return Reason(ReasonCode.NO_SUCH_OUTPUT, "the answers are not read as JSON")
            name = "JSON validity"
            return [rise_reading(name, name, valid, margins.flips, self.alpha, fall=True)]
        if claim.promise is Promise.SAME_OUTPUT_MIX:
            return [mix_reading(pairs, margins.flips, self.alpha)]
        return prediction_gates(case.scope, margins, self.alpha)

    def _accuracy(self, case: Case) -> list[Reading] | Reason:
        truth = case.scope.pairs.signals.get(CORRECT)
        if truth is None or not truth.n:
            text = "no truth is known of these requests: give labels to judge accuracy"
            return Reason(ReasonCode.NO_TRUTH, text)
        allowed, once = case.claim.amount + case.claim.margin, case.scope.sample.raw
        return [accuracy_reading(truth, allowed, self.alpha, one_look=once, both_sides=False)]

    def _finding(
        self, case: Case, readings: Sequence[Reading], gate: Reason | None = None
    ) -> Finding:
        states = judge_gates([one.test for one in readings], self.alpha)
        if gate is None and case.scope.pairs.pairs < FLOOR_PAIRS:
            gate = too_few(case.scope)
            states = replace(states, states=tuple(_held_back(one) for one in states.states))
        judged = Judged(case, readings, states, self._more(readings, states))
        verdict, reason = decide(judged) if gate is None else (_verdict_of(gate.code), gate)
        first = readings[0].estimate if readings else None
        estimate = (
            None if first is None else Estimate(first.value, first.low, first.high, self.level)
        )
        evidence = self._evidence(judged, verdict)
        return Finding(case.claim, verdict, reason, estimate, evidence, NAME)

    def _evidence(self, judged: Judged, verdict: Verdict) -> Evidence:
        sample, n = judged.case.scope.sample, judged.case.scope.pairs.pairs
        readings, states = judged.readings, judged.states
        found = evidence_of(judged, self.alpha)
        return Evidence(
            requests=(n, n),
            blocks=None,
            unit="pair",
            replicas=(1, 1),
            scope="a file of pairs" if sample.raw else LEVELS[sample.level],
            more_units_needed=_missing(judged) if verdict is Verdict.INCONCLUSIVE else None,
            margin=found.margin or 0.0,
            threshold=found.margin,
            simpson=found.simpson,
            p_refute=ONE_SIDED * states.p_fail if readings else None,
            p_confirm=states.p_pass if readings else None,
            log_e_value=_log_e(verdict, states),
            predictions=found,
            notes=notes_of(judged.case.scope, found, self.alpha),
        )

    def _more(self, readings: Sequence[Reading], states: GateStates) -> list[int | None]:
        """Pairs that would decide each open gate at its present rate."""
        able = sum(1 for one in readings if one.test is not None and one.test.p_fail is not None)
        outside = self.alpha / max(able, 1)
        return [
            one.more(self.alpha, outside) if state is GateState.OPEN else None
            for one, state in zip(readings, states.states, strict=True)
        ]


def build(options: Mapping[str, object]) -> Analyzer:
    """The analyzer; option `level` (0.95)."""
    return Predictions(float(str(options.get("level", DEFAULT_LEVEL))))


def further_profiles(parts: Sequence[Claim], samples: Sequence[PredictionSample]) -> list[Claim]:
    """Claims "same predictions for batch=N" for every profile after the first.

    The first profile is that of the latency; the margin is the one that was asked for.
    """
    asked = next(
        (
            part
            for part in parts
            if part.promise is Promise.SAME_PREDICTIONS and part.segment is None
        ),
        None,
    )
    if asked is None:
        return []
    batches = dict.fromkeys(
        sample.batch
        for sample in samples[1:]
        if sample.batch is not None and sample.batch != samples[0].batch and sample.level in PAIRED
    )
    return [replace(asked, segment=(BATCH, str(batch))) for batch in batches]


def _sample_for(
    claim: Claim, samples: Sequence[PredictionSample]
) -> tuple[PredictionSample | None, tuple[str, str] | None]:
    """The sample a claim is about, and the segment in it; None: no such batch."""
    if claim.segment is None or claim.segment[0] != BATCH:
        return samples[0], claim.segment
    wanted = claim.segment[1]
    for sample in samples:
        if sample.batch is not None and str(sample.batch) == wanted:
            return sample, None
    if any(within(sample.pairs, claim.segment) for sample in samples):
        return samples[0], claim.segment
    return None, claim.segment


def _scope(sample: PredictionSample, segment: tuple[str, str] | None) -> Scope:
    floors = [
        None if floor is None else total(within(floor, segment).values())
        for floor in (sample.floor_old, sample.floor_new)
    ]
    return Scope(sample, total(within(sample.pairs, segment).values()), *floors)


# -- before any interval ------------------------------------------------------------------------


def _gate(case: Case) -> Reason | None:
    """What stands in the way of judging pairs at all."""
    sample, segment = case.scope.sample, case.segment
    join = sample.join
    if join is not None and join.match_rate < MATCH_NEEDED:
        return Reason(
            ReasonCode.FEW_PARTNERS,
            f"only {join.match_rate:.0%} of requests found their partner (by {join.key}): "
            "send the same inputs to both variants",
        )
    if case.scope.pairs.pairs:
        return None
    if segment is None:
        return Reason(ReasonCode.NO_DATA, "not one pair of answers")
    there = ", ".join(sorted(label for label in sample.pairs if label)[:10]) or "none"
    return Reason(
        ReasonCode.NO_DATA,
        f"no pairs of {segment[0]}={segment[1]}: the segments are {there}",
    )


def _held_back(state: GateState) -> GateState:
    return state if state is GateState.NOT_MEASURED else GateState.OPEN


def _verdict_of(code: ReasonCode) -> Verdict:
    """Thin data want more of the same; everything else that stops a verdict wants another kind."""
    thin = (ReasonCode.TOO_FEW_PAIRS,)
    return Verdict.INCONCLUSIVE if code in thin else Verdict.NOT_COMPARABLE


def _nothing(claim: Claim, text: str) -> Finding:
    return Finding(
        claim,
        Verdict.NOT_COMPARABLE,
        Reason(ReasonCode.NO_DATA, text),
        None,
        Evidence((0, 0), None, "none", (0, 0), "nothing", margin=claim.margin),
        NAME,
    )


def _unpaired(claim: Claim, sample: PredictionSample) -> Finding:
    """Answers to different requests that nobody kept: nothing can be said of predictions."""
    if sample.level is EvidenceLevel.OUTPUTS_ONLY:
        reason = Reason(ReasonCode.OUTPUTS_ONLY, "outputs only; capture inputs, or replay")
    else:
        reason = Reason(
            ReasonCode.UNPAIRED, "the variants answered different requests: replay, or shadow"
        )
    return replace(_nothing(claim, ""), reason=reason)


def _missing(judged: Judged) -> int | None:
    """Pairs after which every open gate is decided, None where one of them never is."""
    rows = zip(judged.states.states, judged.more, strict=True)
    more = [n for state, n in rows if state is GateState.OPEN]
    known = [n for n in more if n is not None]
    return max(known) if known and len(known) == len(more) else None


def _log_e(verdict: Verdict, states: GateStates) -> float | None:
    p = {Verdict.CONFIRMED: states.p_pass, Verdict.REFUTED: states.p_fail}.get(verdict)
    return -math.log(p) if p is not None and p > 0 else None
