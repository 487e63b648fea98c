"""How every rendering of a fleet audit says the same things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dashboards import phrases
from nibai.fleet import EndpointResult, FleetAudit, Share
from nibai.model import ReasonCode, Verdict

SHOWN = 10
"""Endpoints at either end of the order that the tables show; JSON holds all of them."""

HEAD = ("endpoint", "part", "measured", "interval", "traffic", "adjusted p", "verdict")


def question(audit: FleetAudit) -> str:
    """What was claimed, the first sentence in full."""
    if len(audit.claims) == 1:
        return f"“{audit.claims[0]}”"
    more = len(audit.claims) - 1
    return f"“{audit.claims[0]}” and {more} more claim{'s' if more > 1 else ''}"


def tally(audit: FleetAudit) -> list[tuple[Verdict, Share]]:
    """Every verdict with its share."""
    return [
        (Verdict.CONFIRMED, audit.confirmed),
        (Verdict.REFUTED, audit.refuted),
        (Verdict.INCONCLUSIVE, audit.undecided),
        (Verdict.NOT_COMPARABLE, audit.not_comparable),
    ]


def truth(audit: FleetAudit) -> str:
    """What can be said of the true shares."""
    endpoints, traffic = audit.true_endpoints, audit.true_traffic
    return (
        f"Really got it: between {endpoints.low:.1%} and {endpoints.high:.1%} of endpoints, "
        f"{traffic.low:.1%} and {traffic.high:.1%} of traffic ({endpoints.level:.0%} sure of each)"
    )


def controlled(audit: FleetAudit) -> list[str]:
    """Which error rate is held, and on what assumption."""
    if audit.continuous:
        return _controlled_continuously(audit)
    method, needs = (
        ("Benjamini-Yekutieli", "however endpoints depend on each other")
        if audit.any_dependence
        else ("Benjamini-Hochberg", "endpoints independent or moving together")
    )
    rate = (
        f"at most {audit.q:.1%} of the confirmed and {audit.q:.1%} of the refuted are expected to "
        f"be wrong ({method}: {needs})"
    )
    lines = [rate, "confirmed and refuted are only endpoints whose own audit says the same"]
    if audit.correlation > 0:
        lines.append(
            f"neighbouring blocks correlate by up to {audit.correlation:.2f} in this fleet: "
            "small p-values were raised for it"
        )
    return lines


def _controlled_continuously(audit: FleetAudit) -> list[str]:
    endpoints = len(audit.endpoints)
    rate = (
        f"continuous mode: at this look, as at every other, at most {audit.q:.1%} of the confirmed "
        f"and {audit.q:.1%} of the refuted are expected to be wrong (e-BH: however endpoints "
        "depend on each other)"
    )
    rule = (
        f"k endpoints are confirmed (or refuted) together when the evidence E of each is at least "
        f"{endpoints / audit.q:,.0f}/k; the adjusted p is {endpoints:,}/(k E)"
    )
    return [rate, rule, "confirmed and refuted are only endpoints whose own watch says the same"]


def reasons(audit: FleetAudit) -> list[str]:
    """Why endpoints are undecided or not comparable, the most frequent first, with an example."""
    open_ = [r for r in audit.endpoints if r.verdict not in (Verdict.CONFIRMED, Verdict.REFUTED)]
    counts = Counter(result.reason.code for result in open_)
    lines = []
    for code, count in counts.most_common():
        example = next(result for result in open_ if result.reason.code is code)
        told = f"{example.endpoint}: {example.reason.text}"
        lines.append(f"{count:,} {_reason(code)}, such as {told}")
    return lines


def extremes(audit: FleetAudit) -> tuple[list[EndpointResult], list[EndpointResult]]:
    """The endpoints furthest below and furthest above what was claimed, none in both."""
    ordered = sorted(
        (result for result in audit.endpoints if _distance(result) is not None),
        key=lambda result: (_distance(result) or 0.0, result.endpoint),
    )
    worst = ordered[: min(SHOWN, (len(ordered) + 1) // 2)]
    return worst, ordered[len(worst) :][: -SHOWN - 1 : -1]


def row(result: EndpointResult) -> list[str]:
    """The cells of one endpoint under `HEAD`."""
    part = result.parts[result.decisive] if result.parts else None
    adjusted = {
        Verdict.CONFIRMED: result.adjusted_confirm,
        Verdict.REFUTED: result.adjusted_refute,
    }.get(result.alone)
    return [
        result.endpoint,
        "–" if part is None else part.claim,
        "–" if part is None else phrases.estimated(part.estimate, part.promise),
        "–" if part is None else phrases.bounds(part.estimate, part.promise),
        f"{result.traffic:.3g}/s",
        "–" if adjusted is None else small(adjusted),
        f"{phrases.MARKS[result.verdict]} {phrases.WORDS[result.verdict]}",
    ]


def small(p: float) -> str:
    """A p-value as people read it.

    >>> small(0.0312), small(1e-9)
    ('0.031', '< 0.0001')
    """
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"  # noqa: PLR2004 - four decimals


def drawn(audit: FleetAudit, most: int) -> Sequence[EndpointResult]:
    """Endpoints in order of what was measured, thinned evenly to at most so many."""
    found = [result for result in audit.endpoints if _distance(result) is not None]
    found.sort(key=lambda result: (_distance(result) or 0.0, result.endpoint))
    step = -(-len(found) // most) if found else 1
    return found[::step]


def _reason(code: ReasonCode) -> str:
    if code is ReasonCode.FLEET_LEVEL:
        return "sure enough alone, not among so many"
    return code.value.replace("_", " ")


def _distance(result: EndpointResult) -> float | None:
    return result.parts[result.decisive].distance if result.parts else None
