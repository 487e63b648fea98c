"""Does it complete more requests per second? One finding per "N x more throughput".

Only runs can answer: in a live window arrivals, not capacity, set the rate. The rules: nibai's
statistics.md, sections 4 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from analyzers.gates import no_data, verdict_of
from analyzers.sample import Sample, sample_of
from analyzers.wording import times
from nibai.conventions import DEFAULT_LEVEL
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
    ReplicaSample,
    Side,
    Verdict,
    WindowKind,
)
from nibai.protocols import Analyzer, Windows
from nibai.stats.means import MeanInterval, throughput_ratio
from nibai.stats.more_data import more_units
from nibai.stats.replication import RunInterval, run_interval
from nibai.stats.sides import in_segment
from nibai.stats.verdict import decide, faster_threshold
from nibai.units import ratio_of

RUN_REQUESTS = 20
"""Completed requests that a run needs to have a rate (below, Poisson noise is over 20 %)."""


class Throughput:
    """Analyzer of throughput claims at a confidence level."""

    def __init__(self, level: float = DEFAULT_LEVEL) -> None:
        self.level = level

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """One finding per throughput part of the change's sentences."""
        return [
            self.judge(part, windows.comparison(part.metric))
            for sentence in change.sentences
            for part in sentence.parts
            if part.promise is Promise.THROUGHPUT
        ]

    def judge(self, claim: Claim, comparison: Comparison | None) -> Finding:
        """The finding for one part."""
        if comparison is None:
            reason = Reason(ReasonCode.NO_DATA, "no requests on either side")
            nothing = Evidence((0, 0), None, "none", (0, 0), "nothing", margin=claim.margin)
            return Finding(claim, Verdict.INCONCLUSIVE, reason, None, nothing, "throughput")
        sample = sample_of(comparison, claim)
        gate = _gate(comparison, sample)
        if gate is not None and gate.code is not ReasonCode.ONE_RUN_PER_SIDE:
            evidence = _evidence(claim, sample, None)
            return Finding(claim, verdict_of(gate.code), gate, None, evidence, "throughput")
        found = self._interval(sample, claim)
        threshold = faster_threshold(claim.amount, claim.margin)
        decision = decide(found.low, found.high, threshold)
        reason = gate or Reason(decision.code, _text(found, claim, decision.verdict, threshold))
        verdict = decision.verdict if gate is None else verdict_of(gate.code)
        estimate = Estimate(
            ratio_of(found.value), ratio_of(found.low), ratio_of(found.high), self.level
        )
        evidence = _evidence(claim, sample, found)
        return Finding(claim, verdict, reason, estimate, evidence, "throughput")

    def _interval(self, sample: Sample, claim: Claim) -> MeanInterval | RunInterval:
        sides = (sample.comparison.baseline, sample.comparison.candidate)
        if min(sample.replicas) > 1:
            rates = [
                [math.log2(_rate(replica, claim.segment)) for replica in side.replicas]
                for side in reversed(sides)
            ]
            return run_interval(*rates, matched=sample.comparison.matched, level=self.level)
        done, seconds = zip(*(_blocks(side, claim.segment) for side in sides), strict=True)
        return throughput_ratio(done[0], seconds[0], done[1], seconds[1], level=self.level)


def build(options: Mapping[str, object]) -> Analyzer:
    """The analyzer; option `level` (0.95)."""
    return Throughput(float(str(options.get("level", DEFAULT_LEVEL))))


def _gate(comparison: Comparison, sample: Sample) -> Reason | None:
    if comparison.gate is not None:
        return comparison.gate
    if comparison.kind is WindowKind.LIVE:
        return Reason(
            ReasonCode.SIDES_DIFFER,
            "in live traffic the arrivals set the rate, not the capacity: "
            "measure throughput in runs at full load (--runs)",
        )
    if not comparison.clock:
        return Reason(
            ReasonCode.SIDES_DIFFER, "without a time column there is no rate: give --time COLUMN"
        )
    return no_data(comparison, sample.counts) if 0 in sample.counts else _thin(sample)


def _thin(sample: Sample) -> Reason | None:
    """Too few requests or runs to have a rate."""
    comparison = sample.comparison
    fewest = min(
        int(_completed(replica, sample.segment).sum())
        for side in (comparison.baseline, comparison.candidate)
        for replica in side.replicas
    )
    if fewest < RUN_REQUESTS:
        return Reason(
            ReasonCode.TOO_FEW_REQUESTS,
            f"a run needs at least {RUN_REQUESTS} completed requests to have a rate, "
            f"the shortest has {fewest}: measure longer",
        )
    if min(sample.replicas) == 1:
        return Reason(
            ReasonCode.ONE_RUN_PER_SIDE,
            "one run per side cannot settle a rate: give several runs per side",
        )
    return None


def _blocks(side: Side, segment: tuple[str, str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Completed requests and seconds per block, of all runs: they ran one after the other."""
    done = np.sum([_completed(replica, segment) for replica in side.replicas], axis=0)
    return done, np.full(done.shape, sum(replica.block_seconds for replica in side.replicas))


def _completed(replica: ReplicaSample, segment: tuple[str, str] | None) -> np.ndarray:
    chosen = [s.histograms for label, s in replica.segments.items() if in_segment(label, segment)]
    if not chosen:
        return np.zeros(len(replica.block_starts))
    done: np.ndarray = np.sum([one.n - one.overflow for one in chosen], axis=0)
    return done


def _rate(replica: ReplicaSample, segment: tuple[str, str] | None) -> float:
    seconds = replica.block_seconds * len(replica.block_starts)
    if replica.window is not None:
        seconds = replica.window.seconds
    return max(float(_completed(replica, segment).sum()), 0.5) / seconds


def _text(
    found: MeanInterval | RunInterval, claim: Claim, verdict: Verdict, threshold: float
) -> str:
    bounds = ", ".join(
        times(2.0**bound) if math.isfinite(bound) else "no bound"
        for bound in (found.low, found.high)
    )
    said = f"throughput is {times(2.0**found.value)} the baseline's [{bounds}]"
    if verdict is Verdict.CONFIRMED:
        return f"{said}, at least {claim.amount:g}x"
    if verdict is Verdict.REFUTED:
        return f"{said}, not {claim.amount:g}x"
    more = more_units(found, threshold).blocks if isinstance(found, RunInterval) else None
    tail = f"; about {more} more runs per side would decide" if more else ""
    return f"{said}: {claim.amount:g}x is inside the interval{tail}"


def _evidence(claim: Claim, sample: Sample, found: MeanInterval | RunInterval | None) -> Evidence:
    threshold = faster_threshold(claim.amount, claim.margin)
    return Evidence(
        requests=sample.counts,
        blocks=found.blocks if isinstance(found, MeanInterval) else None,
        unit="run",
        replicas=sample.replicas,
        scope=sample.scope,
        censored_share=sample.censored,
        margin=claim.margin,
        threshold=2.0**threshold,
        raw_ratio=None if found is None else ratio_of(found.value),
        p_refute=None if found is None else found.p_less(threshold),
        p_confirm=None if found is None else found.p_greater(threshold),
        variance_factor=found.variance_factor if isinstance(found, MeanInterval) else None,
    )
