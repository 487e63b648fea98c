"""Everything a report shows of a prediction verdict, gathered from sketches.

The gates decide (`analyzers.prediction_gates`); the rest describes. Source: nibai's drift.md §8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzers import prediction_tables as tables
from analyzers.prediction_reading import Case, Reading, Scope
from analyzers.prediction_wording import RAW, batch_profile
from analyzers.text_outputs import text_rows
from nibai.pairing import MATCH_WARNED
from nibai.prediction_evidence import Bounds, Gate, GateState, PredictionEvidence, Rate
from nibai.predictions import CORRECT, PairedSketch
from nibai.stats.flip_margins import pairs_table
from nibai.stats.gates import GateStates
from nibai.stats.paired import excess_same_inputs
from nibai.stats.sides import in_segment

GUARANTEE = (
    "unchanged variants are refuted in at most {alpha:.0%} of cases by construction, at any number "
    "of looks, if pairs are independent{also} (simulated: 0 of 4,000)"
)
"""The simulation is tests/statistical/test_predictions_known_truth.py, noise floors measured."""

NO_NOISE = " and the old variant answers a request always the same"


@dataclass(frozen=True, slots=True)
class Judged:
    """Gates with their states, and what they were judged by."""

    case: Case
    readings: Sequence[Reading]
    states: GateStates
    more: Sequence[int | None]


def evidence_of(judged: Judged, alpha: float) -> PredictionEvidence:
    """The evidence of one finding."""
    case = judged.case
    scope, margins = case.scope, case.margins
    sample, pairs = scope.sample, scope.pairs
    judged_by = next((one.margin for one in judged.readings), None)
    fixed = None if sample.same_inputs is None else excess_same_inputs(sample.same_inputs)
    fixed_bounds = None if fixed is None else Bounds(fixed.value, *fixed.interval(alpha))
    split = within(sample.pairs, case.segment)
    flips = tables.rate("flips", pairs.flips, pairs.pairs, alpha)
    return PredictionEvidence(
        level=sample.level,
        source=sample.source,
        pairs=pairs.pairs,
        all_pairs=pairs.all_pairs,
        pairs_wanted=None if margins is None else margins.pairs,
        distinct_by=sample.distinct_by,
        match_rate=None if sample.join is None else sample.join.match_rate,
        batch_profile=batch_profile(sample),
        latency_profile=case.latency_profile,
        gates=_gates(judged),
        flips=flips.estimate,
        traffic_flips=pairs.all_flips / pairs.all_pairs if pairs.all_pairs else None,
        floor_old=_own("old", scope.floor_old, alpha),
        floor_new=_own("new", scope.floor_new, alpha),
        floor_stated=sample.stated_floor,
        margin=judged_by,
        margin_source="" if margins is None else margins.source,
        margin_confirmed_at=case.margin_fixed_at if judged_by is not None else None,
        # Accuracy in a file is tested once, at the number of pairs that the file has.
        anytime_valid=not (sample.raw and CORRECT in pairs.signals),
        excess_fixed=fixed_bounds if case.segment is None else None,
        segments=tables.segment_flips(split, alpha),
        simpson=tables.simpson(split, sample.floor_old),
        margins=tables.margin_rows(pairs.margins),
        signals=tables.signal_rows(pairs.signals, alpha),
        events=tables.event_rows(pairs, alpha),
        distributions=text_rows(
            tables.distribution_rows(pairs, alpha, None if margins is None else margins.kl),
            pairs,
            alpha,
        ),
        confusion=tables.confusion_rows(pairs.confusion),
        worst=pairs.worst,
        pairs_needed=() if margins is None else pairs_table(margins.flips, alpha=alpha),
        quarantined={} if sample.join is None else dict(sample.join.quarantined),
    )


def notes_of(scope: Scope, found: PredictionEvidence, alpha: float) -> tuple[str, ...]:
    """What has to be known beside the verdict."""
    sample = scope.sample
    unmeasured = sample.raw and scope.old is None
    notes = [GUARANTEE.format(alpha=alpha, also=NO_NOISE if unmeasured else "")]
    if unmeasured:
        notes.append(RAW)
    if sample.join is not None and sample.join.match_rate < MATCH_WARNED:
        notes.append(
            f"only {sample.join.match_rate:.0%} of requests found their partner (by "
            f"{sample.join.key}): the others may be the ones that changed"
        )
    if sample.distinct_by != "input hash":
        notes.append(
            f"an input is told by its {sample.distinct_by}: repeated inputs count each time"
        )
    notes += tables.over(found.distributions)
    return (*notes, *sample.notes)


def within(
    sketches: Mapping[str, PairedSketch], segment: tuple[str, str] | None
) -> dict[str, PairedSketch]:
    """The sketches of the segments a claim is about."""
    return {label: one for label, one in sketches.items() if in_segment(label, segment)}


def _gates(judged: Judged) -> tuple[Gate, ...]:
    rows = zip(judged.readings, judged.states.states, judged.more, strict=True)
    return tuple(
        Gate(
            one.name,
            state,
            one.estimate,
            one.margin,
            one.n,
            one.said if state is GateState.NOT_MEASURED else f"{one.said}; {one.allowed}",
            more,
            None if one.test is None else one.test.p_fail,
        )
        for one, state, more in rows
    )


def _own(name: str, sketch: PairedSketch | None, alpha: float) -> Rate | None:
    if sketch is None or not sketch.pairs:
        return None
    return tables.rate(name, sketch.flips, sketch.pairs, alpha)
