"""Did the mix of answers move, beyond what the inputs explain? Old and new answered other requests.

Evidence level C (inputs known) may refute "same predictions" when a class's share moved beyond the
margin, never confirm it: opposite flips cancel. It can confirm "same output mix". Level D (outputs
only) decides nothing. The rules: nibai's drift.md, sections 1 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyzers.output_mix_words import evidence_of, notes_of, said_of
from analyzers.prediction_reasons import margin_text
from nibai.claims import print_claim
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
from nibai.predictions import EvidenceLevel, PredictionSample
from nibai.stats.block_intervals import MIN_BLOCKS, Differences
from nibai.stats.flip_margins import margins_of
from nibai.stats.reweight import MIN_ROWS
from nibai.stats.shares import FULL_COVERAGE, PARTIAL_COVERAGE
from nibai.stats.unpaired import MixEffect, mix_effect, within_segment
from nibai.units import significant

NAME = "predictions"

SEED = 20_260_301
"""Signs and permutations are drawn from this seed: the same data give the same verdict."""

ONE_SIDED = 0.5
"""Sentences refute one-sided at half of alpha, and this refutes two-sided at all of it."""

MOST_TIMES = 100.0
"""More data than this many times as much is called undecidable."""

MIX = (Promise.SAME_PREDICTIONS, Promise.SAME_OUTPUT_MIX)

THIN = frozenset(
    {ReasonCode.TOO_FEW_REQUESTS, ReasonCode.TOO_FEW_BLOCKS, ReasonCode.PARTIAL_SUPPORT}
)
"""Gates that more of the same data would open."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """How far a share may move, and who says so."""

    margin: float
    source: str

    def __str__(self) -> str:
        return f"{100 * self.margin:g}pp allowed"


@dataclass(frozen=True, slots=True)
class _Case:
    claim: Claim
    sample: PredictionSample
    effect: MixEffect
    model: Differences
    allowed: Allowed
    level: float

    def said(self) -> str:
        return said_of(self.effect, self.model, self.allowed.margin, self.level)

    def finding(
        self, verdict: Verdict, code: ReasonCode, text: str, estimate: Estimate | None = None
    ) -> Finding:
        reason = Reason(code, f"{text} (before and after, adjusted for inputs)")
        shown = estimate or _together(self.model, self.allowed.margin, self.level)
        evidence = _evidence(self.sample, self.effect, self.allowed, self.model, self.level)
        return Finding(self.claim, verdict, reason, shown, evidence, NAME)


def unpaired_finding(
    change: Change, claim: Claim, sample: PredictionSample, level: float
) -> Finding:
    """The finding about a sample of evidence level C or D."""
    margins = margins_of(change, claim)
    allowed = None if margins is None else Allowed(margins.flips, margins.source)
    effect = _effect(claim, sample, level)
    gate = _gate(claim, sample, effect)
    if gate is None and allowed is None:
        gate = Reason(ReasonCode.MARGIN_NOT_STATED, margin_text(change, claim))
    if gate is None:
        assert effect is not None  # noqa: S101 - the gate looked
        assert effect.model is not None  # noqa: S101 - same
        assert allowed is not None  # noqa: S101 - the lines above
        return _judged(_Case(claim, sample, effect, effect.model, allowed, level))
    verdict = Verdict.INCONCLUSIVE if gate.code in THIN else Verdict.NOT_COMPARABLE
    evidence = _evidence(sample, effect, allowed, None, level)
    return Finding(claim, verdict, gate, None, evidence, NAME)


def _effect(claim: Claim, sample: PredictionSample, level: float) -> MixEffect | None:
    """What is known of the mix; None where a period has no answers."""
    if sample.unpaired is None:
        return None
    rows = within_segment(sample.unpaired, claim.segment)
    if 0 in (rows.before.n, rows.after.n):
        return None
    return mix_effect(rows, np.random.default_rng(SEED), level)


# -- before any interval ------------------------------------------------------------------------


def _gate(claim: Claim, sample: PredictionSample, effect: MixEffect | None) -> Reason | None:
    """What stands in the way of a verdict, the incurable first."""
    if claim.promise not in MIX:
        return Reason(
            ReasonCode.UNPAIRED,
            f"“{print_claim(claim)}” is judged from pairs only: send the same inputs to both "
            "variants (replay, or shadow)",
        )
    if effect is None:
        return Reason(ReasonCode.NO_DATA, _no_answers(claim, sample))
    if sample.level is EvidenceLevel.OUTPUTS_ONLY:
        naive = said_of(effect, effect.naive, 0.0, 0.95)
        return Reason(
            ReasonCode.OUTPUTS_ONLY,
            f"outputs only; capture inputs, or replay (unadjusted, {naive})",
        )
    return _too_few(effect) or _too_far(effect) or _few_blocks(effect) or _coverage(effect)


def _too_few(effect: MixEffect) -> Reason | None:
    if min(effect.rows) >= MIN_ROWS:
        return None
    return Reason(
        ReasonCode.TOO_FEW_REQUESTS,
        f"{effect.rows[0]:,} answers before and {effect.rows[1]:,} after: at least {MIN_ROWS} "
        "each are needed",
    )


def _too_far(effect: MixEffect) -> Reason | None:
    if effect.moved_too_far is None:
        return None
    return Reason(
        ReasonCode.INPUTS_MOVED, f"inputs moved too far, replay instead: {effect.moved_too_far}"
    )


def _no_answers(claim: Claim, sample: PredictionSample) -> str:
    if claim.segment is None or sample.unpaired is None:
        return "no answers before, or none after"
    there = ", ".join(sample.unpaired.segments[:10]) or "none"
    return (
        f"no answers of {claim.segment[0]}={claim.segment[1]} on both sides: the segments are "
        f"{there}"
    )


def _few_blocks(effect: MixEffect) -> Reason | None:
    if effect.naive.enough_blocks:
        return None
    minutes = (effect.seconds or 0.0) / 60
    return Reason(
        ReasonCode.TOO_FEW_BLOCKS,
        f"{effect.naive.blocks[0]} blocks of {minutes:g} minutes before and "
        f"{effect.naive.blocks[1]} after: answers near in time are alike, so {MIN_BLOCKS} each are "
        "needed",
    )


def _coverage(effect: MixEffect) -> Reason | None:
    if effect.coverage is None or min(effect.coverage) >= FULL_COVERAGE:
        return None
    least = min(effect.coverage)
    partial = least >= PARTIAL_COVERAGE
    code = ReasonCode.PARTIAL_SUPPORT if partial else ReasonCode.NO_COMMON_SEGMENTS
    return Reason(code, f"segments with answers before and after hold only {least:.0%} of them")


# -- the verdict --------------------------------------------------------------------------------


def _judged(case: _Case) -> Finding:
    """Refuted beyond the margin, confirmed (the mix only) within it."""
    model, margin, alpha = case.model, case.allowed.margin, 1 - case.level
    rank = case.effect.rank
    if model.p_beyond(margin) <= alpha:
        text = f"{case.said()}: more than the {case.allowed}"
        if rank.calibrated and rank.p > alpha:
            text = f"{text}, but its own past moves as far: {rank.said()}"
            return case.finding(Verdict.INCONCLUSIVE, ReasonCode.HISTORY_TOO_UNSTABLE, text)
        if case.claim.promise is Promise.SAME_PREDICTIONS:
            text += "; a share can only move so far when at least as many answers changed"
        return case.finding(Verdict.REFUTED, ReasonCode.FALLS_SHORT, text)
    if case.claim.promise is Promise.SAME_PREDICTIONS:
        return _unproved(case)
    if model.p_within(margin) <= alpha:
        each = _each(model, margin, 1 - 2 * alpha)
        text = f"{case.said()}; each within the {case.allowed}"
        return case.finding(Verdict.CONFIRMED, ReasonCode.MEETS_CLAIM, text, each)
    return _open(case)


def _unproved(case: _Case) -> Finding:
    """An unmoved mix proves nothing of single answers; a moved one may become a refusal."""
    if float(np.abs(case.model.value).max()) > case.allowed.margin:
        return _open(case)
    text = (
        f"{case.said()}, not beyond the {case.allowed}: but opposite changes of answers cancel, so "
        "only the same inputs through both variants can show that answers stayed: replay, or shadow"
    )
    return case.finding(Verdict.NOT_COMPARABLE, ReasonCode.UNPAIRED, text)


def _open(case: _Case) -> Finding:
    """How many times as much data would decide, at the present difference."""
    model, margin, alpha = case.model, case.allowed.margin, 1 - case.level
    half = model.each(1 - 2 * alpha)[1] - model.value
    room = np.abs(margin - np.abs(model.value))
    times = float(np.max((1.2 * half / np.maximum(room, 1e-9)) ** 2))
    text = f"{case.said()}: the {case.allowed} is inside the interval"
    if times > MOST_TIMES:
        text = f"{text}; practically undecidable, the difference equals it"
        return case.finding(Verdict.INCONCLUSIVE, ReasonCode.PRACTICALLY_UNDECIDABLE, text)
    more = f"about {significant(max(times, 1.1), 2)} times as many answers would decide"
    return case.finding(Verdict.INCONCLUSIVE, ReasonCode.INTERVAL_STRADDLES, f"{text}; {more}")


def _together(model: Differences, margin: float, level: float) -> Estimate:
    """The class that went furthest, with bounds that hold for all classes together."""
    return _shown(model, model.furthest(margin), model.together(level), level)


def _each(model: Differences, margin: float, level: float) -> Estimate:
    """The same class with bounds of its own: what two one-sided tests look at."""
    return _shown(model, model.furthest(margin), model.each(level), round(level, 6))


def _shown(
    model: Differences, at: int, bounds: tuple[np.ndarray, np.ndarray], level: float
) -> Estimate:
    low, high = (float(side[at]) for side in bounds)
    finite = [one if np.isfinite(one) else None for one in (low, high)]
    return Estimate(float(model.value[at]), finite[0], finite[1], level)


def _evidence(
    sample: PredictionSample,
    effect: MixEffect | None,
    allowed: Allowed | None,
    model: Differences | None,
    level: float,
) -> Evidence:
    margin = None if allowed is None else allowed.margin
    tests = None if model is None or margin is None else (model, margin)
    return Evidence(
        requests=(0, 0) if effect is None else effect.rows,
        blocks=None if effect is None else min(effect.naive.blocks),
        unit="none" if effect is None else "block",
        replicas=(0, 0) if effect is None else (1, 1),
        scope="nothing" if effect is None else "before and after",
        margin=margin or 0.0,
        threshold=margin,
        p_refute=None if tests is None else ONE_SIDED * tests[0].p_beyond(tests[1]),
        p_confirm=None if tests is None else tests[0].p_within(tests[1]),
        predictions=evidence_of(
            sample, effect, margin, "" if allowed is None else allowed.source, level
        ),
        notes=notes_of(sample, effect),
    )
