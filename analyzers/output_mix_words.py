"""What a verdict about a mix of answers rests on, in words and as evidence."""

from __future__ import annotations

import numpy as np

from nibai.prediction_evidence import (
    Bounds,
    DriftScore,
    Gate,
    GateState,
    InputsMoved,
    PredictionEvidence,
)
from nibai.predictions import PredictionSample
from nibai.stats.block_intervals import Differences
from nibai.stats.unpaired import MixEffect

GATE = "output mix"


def said_of(effect: MixEffect, moved: Differences, margin: float, level: float) -> str:
    """How far the class that moved furthest did, with bounds that hold for all together."""
    at = moved.furthest(margin)
    low, high = (float(side[at]) for side in moved.together(level))
    between = f" [{_number(low)}, {_number(high)}]" if np.isfinite(low) else ""
    many = len(effect.classes)
    most = f", the most of {many} classes" if many > 1 else ""
    return f"the share of “{effect.classes[at]}” moved by {_pp(moved.value[at])}{between}{most}"


def evidence_of(
    sample: PredictionSample,
    effect: MixEffect | None,
    margin: float | None,
    source: str,
    level: float,
) -> PredictionEvidence:
    """The evidence of a finding without pairs."""
    return PredictionEvidence(
        level=sample.level,
        source=sample.source,
        pairs=0,
        all_pairs=0,
        gates=() if effect is None or margin is None else _gates(effect, margin, level),
        margin=margin,
        margin_source=source,
        anytime_valid=False,
        inputs_moved=None if effect is None else _moved(effect, margin or 0.0, level),
        scores=() if effect is None else _scores(effect),
    )


def notes_of(sample: PredictionSample, effect: MixEffect | None) -> tuple[str, ...]:
    """What else there is to know: the naive difference, blocks, placebo points."""
    if effect is None:
        return sample.notes
    notes = [f"unadjusted, {said_of(effect, effect.naive, 0.0, 0.95)}", _blocks(effect)]
    if effect.domain is not None:
        notes.append(f"placebo points: {effect.rank.said()}")
    if effect.coverage is not None:
        before, after = effect.coverage
        notes.append(
            f"held constant: the segments with answers on both sides, {before:.0%} of the old and "
            f"{after:.0%} of the new ones"
        )
    scores = None if sample.unpaired is None else sample.unpaired.scores
    if scores is not None:
        notes.append(
            f"mean score {scores[0]:.4g} before and {scores[1]:.4g} after, unadjusted; its fifths "
            "before the change are what is judged"
        )
    return (*notes, *sample.notes)


def _blocks(effect: MixEffect) -> str:
    before, after = effect.naive.blocks
    if effect.seconds is None:
        return (
            f"no times: {before} and {after} equal runs of rows stand for blocks of time, taken as "
            "independent"
        )
    return f"{before} and {after} blocks of {effect.seconds / 60:g} minutes"


def _gates(effect: MixEffect, margin: float, level: float) -> tuple[Gate, ...]:
    model = effect.model
    if model is None or not model.enough_blocks:
        return (Gate(GATE, GateState.NOT_MEASURED, Bounds(None, None, None), margin, 0, ""),)
    at = model.furthest(margin)
    alpha = 1 - level
    low, high = model.together(level)
    state = GateState.OPEN
    if effect.moved_too_far is None and model.p_beyond(margin) <= alpha:
        state = GateState.FAILED
    elif effect.moved_too_far is None and model.p_within(margin) <= alpha:
        state = GateState.PASSED
    bounds = Bounds(float(model.value[at]), _finite(low[at]), _finite(high[at]))
    text = said_of(effect, model, margin, level)
    return (Gate(GATE, state, bounds, margin, min(effect.rows), text),)


def _moved(effect: MixEffect, margin: float, level: float) -> InputsMoved | None:
    """The class that moved furthest: total = input part + model part."""
    if effect.model is None:
        return None
    at = effect.model.furthest(margin)
    low, high = effect.model.together(level)
    total, model = float(effect.naive.value[at]), float(effect.model.value[at])
    domain = effect.domain
    unknown = Bounds(None, None, None)
    rows = effect.rows[0]
    return InputsMoved(
        auc=unknown if domain is None else Bounds(domain.auc, domain.low, domain.high),
        effective_rows=rows if domain is None else domain.effective_rows,
        effective_share=1.0 if domain is None else domain.effective_share,
        total=total,
        input_part=total - model,
        model_part=Bounds(model, _finite(low[at]), _finite(high[at])),
    )


def _scores(effect: MixEffect) -> tuple[DriftScore, ...]:
    found = [
        DriftScore(
            "total variation of outputs",
            effect.outputs.distance,
            effect.outputs.null_low,
            effect.outputs.null_high,
            f"blocks permuted: p = {effect.outputs.p:.3g}; G = {effect.table.g:.3g} on "
            f"{effect.table.df} df, corrected for blocks: p = {effect.table.p:.3g}",
        )
    ]
    if effect.inputs is not None:
        inputs = effect.inputs
        found.append(
            DriftScore(
                "energy distance of inputs",
                inputs.distance,
                inputs.null_low,
                inputs.null_high,
                f"blocks permuted: p = {inputs.p:.3g}",
            )
        )
    return tuple(found)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _pp(share: float) -> str:
    text = _number(share)
    return f"{text if text.startswith('-') or text == '0' else '+' + text}pp"


def _number(share: float) -> str:
    rounded = float(f"{100 * share:.3g}")
    return f"{rounded:g}" if rounded else "0"
