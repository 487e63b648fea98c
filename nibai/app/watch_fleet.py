"""`nibai audit fleet --watching`: one look at every watched change, decided together by e-BH.

An endpoint's evidence is an e-value at the look, from tracks that go on after the endpoint's own
verdict (`nibai.app.watch_on`). For "confirmed" it speaks against "at least one part is not as
claimed" (the least of the parts' e-values), for "refuted" against "everything holds" (their mean).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import replace

import nibai
from nibai.app.audit import Desk
from nibai.app.fleet import FLEET, Progress, Selection, others_of, selected_changes
from nibai.app.watch import Watch
from nibai.app.watch_audit import finding_of
from nibai.app.watch_on import go_on
from nibai.app.watch_parts import Followed
from nibai.audit import unanswered
from nibai.fleet import DEFAULT_Q, EndpointResult, FleetAudit, endpoint_result, fleet_audit
from nibai.fleet_document import to_document
from nibai.model import Change, Finding, Reason, ReasonCode, Verdict
from nibai.stats.following import Track
from nibai.stats.multiplicity import log_e_intersection, log_e_union
from nibai.store.windows.disturbances import Disturbance

NOT_MEASURED = (
    "A/A rate: not measured; every change is watched block by block, and its evidence goes on "
    "after its own verdict, which stays"
)


def watch_fleet(
    desk: Desk,
    selection: Selection,
    claims: Sequence[str] = (),
    *,
    q: float = DEFAULT_Q,
    level: float = 0.95,
    progress: Progress = lambda _done, _all: None,
    audit_id: str | None = None,
) -> FleetAudit:
    """Look at the selected declared changes, decide over all of them together, store the audit.

    A change that nobody watched yet is watched from now on: its blocks since then are read now.
    """
    changes, notes = selected_changes(desk, selection, claims)
    others = others_of(desk, changes)
    now = desk.clock()
    results = []
    for change in changes:
        results.append(_looked(desk, change, level, others[change.endpoint], now))
        progress(len(results), len(changes))
    audit = fleet_audit(
        results,
        audit_id=audit_id or f"{FLEET}-{secrets.token_hex(4)}",
        created_at=now,
        claims=tuple(dict.fromkeys(s.text for change in changes for s in change.sentences)),
        scope=f"{selection.text}, watched block by block",
        version=nibai.__version__,
        q=q,
        level=level,
        notes=[*notes, NOT_MEASURED],
        continuous=True,
    )
    desk.state.put_audit(to_document(audit), audit.created_at)
    return audit


def _looked(
    desk: Desk, change: Change, level: float, others: Sequence[Disturbance], now: float
) -> EndpointResult:
    if change.runs:
        return _not_watched(change)
    watch = Watch(desk, change, level, others)
    watch.look(now)
    return watched_result(watch, go_on(watch, desk.state, now))


def _not_watched(change: Change) -> EndpointResult:
    reason = Reason(
        ReasonCode.FIXED_WINDOW_ONLY,
        f"change {change.id} was measured in runs: they are judged when they are over, "
        "audit it without --watching",
    )
    nothing = Verdict.INCONCLUSIVE
    return EndpointResult(change.endpoint, change.id, 0.0, (0, 0), nothing, nothing, reason, ())


def watched_result(watch: Watch, running: Sequence[Track | None]) -> EndpointResult:
    """An endpoint as its own watch decided it, with the evidence of the tracks that went on."""
    log_e = [(_log_e(track, above=True), _log_e(track, above=False)) for track in running]
    findings = [
        _finding(watch, part, track, e[0])
        for part, track, e in zip(watch.parts, running, log_e, strict=True)
    ]
    counts, rate = _traffic(running)
    result = endpoint_result(watch.change.endpoint, watch.change.id, findings, rate, counts)
    parts = tuple(
        replace(
            part,
            p_confirm=_inverse(e[0]),
            p_refute=_inverse(e[1]),
            blocks=None if track is None else track.sums.blocks,
        )
        for part, track, e in zip(result.parts, running, log_e, strict=True)
    )
    confirm = log_e_union([e[0] for e in log_e])
    refute = log_e_intersection([e[1] for e in log_e])
    return replace(
        result,
        parts=parts,
        p_confirm=_inverse(confirm),
        p_refute=_inverse(refute),
        reason=_with_evidence(result, confirm, refute),
    )


def _log_e(track: Track | None, *, above: bool) -> float:
    """Ln of a part's e-value at this look; a part that blocks cannot decide counts as zero."""
    if track is None or track.blind:
        return -math.inf
    return track.log_e_value(track.plan.threshold, above=above)


def _finding(watch: Watch, part: Followed, track: Track | None, log_e: float) -> Finding:
    """What the watch says; its frozen p-value against the claim goes on with the evidence."""
    if track is None and part.reason is None and not part.waiting:
        return unanswered(part.claim)
    found = finding_of(watch, part)
    if track is None:
        return found
    evidence = replace(found.evidence, p_confirm=_inverse(log_e), p_refute=track.p_refute)
    return replace(found, evidence=evidence)


def _with_evidence(result: EndpointResult, confirm: float, refute: float) -> Reason:
    """The reason of a verdict with the evidence that the fleet weighs."""
    log_e = {Verdict.CONFIRMED: confirm, Verdict.REFUTED: refute}.get(result.alone)
    if log_e is None:
        return result.reason
    return replace(result.reason, text=f"{result.reason.text}; by now E is {_evidence(log_e)}")


def _evidence(log_e: float) -> str:
    return "above 1,000,000" if log_e > math.log(1e6) else f"{math.exp(log_e):,.3g}"


def _inverse(log_e: float) -> float:
    """1/e as a p-value."""
    return min(1.0, math.exp(-log_e)) if log_e > 0 else 1.0


def _traffic(running: Sequence[Track | None]) -> tuple[tuple[int, int], float]:
    """Requests of (baseline, candidate) in the blocks read, and per second; the busiest part's."""
    tracks = [track for track in running if track is not None]
    track = max(tracks, key=lambda t: t.baseline.requests + t.candidate.requests, default=None)
    if track is None:
        return (0, 0), 0.0
    seconds = 2 * (track.sums.blocks + track.censored) * track.plan.block_seconds
    counts = track.baseline.requests, track.candidate.requests
    return counts, sum(counts) / seconds if seconds else 0.0
