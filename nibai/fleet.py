"""Many endpoints, one promise: who got it, with the share of wrong answers kept in hand.

Pure: the findings of every endpoint go in, a `FleetAudit` comes out. An endpoint's hypothesis is
that everything claimed of it holds. The fleet confirms (refutes) only what the endpoint's own audit
confirms (refutes) and Benjamini-Hochberg at `q` keeps, separately for the two directions; in the
continuous mode p-values are 1/e, which makes it e-BH.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nibai.claims import print_claim
from nibai.model import Estimate, Finding, Promise, Reason, ReasonCode, Verdict
from nibai.stats.block_tails import lifted, typical_correlation
from nibai.stats.multiplicity import adjusted, harmonic, largest_true
from nibai.stats.verdict import Part, conjunction

TESTED = frozenset(
    {
        ReasonCode.MEETS_CLAIM,
        ReasonCode.FALLS_SHORT,
        ReasonCode.INTERVAL_STRADDLES,
        ReasonCode.PRACTICALLY_UNDECIDABLE,
        ReasonCode.TOO_FEW_TAIL_EPISODES,
    }
)
"""Reasons under which a finding's p-values may be used; a gate makes them 1."""

DEFAULT_Q = 0.05


@dataclass(frozen=True, slots=True)
class PartResult:
    """One part of what was claimed of an endpoint; p-values are 1 where a gate forbids a verdict.

    `distance` is how far the estimate lies beyond what was claimed (log2 of a ratio, or a
    difference of shares), negative when short of it. `blocks` and `variance_factor` are None where
    runs, not blocks of time, decided; watched blocks have no factor.
    """

    claim: str
    promise: Promise
    verdict: Verdict
    estimate: Estimate | None
    distance: float | None
    p_confirm: float
    p_refute: float
    blocks: int | None = None
    variance_factor: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """What one endpoint's audit says, alone and within the fleet.

    `traffic` is in requests per second over both windows, `requests` (baseline, candidate).
    `decisive` is the position of the part that `reason` speaks of. The adjusted p-values are those
    of Benjamini-Hochberg over the fleet: `verdict` follows from them.
    """

    endpoint: str
    change: str
    traffic: float
    requests: tuple[int, int]
    alone: Verdict
    verdict: Verdict
    reason: Reason
    parts: tuple[PartResult, ...]
    decisive: int = 0
    p_confirm: float = 1.0
    p_refute: float = 1.0
    adjusted_confirm: float = 1.0
    adjusted_refute: float = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the fleet: a number of endpoints, their share, and their share of traffic."""

    endpoints: int
    share: float
    traffic: float


@dataclass(frozen=True, slots=True)
class ShareBounds:
    """The true share of endpoints (or of traffic) that got what was claimed, at `level`."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class FleetAudit:
    """One claim on many endpoints at one time; immutable once stored.

    `q`: false discovery rate among the confirmed and, separately, among the refuted.
    `correlation` between neighbouring blocks is what the far tail of p-values was lifted for.
    `continuous`: one look at watched changes, decided by e-BH; p-values are 1/e.
    """

    id: str
    created_at: float
    claims: tuple[str, ...]
    scope: str
    verdict: Verdict
    reason: str
    endpoints: tuple[EndpointResult, ...]
    confirmed: Share
    refuted: Share
    undecided: Share
    not_comparable: Share
    true_endpoints: ShareBounds
    true_traffic: ShareBounds
    q: float
    any_dependence: bool
    correlation: float
    level: float
    notes: tuple[str, ...] = ()
    nibai_version: str = ""
    continuous: bool = False


def endpoint_result(
    endpoint: str,
    change: str,
    findings: Sequence[Finding],
    traffic: float,
    requests: tuple[int, int],
) -> EndpointResult:
    """An endpoint as the fleet sees it: all parts of all claims are one conjunction."""
    decision = conjunction([Part(f.verdict, f.evidence.p_refute) for f in findings])
    parts = tuple(_part(finding) for finding in findings)
    weakest = max(range(len(parts)), key=lambda i: parts[i].p_confirm, default=0)
    decisive = weakest if decision.part is None else decision.part
    reason = findings[decisive].reason
    if decision.verdict is Verdict.INCONCLUSIVE and findings[decisive].verdict is Verdict.REFUTED:
        text = f"{reason.text}, but not surely enough among {len(parts)} parts"
        reason = Reason(ReasonCode.INTERVAL_STRADDLES, text)
    return EndpointResult(
        endpoint, change, traffic, requests, decision.verdict, decision.verdict, reason, parts,
        decisive,
    )  # fmt: skip


def _part(finding: Finding) -> PartResult:
    evidence = finding.evidence
    tested = finding.reason.code in TESTED
    p = [1.0 if p is None or not tested else p for p in (evidence.p_confirm, evidence.p_refute)]
    return PartResult(
        print_claim(finding.claim),
        finding.claim.promise,
        finding.verdict,
        finding.estimate,
        _distance(finding),
        p[0],
        p[1],
        evidence.blocks,
        evidence.variance_factor,
    )


def _distance(finding: Finding) -> float | None:
    value = finding.estimate.value if finding.estimate is not None else None
    threshold = finding.evidence.threshold
    if value is None or threshold is None:
        return None
    if finding.claim.promise is Promise.ERRORS:
        return threshold - value
    return math.log2(value / threshold) if value > 0 else None


def fleet_audit(
    results: Sequence[EndpointResult],
    *,
    audit_id: str,
    created_at: float,
    claims: Sequence[str],
    scope: str,
    version: str,
    q: float = DEFAULT_Q,
    level: float = 0.95,
    any_dependence: bool = False,
    notes: Sequence[str] = (),
    continuous: bool = False,
) -> FleetAudit:
    """Decide over all endpoints together; `continuous`: p-values of endpoints are there, as 1/e."""
    correlation = 0.0 if continuous else _correlation(results)
    judged = results if continuous else _with_p_values(results, correlation)
    decided = _decide(judged, q, any_dependence=any_dependence)
    traffic = sum(result.traffic for result in decided)
    shares = {
        verdict: _share([r for r in decided if r.verdict is verdict], len(decided), traffic)
        for verdict in Verdict
    }
    bounds = [
        _bounds(decided, weights, level, any_dependence=any_dependence)
        for weights in ([1.0] * len(decided), [result.traffic for result in decided])
    ]
    verdict = _verdict([result.verdict for result in decided])
    return FleetAudit(
        id=audit_id,
        created_at=created_at,
        claims=tuple(claims),
        scope=scope,
        verdict=verdict,
        reason=_reason(shares, len(decided)),
        endpoints=tuple(decided),
        confirmed=shares[Verdict.CONFIRMED],
        refuted=shares[Verdict.REFUTED],
        undecided=shares[Verdict.INCONCLUSIVE],
        not_comparable=shares[Verdict.NOT_COMPARABLE],
        true_endpoints=bounds[0],
        true_traffic=bounds[1],
        q=q,
        any_dependence=any_dependence,
        correlation=correlation,
        level=level,
        notes=tuple(notes),
        nibai_version=version,
        continuous=continuous,
    )


def _correlation(results: Sequence[EndpointResult]) -> float:
    """What block correlation the fleet has to reckon with; 0 where runs decided everywhere."""
    found = [
        (part.variance_factor, part.blocks)
        for result in results
        for part in result.parts
        if part.variance_factor is not None and part.blocks
    ]
    if not found:
        return 0.0
    factors, blocks = zip(*found, strict=True)
    return typical_correlation(factors, float(np.median(blocks)))


def _with_p_values(results: Sequence[EndpointResult], correlation: float) -> list[EndpointResult]:
    """p-values of the conjunctions: the weakest part confirms, any part refutes (times parts)."""
    parts = [part for result in results for part in result.parts]
    by_blocks = np.array([part.variance_factor is not None for part in parts], dtype=np.bool_)
    confirm, refute = (
        np.where(by_blocks, lifted(p, correlation), p)
        for p in (
            np.array([part.p_confirm for part in parts]),
            np.array([part.p_refute for part in parts]),
        )
    )
    found, at = [], 0
    for result in results:
        mine = slice(at, at := at + len(result.parts))
        weakest = float(confirm[mine].max(initial=0.0 if result.parts else 1.0))
        smallest = float(refute[mine].min(initial=1.0))
        refuting = min(smallest * len(result.parts), 1.0) if result.parts else 1.0
        found.append(replace(result, p_confirm=weakest, p_refute=refuting))
    return found


def _decide(
    results: Sequence[EndpointResult], q: float, *, any_dependence: bool
) -> list[EndpointResult]:
    """Verdicts within the fleet: p-values count where the endpoint's own audit says the same."""
    confirm, refute = (
        adjusted(
            [p if r.alone is verdict else 1.0 for r, p in zip(results, values, strict=True)],
            any_dependence=any_dependence,
        )
        for verdict, values in (
            (Verdict.CONFIRMED, [r.p_confirm for r in results]),
            (Verdict.REFUTED, [r.p_refute for r in results]),
        )
    )
    return [
        _within(replace(r, adjusted_confirm=float(c), adjusted_refute=float(f)), q, len(results))
        for r, c, f in zip(results, confirm, refute, strict=True)
    ]


def _within(result: EndpointResult, q: float, endpoints: int) -> EndpointResult:
    own = {Verdict.CONFIRMED: result.adjusted_confirm, Verdict.REFUTED: result.adjusted_refute}
    p = own.get(result.alone, 0.0)
    if p <= q:
        return result
    text = f"{result.reason.text}; alone that is enough, among {endpoints:,} endpoints it is not"
    return replace(
        result, verdict=Verdict.INCONCLUSIVE, reason=Reason(ReasonCode.FLEET_LEVEL, text)
    )


def _share(results: Sequence[EndpointResult], endpoints: int, traffic: float) -> Share:
    mine = sum(result.traffic for result in results)
    return Share(
        len(results),
        len(results) / endpoints if endpoints else 0.0,
        mine / traffic if traffic else 0.0,
    )


def _bounds(
    results: Sequence[EndpointResult],
    weights: Sequence[float],
    level: float,
    *,
    any_dependence: bool,
) -> ShareBounds:
    """The share that truly got the claim: all less those that may not have, those that may have."""
    total = sum(weights)
    if not total:
        return ShareBounds(0.0, 1.0, level)
    alpha = (1 - level) / 2 / (harmonic(len(results)) if any_dependence else 1.0)
    not_got = largest_true([r.p_confirm for r in results], alpha, weights)
    got = largest_true([r.p_refute for r in results], alpha, weights)
    return ShareBounds(max((total - not_got) / total, 0.0), min(got / total, 1.0), level)


def _verdict(verdicts: Sequence[Verdict]) -> Verdict:
    found = set(verdicts)
    if found == {Verdict.CONFIRMED}:
        return Verdict.CONFIRMED
    if Verdict.CONFIRMED in found:
        return Verdict.PARTLY
    if Verdict.REFUTED in found:
        return Verdict.REFUTED
    return Verdict.NOT_COMPARABLE if found == {Verdict.NOT_COMPARABLE} else Verdict.INCONCLUSIVE


def _reason(shares: dict[Verdict, Share], endpoints: int) -> str:
    told = [
        (shares[Verdict.CONFIRMED], "confirmed"),
        (shares[Verdict.REFUTED], "refuted"),
        (shares[Verdict.INCONCLUSIVE], "undecided"),
        (shares[Verdict.NOT_COMPARABLE], "not comparable"),
    ]
    parts = [
        f"{word} {share.endpoints:,} ({share.share:.1%}, {share.traffic:.1%} of traffic)"
        for share, word in told
        if share.endpoints or word in ("confirmed", "refuted")
    ]
    return f"of {endpoints:,} endpoints: {', '.join(parts)}"
