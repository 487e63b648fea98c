"""Do more requests fail? One finding per "errors up at most N pp".

Errors and timeouts are shares of all requests. The rules: nibai's statistics.md, sections 4, 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analyzers.gates import first_gate, no_data, verdict_of
from analyzers.sample import Sample, sample_of
from analyzers.wording import few_units_text
from nibai.conventions import DEFAULT_LEVEL, REQUEST_METRICS
from nibai.model import (
    Change,
    Claim,
    Comparison,
    Estimate,
    Evidence,
    Finding,
    Promise,
    Reason,
    ReasonCode,
    Side,
    Verdict,
)
from nibai.protocols import Analyzer, Windows
from nibai.stats.means import (
    FEW_EVENTS,
    BlockSums,
    MeanInterval,
    RareTest,
    WiderTest,
    share_difference,
)
from nibai.stats.more_data import more_blocks, more_units
from nibai.stats.replication import RunInterval, run_interval
from nibai.stats.sides import in_segment
from nibai.stats.verdict import MANY_RUNS, decide
from nibai.units import finite, significant


class Errors:
    """Analyzer of error claims at a confidence level."""

    def __init__(self, level: float = DEFAULT_LEVEL) -> None:
        self.level = level

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """One finding per error part of the change's sentences."""
        return [
            self.judge(part, _counted(part, windows))
            for sentence in change.sentences
            for part in sentence.parts
            if part.promise is Promise.ERRORS
        ]

    def judge(self, claim: Claim, comparison: Comparison | None) -> Finding:
        """The finding for one part."""
        if comparison is None:
            reason = Reason(ReasonCode.NO_DATA, "no requests on either side")
            nothing = Evidence((0, 0), None, "none", (0, 0), "nothing", margin=claim.margin)
            return Finding(claim, Verdict.INCONCLUSIVE, reason, None, nothing, "errors")
        sample = sample_of(comparison, claim)
        gate = _gate(comparison, sample)
        sums = [_sums(side, claim.segment) for side in (comparison.baseline, comparison.candidate)]
        if 0 in sample.counts:
            evidence = _evidence(claim, sample, (math.nan, math.nan), None)
            reason = gate or no_data(comparison, sample.counts)
            return Finding(claim, verdict_of(reason.code), reason, None, evidence, "errors")
        rates = sums[0].mean, sums[1].mean
        found = self._interval(sample, claim, sums)
        limit = claim.amount + claim.margin
        decision = decide(-found.high, -found.low, -limit)
        reason = gate or Reason(decision.code, _text(found, rates, claim, decision.verdict))
        verdict = decision.verdict if gate is None else verdict_of(gate.code)
        estimate = Estimate(finite(found.value), finite(found.low), finite(found.high), self.level)
        evidence = _evidence(claim, sample, rates, found)
        if sample.by_runs and min(sample.replicas) == 1 and verdict is not Verdict.INCONCLUSIVE:
            few = few_units_text(sample.unit, sample.replicas, matched=comparison.matched)
            evidence = replace(evidence, notes=(*evidence.notes, few))
        return Finding(claim, verdict, reason, estimate, evidence, "errors")

    def _interval(
        self, sample: Sample, claim: Claim, sums: list[BlockSums]
    ) -> MeanInterval | RunInterval:
        """Over blocks of time; of runs over runs, with few runs or failures over requests too."""
        comparison = sample.comparison
        rare = sample.by_runs and min(side.sums.sum() for side in sums) < FEW_EVENTS
        within = _rare(sums, self.level) if rare else share_difference(*sums, level=self.level)
        if not sample.by_runs or min(sample.replicas) < 2:  # noqa: PLR2004 - no spread from one
            return within
        shares = [
            [_sums(Side(side.label, (replica,)), claim.segment).mean for replica in side.replicas]
            for side in (comparison.candidate, comparison.baseline)
        ]
        over = run_interval(*shares, matched=comparison.matched, level=self.level)
        many = min(sample.replicas) >= MANY_RUNS and not rare
        return over if many else within.at_least_as_wide(over)


def _counted(claim: Claim, windows: Windows) -> Comparison | None:
    """The requests that a claim is about: those of its metric, or of the first one known."""
    names = (claim.metric,) if claim.metric_named else (claim.metric, *REQUEST_METRICS)
    found = (windows.comparison(name) for name in dict.fromkeys(names))
    return next((one for one in found if one is not None), None)


def build(options: Mapping[str, object]) -> Analyzer:
    """The analyzer; option `level` (0.95)."""
    return Errors(float(str(options.get("level", DEFAULT_LEVEL))))


def _rare(sums: list[BlockSums], level: float) -> MeanInterval:
    """Few failures in runs: exact Poisson bounds over all runs of a side together."""
    b, c = ((float(side.sums.sum()), float(side.n.sum())) for side in sums)
    test = RareTest((b[0], c[0]), (b[1], c[1]))
    low, high = test.interval(level)
    return MeanInterval(
        test.estimate, low, high, level, len(sums[0].n), 1.0, test.n, log2=False, test=test
    )


def _gate(comparison: Comparison, sample: Sample) -> Reason | None:
    if not comparison.arrivals_known:
        return Reason(
            ReasonCode.SURVIVORS,
            "nothing says which requests failed: name a status column or give --ok EXPR",
        )
    return first_gate(comparison, sample.sides, None)


def _sums(side: Side, segment: tuple[str, str] | None) -> BlockSums:
    """Failed requests and all requests per block of a side."""
    series = [
        one
        for replica in side.replicas
        for label, one in replica.segments.items()
        if in_segment(label, segment)
    ]
    if not series:
        return BlockSums.of([0.0], [0.0])
    # The overflow bin holds errors and timeouts, and requests that never completed.
    failed = np.sum([one.histograms.overflow for one in series], axis=0)
    return BlockSums.of(failed, np.sum([one.histograms.n for one in series], axis=0))


def _text(
    found: MeanInterval | RunInterval, rates: tuple[float, float], claim: Claim, verdict: Verdict
) -> str:
    said = (
        f"errors went from {rates[0]:.3%} to {rates[1]:.3%} of requests, "
        f"{_pp(found.value)} [{_pp(found.low)}, {_pp(found.high)}]"
    )
    allowed = f"{(claim.amount + claim.margin) * 100:g}pp"
    if verdict is Verdict.CONFIRMED:
        return f"{said}, at most {allowed}"
    if verdict is Verdict.REFUTED:
        return f"{said}, more than {allowed}"
    if not math.isfinite(found.high):
        return f"{said}: too little data to bound the difference"
    more = _more(found, claim)
    return f"{said}: the allowed rise of {allowed} is inside the interval{more}"


def _more(found: MeanInterval | RunInterval, claim: Claim) -> str:
    limit = claim.amount + claim.margin
    if isinstance(found, RunInterval):
        return _more_units(found, limit)
    if isinstance(found.test, WiderTest):
        return _more_units(found.test.between, limit)
    more = more_blocks(-found.value, -found.high, -found.low, -limit, max(found.blocks, 1))
    if more.blocks is None or not found.blocks:
        return ""
    share = 1 + more.blocks / found.blocks
    return f"; about {significant(share, 2)} times as many requests would decide"


def _more_units(over: RunInterval, limit: float) -> str:
    more = more_units(over, limit).blocks
    return f"; about {more} more per side would decide" if more else ""


def _pp(share: float) -> str:
    return f"{share * 100:+.3g}pp" if math.isfinite(share) else "no bound"


def _evidence(
    claim: Claim,
    sample: Sample,
    rates: tuple[float, float],
    found: MeanInterval | RunInterval | None,
) -> Evidence:
    limit = claim.amount + claim.margin
    blocks = found.blocks if isinstance(found, MeanInterval) else None
    return Evidence(
        requests=sample.counts,
        blocks=blocks,
        unit=sample.unit if sample.counts != (0, 0) else "none",
        replicas=sample.replicas,
        scope=sample.scope,
        n_effective=found.n_effective if isinstance(found, MeanInterval) else None,
        censored_share=sample.censored,
        load_overlap=sample.overlap,
        margin=claim.margin,
        threshold=limit,
        baseline_value=finite(rates[0]),
        candidate_value=finite(rates[1]),
        p_refute=None if found is None else found.p_greater(limit),
        p_confirm=None if found is None else found.p_less(limit),
        variance_factor=found.variance_factor if isinstance(found, MeanInterval) else None,
    )
