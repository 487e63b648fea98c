"""What a speed finding rests on."""

from __future__ import annotations

import math

from analyzers.sample import Sample
from analyzers.speed_reading import Reading, threshold_of
from analyzers.wording import few_units_text
from nibai.model import Claim, Estimate, Evidence, UnitKind, Verdict
from nibai.stats.more_data import MoreData
from nibai.stats.recorded import RecordingError
from nibai.stats.verdict import MANY_RUNS, ONE_RUN_MAX_QUANTILE
from nibai.units import ratio_of


def estimate_of(reading: Reading, level: float) -> Estimate:
    return Estimate(
        ratio_of(reading.value),
        ratio_of(reading.low),
        ratio_of(reading.high),
        level,
    )


def _straight(sample: Sample, pair: tuple[float, float]) -> tuple[float, float]:
    """A pair that came in the order of the log ratio, as (baseline, candidate)."""
    return sample.oriented(*pair)


def evidence_of(claim: Claim, sample: Sample, p: float, reading: Reading | None) -> Evidence:
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
        raw_ratio=ratio_of(sample.raw(p)),
        mix_effect=None if terms is None else ratio_of(terms.mix),
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
        baseline_value=ratio_of(values[0]),
        candidate_value=ratio_of(values[1]),
        p_refute=None if reading is None else reading.p_refute,
        p_confirm=None if reading is None else reading.p_confirm,
        variance_factor=None if reading is None else reading.variance_factor,
        critical=None if past is None else past.critical,
        effective_windows=None if past is None else past.calibration.effective_windows,
        smallest_effect=None if past is None else past.smallest_effect,
        recording_error=None if reading is None else _factors(reading.error),
        notes=(*_notes(sample, reading), *_few_units(sample, p, reading)),
    )


def _factors(error: RecordingError) -> tuple[float, float] | None:
    return None if error.nothing else (2.0**error.below, 2.0**error.above)


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


def _few_units(sample: Sample, p: float, reading: Reading | None) -> list[str]:
    """What a verdict from every pair of a few runs or hosts is worth beyond them."""
    decided = reading is not None and reading.decision.verdict is not Verdict.INCONCLUSIVE
    few = sample.by_runs and min(sample.replicas) < MANY_RUNS and p <= ONE_RUN_MAX_QUANTILE
    if not (decided and few):
        return []
    matched = sample.comparison.matched
    return [few_units_text(sample.unit, sample.replicas, matched=matched)]


def _order_notes(sample: Sample) -> list[str]:
    unknown = None in sample.comparison.sweep_order
    return ["the order in which the runs were made is not known"] if unknown else []


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def no_evidence(claim: Claim) -> Evidence:
    return Evidence(
        requests=(0, 0),
        blocks=None,
        unit="none",
        replicas=(0, 0),
        scope="nothing",
        margin=claim.margin,
    )
