"""Is it cheaper? One finding per "N x cheaper" or "cost at most N x".

Cost is dollars per successful request: price per hour times instances over requests, in blocks of
time. The rules: nibai's statistics.md, section 11, and `nibai.stats.spending`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analyzers.gates import (
    NOT_COMPARABLE,
    no_data,
    short_live_window,
    survivors,
    verdict_of,
)
from analyzers.sample import Sample, sample_of
from analyzers.spending import Spent, by_units, completed, evidence_of, spent
from analyzers.wording import block_unit, duration_text, times
from nibai.conventions import COUNTED_METRICS, DEFAULT_LEVEL
from nibai.model import (
    Change,
    Claim,
    Comparison,
    CostEvidence,
    Estimate,
    Evidence,
    Finding,
    Promise,
    Reason,
    ReasonCode,
    Verdict,
    WindowKind,
)
from nibai.protocols import Analyzer, Windows
from nibai.stats.means import MeanInterval
from nibai.stats.more_data import more_blocks, more_units
from nibai.stats.replication import RunInterval, run_interval
from nibai.stats.spending import Spending, per_hour, per_request
from nibai.stats.verdict import decide, faster_threshold
from nibai.units import ratio_of, usd

COST = (Promise.CHEAPER, Promise.COST_AT_MOST)

LEAST_REQUESTS = 20
"""Successful requests that a side or run needs (below, Poisson noise is over 20 %)."""

ROUNDING = 1e-9
"""Prices that are exactly as promised must not fail by a bit of floating point."""


class Cost:
    """Analyzer of cost claims at a confidence level."""

    def __init__(self, level: float = DEFAULT_LEVEL) -> None:
        self.level = level

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """One finding per cost part of the change's sentences."""
        return [
            self.judge(part, change, windows)
            for sentence in change.sentences
            for part in sentence.parts
            if part.promise in COST
        ]

    def judge(self, claim: Claim, change: Change, windows: Windows) -> Finding:
        """The finding for one part."""
        comparison = _counted(windows, claim)
        if comparison is None:
            reason = Reason(ReasonCode.NO_DATA, "no requests on either side")
            nothing = Evidence((0, 0), None, "none", (0, 0), "nothing", margin=claim.margin)
            return Finding(claim, Verdict.INCONCLUSIVE, reason, None, nothing, "cost")
        sample = sample_of(comparison, claim)
        both = _no_figures(comparison, sample) or spent(windows, comparison, change.costs)
        if isinstance(both, Reason):
            evidence = _evidence(claim, sample, None)
            return Finding(claim, verdict_of(both.code), both, None, evidence, "cost")
        found = self._interval(comparison, both)
        verdict, reason = _decided(claim, comparison, both, found)
        if (gate := _gate(comparison)) is not None:
            verdict, reason = verdict_of(gate.code), gate
        estimate = Estimate(
            ratio_of(found.value), ratio_of(found.low), ratio_of(found.high), self.level
        )
        evidence = _evidence(claim, sample, found, both, evidence_of(windows, both))
        return Finding(claim, verdict, reason, estimate, evidence, "cost")

    def _interval(
        self, comparison: Comparison, both: tuple[Spent, Spent]
    ) -> MeanInterval | RunInterval:
        if min(len(one.units) for one in both) > 1:
            costs = [[_log2_cost(unit) for unit in one.units] for one in both]
            return run_interval(*costs, matched=comparison.matched, level=self.level)
        return per_request(both[0].whole, both[1].whole, level=self.level)


def build(options: Mapping[str, object]) -> Analyzer:
    """The analyzer; option `level` (0.95)."""
    return Cost(float(str(options.get("level", DEFAULT_LEVEL))))


def threshold_of(claim: Claim) -> float:
    """log2 of baseline / candidate that the cost must reach.

    >>> threshold_of(Claim(Promise.CHEAPER, 2.0)), threshold_of(Claim(Promise.COST_AT_MOST, 0.5))
    (1.0, 1.0)
    """
    cheaper = claim.amount if claim.promise is Promise.CHEAPER else 1 / claim.amount
    return faster_threshold(cheaper, claim.margin)


# -- what is in the way ----------------------------------------------------------------------


def _counted(windows: Windows, claim: Claim) -> Comparison | None:
    """The metric whose requests are counted: the claim's, or the first one that both sides have."""
    names = (
        (claim.metric,) if claim.metric_named else dict.fromkeys((claim.metric, *COUNTED_METRICS))
    )
    found = (windows.comparison(name) for name in names)
    return next((one for one in found if one is not None), None)


def _gate(comparison: Comparison) -> Reason | None:
    """What forbids a verdict on figures that can be shown."""
    gate = comparison.gate
    if gate is not None and gate.code in NOT_COMPARABLE:
        return gate
    return survivors(comparison) or gate or short_live_window(comparison)


def _no_figures(comparison: Comparison, sample: Sample) -> Reason | None:
    """What leaves nothing to show."""
    if sample.segment is not None:
        name, value = sample.segment
        return Reason(
            ReasonCode.INSTANCES_UNKNOWN,
            f"instances serve all traffic together: nothing says what {name}={value} costs of it; "
            "leave the segment out",
        )
    if 0 in sample.counts:
        return no_data(comparison, sample.counts)
    if not comparison.clock:
        return Reason(
            ReasonCode.SIDES_DIFFER, "without a time column there is no rate: give --time COLUMN"
        )
    return _thin(comparison)


def _thin(comparison: Comparison) -> Reason | None:
    sides = (comparison.baseline, comparison.candidate)
    served = [[float(completed(one).sum()) for one in side.replicas] for side in sides]
    word = comparison.unit.value if by_units(comparison) else "side"
    fewest = min(min(one) if by_units(comparison) else sum(one) for one in served)
    if fewest >= LEAST_REQUESTS:
        return None
    return Reason(
        ReasonCode.TOO_FEW_REQUESTS,
        f"a {word} needs at least {LEAST_REQUESTS} successful requests to have a cost, the one "
        f"with the fewest has {fewest:.0f}: measure longer",
    )


def _decided(
    claim: Claim,
    comparison: Comparison,
    both: tuple[Spent, Spent],
    found: MeanInterval | RunInterval,
) -> tuple[Verdict, Reason]:
    """The verdict by cost per request, where spending at equal traffic does not contradict it."""
    threshold = threshold_of(claim)
    said, unit = _said(found, both), comparison.unit.value
    if by_units(comparison) and min(len(one.units) for one in both) == 1:
        text = f"{said}; one {unit} per side cannot settle a cost: give several"
        return Verdict.INCONCLUSIVE, Reason(ReasonCode.ONE_RUN_PER_SIDE, text)
    decision = decide(found.low + ROUNDING, found.high + ROUNDING, threshold)
    if decision.verdict is Verdict.INCONCLUSIVE:
        return decision.verdict, Reason(decision.code, said + _missing(found, comparison, claim))
    if _fixed(comparison, both):
        hourly = per_hour(both[0].whole, both[1].whole) + ROUNDING
        if decide(hourly, hourly, threshold).verdict is not decision.verdict:
            reason = Reason(ReasonCode.TRAFFIC_CHANGED, _traffic(said, hourly, both))
            return Verdict.NOT_COMPARABLE, reason
    end = "as promised" if decision.verdict is Verdict.CONFIRMED else f"not {_promised(claim)}"
    return decision.verdict, Reason(decision.code, f"{said}, {end}")


def _fixed(comparison: Comparison, both: tuple[Spent, Spent]) -> bool:
    """Whether spending has a part that traffic does not set: instances in live traffic."""
    return comparison.kind is WindowKind.LIVE and all(one.instances is not None for one in both)


# -- words ----------------------------------------------------------------------------------


def _said(found: MeanInterval | RunInterval, both: tuple[Spent, Spent]) -> str:
    b, c = (usd(one.whole.usd_per_request * 1e3) for one in both)
    return f"1,000 successful requests cost {b} before and {c} after, {_interval_text(found)}"


def _interval_text(found: MeanInterval | RunInterval) -> str:
    """A ratio of costs with its interval, "cheaper" or "dearer"."""
    if found.value < 0 and found.high <= 0:
        low, high, word = -found.high, -found.low, "dearer"
        value = -found.value
    else:
        value, low, high, word = found.value, found.low, found.high, "cheaper"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{times(2.0**value)} {word} [no bound]"
    return f"{times(2.0**value)} {word} [{times(2.0**low)[:-1]}, {times(2.0**high)[:-1]}]"


def _promised(claim: Claim) -> str:
    margin = f" within {claim.margin * 100:g}%" if claim.margin else ""
    if claim.promise is Promise.CHEAPER:
        return f"{claim.amount:g}x{margin}"
    return f"at most {claim.amount:g}x of it{margin}"


def _traffic(said: str, hourly: float, both: tuple[Spent, Spent]) -> str:
    b, c = (one.whole for one in both)
    return (
        f"{said}; but requests went from {b.requests_per_hour:,.0f} to {c.requests_per_hour:,.0f} "
        f"an hour while the instances went from {usd(b.usd_per_hour)} to {usd(c.usd_per_hour)} an "
        f"hour ({times(2.0**hourly)} cheaper): the difference is the traffic's; compare windows of "
        "the same traffic"
    )


def _missing(found: MeanInterval | RunInterval, comparison: Comparison, claim: Claim) -> str:
    tail = f": {_promised(claim)} is inside the interval"
    if isinstance(found, RunInterval):
        more = more_units(found, threshold_of(claim)).blocks
        return f"{tail}; about {more} more per side would decide" if more else tail
    if found.reason is ReasonCode.TOO_FEW_BLOCKS:
        return f": {found.blocks} blocks of time are too few to bound it"
    seconds = _more_seconds(found, comparison, claim)
    return f"{tail}; about {duration_text(seconds)} more would decide" if seconds else tail


def _more_seconds(
    found: MeanInterval | RunInterval, comparison: Comparison, claim: Claim
) -> float | None:
    if isinstance(found, RunInterval):
        return None
    return more_blocks(
        found.value, found.low, found.high, threshold_of(claim), max(found.blocks, 1),
        comparison.baseline.replicas[0].block_seconds,
    ).seconds  # fmt: skip


# -- evidence ---------------------------------------------------------------------------------


def _evidence(
    claim: Claim,
    sample: Sample,
    found: MeanInterval | RunInterval | None,
    both: tuple[Spent, Spent] | None = None,
    told: CostEvidence | None = None,
) -> Evidence:
    threshold = threshold_of(claim)
    per = (None, None) if both is None else tuple(one.whole.usd_per_request for one in both)
    return Evidence(
        requests=sample.counts,
        blocks=found.blocks if isinstance(found, MeanInterval) else None,
        unit=_unit(sample),
        replicas=sample.replicas,
        scope=sample.scope,
        censored_share=sample.censored,
        margin=claim.margin,
        threshold=2.0**threshold,
        raw_ratio=None if found is None else ratio_of(found.value),
        baseline_value=per[0],
        candidate_value=per[1],
        p_refute=None if found is None else found.p_less(threshold),
        p_confirm=None if found is None else found.p_greater(threshold),
        variance_factor=found.variance_factor if isinstance(found, MeanInterval) else None,
        more_data_needed_seconds=None
        if found is None
        else _more_seconds(found, sample.comparison, claim),
        cost=told,
    )


def _unit(sample: Sample) -> str:
    if by_units(sample.comparison):
        return sample.comparison.unit.value
    return block_unit(sample.comparison.baseline.replicas[0].block_seconds)


def _log2_cost(unit: Spending) -> float:
    """log2 of dollars per request of a run; half a request where there was none."""
    return math.log2(float(unit.usd.sum()) / max(float(unit.requests.sum()), 0.5))
