"""`nibai plan`: how long claims must be watched, from assumptions or what the lake measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nibai.app.plan_pairs import NAMED, PairsPlan, change_of_kinds, plan_pairs
from nibai.claims import parse, print_claim
from nibai.document import encode
from nibai.errors import UsageError
from nibai.histogram import BlockHistograms, merge
from nibai.model import Change, Claim, Promise, Window
from nibai.stats.clock import DAY, DAY_TOLERANCE, plan_blocks
from nibai.stats.planning import (
    HistoryPlan,
    Noise,
    WindowPlan,
    inflation,
    needed_requests,
    plan_history,
    plan_runs,
    plan_window,
)
from nibai.stats.ratio import paired
from nibai.stats.verdict import faster_threshold, no_slower_threshold
from nibai.store.series.blocks import Blocks, Engine

SCHEMA = "nibai.plan/1"

HEADROOM = 1.1
"""Without --effect a speed-up is assumed to be this much better than what is claimed."""

RUN_SPREAD = 0.05

UNKNOWN = change_of_kinds(())

_PAIRS_ASSUMED = (
    "pairs: of distinct, independent inputs; a noise floor measured as 0; intervals for any look",
)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the user says of the change and of the traffic; None where nothing was said."""

    rate: float | None = None
    effect: float | None = None
    deff: float | None = None
    log_spread: float | None = None
    run_spread: float | None = None


@dataclass(frozen=True, slots=True)
class PartPlan:
    """What one part of a claim needs, per side.

    `needed` and `expected` are ratios baseline/candidate. `requests` is the fewest with which the
    quantile has a bound, `floor` the fewest with which it is judged at all. `reason` says why there
    is no plan, or none for a live window. `pairs` is the plan of a claim about predictions.
    """

    claim: str
    needed: float | None
    expected: float | None
    requests: int | None = None
    floor: int | None = None
    window: WindowPlan | None = None
    history: HistoryPlan | None = None
    runs: int | None = None
    reason: str | None = None
    pairs: PairsPlan | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of several sentences; `rate`: requests a minute and side, None if not needed."""

    sentences: tuple[str, ...]
    rate: float | None
    parts: tuple[PartPlan, ...]
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What an endpoint's last two comparable windows say: intervals and traffic."""

    half_widths: dict[float, float]
    hours: float
    rate: float


def make_plan(
    sentences: Sequence[str],
    assumed: Assumed,
    measured: Measured | None = None,
    change: Change = UNKNOWN,
) -> Plan:
    """The plan of claim sentences; UsageError when neither a rate is given nor measured.

    `change` lends its kinds: they set the margins of claims about predictions.
    """
    rate = assumed.rate if assumed.rate is not None or measured is None else measured.rate
    claims = [part for text in sentences for part in parse(text).parts]
    speed = [claim for claim in claims if claim.promise not in NAMED]
    if not speed:
        parts = tuple(_part(claim, 0.0, Noise(), assumed, change) for claim in claims)
        return Plan(tuple(sentences), rate, parts, _PAIRS_ASSUMED)
    if rate is None:
        raise UsageError("no rate: give --rate (requests a minute), or --endpoint to measure it")
    noise = Noise(deff=assumed.deff)
    if assumed.log_spread is not None:
        noise = replace(noise, log_spread=assumed.log_spread)
    if measured is not None and assumed.deff is None:
        noise = replace(noise, measured=measured.half_widths, measured_hours=measured.hours)
    parts = tuple(_part(claim, rate, noise, assumed, change) for claim in claims)
    said = _assumptions(speed, rate, noise, assumed)
    more = _PAIRS_ASSUMED if len(speed) < len(claims) else ()
    return Plan(tuple(sentences), rate, parts, (*said, *more))


def plan_document(plan: Plan) -> dict[str, object]:
    """The plan as plain data; half-widths are log2."""
    return {"schema": SCHEMA, **encode(plan)}


def measure(engine: Engine, endpoint: str, variant: str | None, claims: Sequence[str]) -> Measured:
    """Interval widths of the last day against the day before, and the rate of the last day."""
    parts = [part for text in claims for part in parse(text).parts]
    metrics = sorted({part.metric for part in parts})
    if len(metrics) != 1:
        raise UsageError(f"--endpoint measures one metric at a time, not {', '.join(metrics)}")
    spans = [
        span
        for span in engine.spans(endpoint, metrics[0])
        if variant is None or span.variant == variant
    ]
    if not spans:
        raise UsageError(
            f"no {metrics[0]} of {endpoint} in the lake: see nibai lake info, or plan with --rate"
        )
    end = (max(span.last_minute for span in spans) + 1) * 60.0
    if min(span.first_minute for span in spans) * 60.0 > end - (2 - DAY_TOLERANCE) * DAY:
        raise UsageError(f"{endpoint} has less than two days in the lake: plan with --rate instead")
    days = [Window(end - 2 * DAY, end - DAY), Window(end - DAY, end)]
    blocks = plan_blocks(*days).blocks
    sides = [
        merge(engine.pooled(endpoint, metrics[0], variant, Blocks(day, blocks)).values())
        for day in days
    ]
    return Measured(_half_widths(sides, parts), DAY / 3600, float(sides[1].n.sum()) / (DAY / 60))


def _half_widths(sides: Sequence[BlockHistograms], parts: Sequence[Claim]) -> dict[float, float]:
    quantiles = sorted({part.quantile for part in parts if part.quantile is not None})
    pair = paired(sides[0], sides[1])
    return {found.p: (found.high - found.low) / 2 for found in pair.intervals(quantiles)}


# -- one part ---------------------------------------------------------------------------------


def _part(claim: Claim, rate: float, noise: Noise, assumed: Assumed, change: Change) -> PartPlan:
    text = print_claim(claim)
    if claim.promise in NAMED:
        return PartPlan(text, None, None, pairs=plan_pairs(change, claim))
    if claim.promise not in (Promise.FASTER, Promise.NO_SLOWER) or claim.quantile is None:
        return PartPlan(text, None, None, reason="only speed claims are planned")
    p = claim.quantile
    threshold, effect = _aim(claim, assumed)
    distance = abs(math.log2(effect) - threshold)
    known = PartPlan(text, 2.0**threshold, effect)
    if distance < 1e-9:  # noqa: PLR2004 - equal but for rounding
        return replace(
            known,
            reason="the claim equals the expected effect, which no window decides: allow a margin "
            "(“within 5%”) or expect another effect (--effect)",
        )
    window = plan_window(p, distance, rate, noise)
    spread = RUN_SPREAD if assumed.run_spread is None else assumed.run_spread
    return replace(
        known,
        requests=needed_requests(p, rate, noise),
        floor=needed_requests(p, 0.0, replace(noise, deff=1.0)),
        window=window,
        history=None if window is None else plan_history(window.hours),
        runs=plan_runs(distance, spread),
        reason=None if window is not None else "28 days on each side do not decide it",
    )


def _aim(claim: Claim, assumed: Assumed) -> tuple[float, float]:
    """(log2 ratio that must be reached, ratio that is expected)."""
    if claim.promise is Promise.FASTER:
        threshold = faster_threshold(claim.amount, claim.margin)
        return threshold, assumed.effect or HEADROOM * claim.amount
    return no_slower_threshold(claim.amount, claim.margin), assumed.effect or 1.0


# -- what was assumed ---------------------------------------------------------------------------


def _assumptions(
    claims: Sequence[Claim], rate: float, noise: Noise, assumed: Assumed
) -> tuple[str, ...]:
    said = [
        "80 % power, 95 % intervals, the same hours on both sides, a step over the whole window",
        _effect(claims, assumed),
        *_noise(claims, rate, noise),
        "windows under 6 h: the critical value of a calm history of 20 windows",
        f"runs: {100 * (assumed.run_spread or RUN_SPREAD):g} % apart (standard deviation of a "
        "run's quantile), not matched" + (" (--run-spread)" if assumed.run_spread is None else ""),
    ]
    return tuple(line for line in said if line)


def _effect(claims: Sequence[Claim], assumed: Assumed) -> str:
    if assumed.effect is not None:
        return f"true speed-up {assumed.effect:g}x at every quantile"
    promises = {claim.promise for claim in claims}
    said = []
    if Promise.FASTER in promises:
        said.append("the true speed-up is 10 % more than claimed")
    if Promise.NO_SLOWER in promises:
        said.append("what must not get slower stays as it is")
    return ", ".join(said) + " (--effect)" if said else ""


def _noise(claims: Sequence[Claim], rate: float, noise: Noise) -> list[str]:
    if noise.measured is not None:
        return ["noise: as in the endpoint's last two days; widths shrink with the root of time"]
    spread = f"latencies: log-normal, standard deviation of the log {noise.log_spread:g}"
    if noise.deff is not None:
        return [spread, f"one request in {noise.deff:g} is independent (--deff)"]
    quantiles = sorted({claim.quantile for claim in claims if claim.quantile is not None})
    each = ", ".join(f"{inflation(p, rate, noise):.1f} at p{100 * p:g}" for p in quantiles)
    simulated = f"noise with a memory of 10 minutes as simulated: one independent request in {each}"
    return [f"{spread} (--log-spread)", f"{simulated} (--deff, or --endpoint to measure)"]
