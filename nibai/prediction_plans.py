"""What a change may do to predictions, fixed before its data are read and looked up afterwards."""

from __future__ import annotations

from dataclasses import replace

from nibai.claims import print_claim
from nibai.model import Change, Claim, Promise
from nibai.prediction_evidence import PredictionPlan
from nibai.stats.flip_margins import KindMargins, margins_of, of_texts

BY_MARGIN = frozenset(
    {Promise.SAME_PREDICTIONS, Promise.SAME_OUTPUT_MIX, Promise.SAME_JSON_VALIDITY}
)
"""Promises that a margin decides; an accuracy claim names its own."""


def plans_of(change: Change, level: float = 0.95) -> tuple[PredictionPlan, ...]:
    """The margins of all claims about predictions of a change, to be stored as it is declared.

    Claims without a margin that need one are left out: they cannot be judged.
    """
    plans = {}
    for part in (part for sentence in change.sentences for part in sentence.parts):
        margins = margins_of(change, part) if part.promise in BY_MARGIN else None
        if margins is not None:
            plans[without_margin(part)] = PredictionPlan(
                without_margin(part),
                margins.flips,
                margins.accuracy,
                margins.kl,
                margins.pairs,
                margins.source,
                level,
            )
    return tuple(plans.values())


def judged_margins(
    change: Change, claim: Claim, *, texts: bool = False
) -> tuple[KindMargins | None, float | None]:
    """The margins a claim is judged with, and when they were fixed: before the data, or None.

    `texts`: the answers are texts, which some kinds of change have a margin of their own for. A
    margin that differs from the declared one says so in its source, and was fixed by nobody.
    """
    margins, plan = margins_of(change, claim), _declared(change, claim)
    if margins is None:
        return None, None
    judged = of_texts(change, margins) if texts else margins
    if plan is None:
        return judged, None
    if plan.margin in (margins.flips, judged.flips):
        return judged, change.declared_at
    return replace(margins, source=f"edited, {100 * plan.margin:.3g}% was declared"), None


def _declared(change: Change, claim: Claim) -> PredictionPlan | None:
    """What was declared of a claim, else of the same promise about all traffic."""
    plans = {plan.claim: plan for plan in change.predictions}
    of_all = without_margin(replace(claim, segment=None))
    return plans.get(without_margin(claim)) or plans.get(of_all)


def without_margin(claim: Claim) -> str:
    """A claim as text, whatever its margin.

    >>> without_margin(Claim(Promise.SAME_PREDICTIONS, 0.0, margin=0.02, margin_assumed=False))
    'same predictions'
    """
    return print_claim(replace(claim, margin=0.0, margin_assumed=True))
