"""Price and instances of both sides of a comparison, from what was said and what was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nibai.conventions import INPUT_TOKENS, INSTANCES, OUTPUT_TOKENS
from nibai.histogram import Float64Array
from nibai.model import (
    BlockSeries,
    Comparison,
    CostEvidence,
    Reason,
    ReasonCode,
    ReplicaSample,
    Side,
    SideCost,
    UnitKind,
)
from nibai.protocols import Windows
from nibai.stats.spending import Spending, instances_seen, spending

MODEL_TIME = "model_latency"
"""What a serverless request is billed for; where it is missing, the judged metric."""


@dataclass(frozen=True, slots=True, eq=False)
class Spent:
    """One side: spending by block, by unit (runs), mean instances, and where they are from."""

    whole: Spending
    units: tuple[Spending, ...]
    instances: float | None
    said: str


def spent(
    windows: Windows, comparison: Comparison, costs: tuple[SideCost, SideCost] | None
) -> tuple[Spent, Spent] | Reason:
    """What both sides spent; a reason when a price or the instances are not known."""
    sides = (comparison.baseline, comparison.candidate)
    roles = ("baseline", "candidate")
    costs = costs or (SideCost(), SideCost())
    unpriced = [
        _unpriced(role, side, cost) for role, side, cost in zip(roles, sides, costs, strict=True)
        if not _priced(cost)
    ]  # fmt: skip
    if unpriced:
        return Reason(
            ReasonCode.NO_PRICE,
            f"no price of {' and '.join(unpriced)}: give USD per hour (--cost-per-hour BASE,CAND, "
            "or cost: in nibai.yaml)",
        )
    found = []
    for i, (role, side, cost) in enumerate(zip(roles, sides, costs, strict=True)):
        if cost.usd_per_hour is None and cost.usd_per_million:
            paid = _by_tokens(windows, comparison, i, cost)
            if paid is None:
                return Reason(
                    ReasonCode.NO_PRICE,
                    f"{_role(role, side)} is paid by tokens, and none were recorded: collect them "
                    "(bedrock: tokens, or the metrics input_tokens and output_tokens)",
                )
            found.append(paid)
            continue
        one = _serverless(windows, comparison, i, cost) if _serverless_price(cost) else None
        one = one or _hourly(windows, comparison, i, cost)
        if one is None:
            return Reason(
                ReasonCode.INSTANCES_UNKNOWN,
                f"nothing says how many instances {_role(role, side)} had: give them "
                "(--instances BASE,CAND, or instances: under cost: in nibai.yaml)",
            )
        found.append(one)
    return found[0], found[1]


def evidence_of(windows: Windows, both: tuple[Spent, Spent]) -> CostEvidence:
    """The figures behind a finding."""
    b, c = both
    instances = None
    if b.instances is not None and c.instances is not None:
        instances = (b.instances, c.instances)
    return CostEvidence(
        usd_per_1000_requests=(b.whole.usd_per_request * 1e3, c.whole.usd_per_request * 1e3),
        usd_per_hour=(b.whole.usd_per_hour, c.whole.usd_per_hour),
        requests_per_hour=(b.whole.requests_per_hour, c.whole.requests_per_hour),
        instances=instances,
        usd_per_million_output_tokens=_per_million_tokens(windows, both),
        sources=(b.said, c.said),
    )


def completed(replica: ReplicaSample) -> Float64Array:
    """Successful requests of a replica per block, shape (G,)."""
    done = np.zeros(len(replica.block_starts))
    for one in replica.segments.values():
        done += one.histograms.n - one.histograms.overflow
    return done


def _hourly(windows: Windows, comparison: Comparison, i: int, cost: SideCost) -> Spent | None:
    side = (comparison.baseline, comparison.candidate)[i]
    assert cost.usd_per_hour is not None  # noqa: S101 - `spent` has looked
    seconds = side.replicas[0].block_seconds
    if by_units(comparison):
        # A run (or day) is one instance unless more were said: paid for as long as it lasts.
        count = cost.instances or 1.0
        units = tuple(
            spending(cost.usd_per_hour, count, completed(one), one.block_seconds)
            for one in side.replicas
        )
        word = comparison.unit.value
        said = _stated(count) if cost.instances else f"one instance per {word}"
        return Spent(_together(units), units, count, f"{cost.source}; {said}")
    counted = _instances(windows, comparison, i, cost)
    if counted is None:
        return None
    instances, said = counted
    done = np.sum([completed(one) for one in side.replicas], axis=0)
    whole = spending(cost.usd_per_hour, instances, done, seconds)
    return Spent(whole, (), float(np.mean(instances)), f"{cost.source}; {said}")


def by_units(comparison: Comparison) -> bool:
    """Whether replicas are runs or days, one after the other, and no instances side by side."""
    return comparison.unit in (UnitKind.RUN, UnitKind.DAY)


def _stated(instances: float) -> str:
    return f"{instances:g} instance{'' if instances == 1 else 's'} as stated"


def _instances(
    windows: Windows, comparison: Comparison, i: int, cost: SideCost
) -> tuple[Float64Array | float, str] | None:
    """Instances by block, or their number: stated, collected, seen as replicas, or discovered."""
    side = (comparison.baseline, comparison.candidate)[i]
    if cost.instances is not None:
        return cost.instances, _stated(cost.instances)
    collected = _collected(windows, i, len(side.replicas[0].block_starts))
    if collected is not None:
        return collected, "instances as collected"
    if all(one.name for one in side.replicas):
        seen = instances_seen(np.stack([completed(one) for one in side.replicas]))
        plural = "" if len(side.replicas) == 1 else "s"
        return seen, f"{len(side.replicas)} replica{plural} seen"
    if cost.discovered is not None:
        return cost.discovered, f"{cost.discovered:g} when the change was discovered"
    return None


def _collected(windows: Windows, i: int, blocks: int) -> Float64Array | None:
    """Mean instances per block from collected counts; a block without a count takes the mean."""
    sums, n = _samples(windows, INSTANCES, i)
    if sums is None or n is None or len(sums) != blocks or not n.any():
        return None
    mean = float(sums.sum() / n.sum())
    return np.asarray(np.where(n > 0, sums / np.maximum(n, 1), mean), dtype=np.float64)


def _serverless(windows: Windows, comparison: Comparison, i: int, cost: SideCost) -> Spent | None:
    """Billed by the second that requests run, times the memory."""
    assert cost.usd_per_gb_second is not None  # noqa: S101 - `_serverless_price` has looked
    side = (comparison.baseline, comparison.candidate)[i]
    ran, _ = _samples(windows, MODEL_TIME, i)
    done = np.sum([completed(one) for one in side.replicas], axis=0)
    if ran is None or len(ran) != len(done):
        ran = np.sum([s.sums for one in side.replicas for s in one.segments.values()], axis=0)
    usd = cost.usd_per_gb_second * (cost.memory_gb or 0.0) * np.asarray(ran, dtype=np.float64)
    seconds = side.replicas[0].block_seconds * len(done)
    return Spent(Spending(usd, done, seconds), (), None, f"{cost.source}; by the second")


def _by_tokens(windows: Windows, comparison: Comparison, i: int, cost: SideCost) -> Spent | None:
    """Billed by the token; None where priced input or output was not recorded.

    Of a cache nothing is recorded where none is used.
    """
    side = (comparison.baseline, comparison.candidate)[i]
    done = np.sum([completed(one) for one in side.replicas], axis=0)
    usd, known = np.zeros(len(done)), []
    for metric, price in cost.usd_per_million:
        tokens, _ = _samples(windows, metric, i)
        if tokens is not None and len(tokens) == len(done) and tokens.any():
            usd += tokens * price / 1e6
            known.append(metric.replace("_", " "))
        elif metric in {INPUT_TOKENS, OUTPUT_TOKENS}:
            return None
    seconds = side.replicas[0].block_seconds * len(done)
    return Spent(Spending(usd, done, seconds), (), None, f"{cost.source}; {', '.join(known)}")


def _samples(
    windows: Windows, metric: str, i: int
) -> tuple[Float64Array | None, Float64Array | None]:
    """Sums and numbers of samples of a metric of one side per block."""
    found = windows.comparison(metric)
    if found is None:
        return None, None
    side = (found.baseline, found.candidate)[i]
    series: list[BlockSeries] = [s for one in side.replicas for s in one.segments.values()]
    if not series or not side.replicas[0].block_starts.size:
        return None, None
    n = np.sum([one.histograms.n for one in series], axis=0).astype(np.float64)
    return np.sum([one.sums for one in series], axis=0), n


def _per_million_tokens(windows: Windows, both: tuple[Spent, Spent]) -> tuple[float, float] | None:
    found = []
    counted = windows.comparison(OUTPUT_TOKENS)
    if counted is None:
        return None
    for side, one in zip((counted.baseline, counted.candidate), both, strict=True):
        total = sum(float(s.sums.sum()) for r in side.replicas for s in r.segments.values())
        if total <= 0:
            return None
        found.append(float(one.whole.usd.sum()) / total * 1e6)
    return found[0], found[1]


def _together(units: tuple[Spending, ...]) -> Spending:
    return Spending(
        np.sum([one.usd for one in units], axis=0),
        np.sum([one.requests for one in units], axis=0),
        sum(one.seconds for one in units),
    )


def _priced(cost: SideCost) -> bool:
    return bool(cost.usd_per_hour) or _serverless_price(cost) or bool(cost.usd_per_million)


def _serverless_price(cost: SideCost) -> bool:
    return bool(cost.usd_per_gb_second) and bool(cost.memory_gb)


def _unpriced(role: str, side: Side, cost: SideCost) -> str:
    return _role(role, side) + (f" ({cost.source})" if cost.source else "")


def _role(role: str, side: Side) -> str:
    return f"the {role} ({side.label})"
