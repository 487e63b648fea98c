"""Pending, firing, resolved: what rules make of standings. Pure; the time is the round's.

- A refuted claim fires; time never promotes a claim that is undecided. It does not resolve because
  a window looked better: only because a newer change came, or the claim was taken back, or 7 days
  passed.
- An undecided claim is silent until its deadline. What the anytime-valid path has decided stays.
- An alert is found again by its labels; what was resolved for good does not fire again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from alerts import facts
from alerts.figures import one_line
from alerts.rules.matching import change_matches, sentence_matches
from alerts.rules.ruleset import ClaimRule, Loudness, Quiet
from nibai.claims import claim_name
from nibai.model import (
    Alert,
    AlertState,
    Claim,
    CollectorStanding,
    Finding,
    Promise,
    Resolution,
    Round,
    Standing,
    Verdict,
)

EXPIRES_SECONDS = 7 * 86400.0
MISSING_SECONDS = 3600.0
"""A look that fails or is interrupted leaves claims out; only one that stays away is withdrawn."""

REOPENING = (Resolution.DATA_RETURNED, Resolution.WITHDRAWN)
"""Why an alert may have been resolved and yet fire again."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """How an alert would stand if there were no past; its `facts` are only put into words if told.

    `ended`: why it must not fire any more. `clears`: why one that fires is over; None: it goes on,
    even if it would not begin now.
    """

    alert: Alert
    facts: Callable[[], Mapping[str, str]]
    state: AlertState | None
    ended: Resolution | None = None
    clears: Resolution | None = None


def advance(
    rules: Sequence[ClaimRule], quiet: Quiet | None, known: Iterable[Alert], seen: Round
) -> list[Alert]:
    """Alerts that are new or stand differently after a round; the same round again changes nothing.

    The first rule that is about a sentence has it.
    """
    before = {alert.fingerprint: alert for alert in known}
    after: dict[str, Alert] = {}
    for wish in (*_claims(rules, seen), *_collectors(quiet, seen)):
        fingerprint = wish.alert.fingerprint
        found = _step(before.get(fingerprint), wish, seen.at)
        if found is not None:
            after[fingerprint] = replace(found, missing_since=None)
    for fingerprint, alert in before.items():
        unseen = alert.labels.get("change") in seen.unseen
        if fingerprint not in after and not unseen and alert.state is not AlertState.RESOLVED:
            after[fingerprint] = _missing(alert, seen.at)
    return [alert for fingerprint, alert in after.items() if alert != before.get(fingerprint)]


def forgotten(known: Iterable[Alert], seen: Round) -> list[str]:
    """Fingerprints of alerts resolved long ago whose change is no longer followed."""
    followed = {standing.change.id for standing in seen.standings} | seen.unseen
    return [
        alert.fingerprint
        for alert in known
        if alert.state is AlertState.RESOLVED
        and alert.labels.get("change") not in followed
        and seen.at - alert.changed_at > EXPIRES_SECONDS
    ]


# -- one alert ------------------------------------------------------------------------------


def _step(before: Alert | None, wish: _Wish, at: float) -> Alert | None:
    if before is None or before.state is AlertState.RESOLVED:
        return _begun(before, wish, at)
    if before.state is AlertState.PENDING:
        return _from_pending(before, wish, at)
    return _from_firing(before, wish, at)


def _begun(before: Alert | None, wish: _Wish, at: float) -> Alert | None:
    final = (
        before is not None and before.fired_at is not None and before.resolution not in REOPENING
    )
    if final or wish.ended is not None or wish.state is None:
        return before
    fired = at if wish.state is AlertState.FIRING else None
    return replace(
        wish.alert,
        state=wish.state,
        since=at,
        changed_at=at,
        fired_at=fired,
        annotations=wish.facts(),
    )


def _from_pending(before: Alert, wish: _Wish, at: float) -> Alert:
    if wish.ended is not None or wish.state is None:
        return _resolved(before, wish.ended or Resolution.DECIDED, at)
    if wish.state is AlertState.FIRING:
        return replace(
            before,
            state=AlertState.FIRING,
            changed_at=at,
            fired_at=at,
            annotations=wish.facts(),
        )
    return replace(before, annotations=wish.facts())


def _from_firing(before: Alert, wish: _Wish, at: float) -> Alert:
    over = wish.ended or wish.clears
    if over is not None:
        return _resolved(replace(before, annotations=wish.facts()), over, at)
    if "change" in before.labels and at - (before.fired_at or at) >= EXPIRES_SECONDS:
        return _resolved(before, Resolution.EXPIRED, at)
    # What it says stays what made it fire: later looks of a decided claim do not reword it.
    return before


def _missing(alert: Alert, at: float) -> Alert:
    since = at if alert.missing_since is None else alert.missing_since
    if at - since >= MISSING_SECONDS:
        return _resolved(alert, Resolution.WITHDRAWN, at)
    return replace(alert, missing_since=since)


def _resolved(alert: Alert, why: Resolution, at: float) -> Alert:
    return replace(alert, state=AlertState.RESOLVED, resolution=why, changed_at=at)


# -- claims ---------------------------------------------------------------------------------


def _claims(rules: Sequence[ClaimRule], seen: Round) -> Iterable[_Wish]:
    quiet = any(one.quiet_since is not None for one in seen.collectors)
    for standing in seen.standings:
        for rule in rules:
            if change_matches(rule, standing.change) and sentence_matches(rule, standing.sentence):
                yield from _claim(rule, standing, seen.at, quiet=quiet)
                break


def _claim(rule: ClaimRule, standing: Standing, at: float, *, quiet: bool) -> Iterable[_Wish]:
    ended = _ended(standing)
    verdict = _verdict(rule, standing)
    undecided = verdict is Verdict.INCONCLUSIVE
    late = at - (standing.watched_since + rule.deadline)
    absent = standing.no_data_since is not None
    told = rule.alert

    def wish(
        name: str, loud: Loudness, state: AlertState | None, clears: Resolution | None
    ) -> _Wish:
        said = functools.partial(facts.claim_facts, name, rule, standing)
        return _Wish(_alert(name, rule, standing, loud, at), said, state, ended, clears)

    if told.refuted:
        state = None
        if verdict is Verdict.REFUTED and at - (standing.decided_at or at) < EXPIRES_SECONDS:
            state = AlertState.FIRING
        elif undecided and any(_falls_short(finding) for finding in standing.findings):
            state = AlertState.PENDING
        yield wish(facts.REFUTED, told.refuted, state, None)
    due = AlertState.FIRING if undecided and 0 <= late < EXPIRES_SECONDS else None
    decided = None if undecided else Resolution.DECIDED
    if told.inconclusive:
        yield wish(facts.UNDECIDED, told.inconclusive, None if absent else due, decided)
    if told.no_data:
        # A quiet collector is told once, not again for each of its endpoints.
        state = due if absent and not quiet else None
        returned = None if absent else Resolution.DATA_RETURNED
        yield wish(facts.NO_DATA, told.no_data, state, decided or returned)


def _alert(name: str, rule: ClaimRule, standing: Standing, loud: Loudness, at: float) -> Alert:
    change = standing.change
    labels = {
        "alertname": name,
        "endpoint": change.endpoint,
        "change": change.id,
        "claim": claim_name(standing.sentence) if rule.sentence is None else rule.name,
        "severity": loud.severity.value,
    }
    if change.candidate_variant is not None:
        labels["variant"] = change.candidate_variant
    segments = {part.segment for part in standing.sentence.parts}
    only = next(iter(segments)) if len(segments) == 1 else None
    if only is not None:
        labels["segment"] = "=".join(only)
    labels = {key: one_line(value) for key, value in labels.items()}
    return Alert(labels, AlertState.PENDING, loud.severity, at, at)


def _ended(standing: Standing) -> Resolution | None:
    if standing.rolled_back:
        return Resolution.ROLLED_BACK
    return None if standing.superseded_by is None else Resolution.SUPERSEDED


def _verdict(rule: ClaimRule, standing: Standing) -> Verdict:
    """The verdict at the rule's level: one that is reached at a lower level is undecided."""
    if rule.level <= standing.level or standing.verdict is not Verdict.REFUTED:
        return standing.verdict
    needed = -math.log(1 - rule.level)
    strong = any(
        f.verdict is Verdict.REFUTED and (f.evidence.log_e_value or 0.0) >= needed
        for f in standing.findings
    )
    return Verdict.REFUTED if strong else Verdict.INCONCLUSIVE


def _falls_short(finding: Finding) -> bool:
    """Whether the estimate alone contradicts the claim by more than its margin."""
    value = None if finding.estimate is None else finding.estimate.value
    return value is not None and _SHORT[finding.claim.promise](value, finding.claim)


def _below(value: float, claim: Claim) -> bool:
    return value < claim.amount * (1 - claim.margin)


def _fallen(value: float, claim: Claim) -> bool:
    return -value > claim.amount + claim.margin


def _moved(value: float, claim: Claim) -> bool:
    return value > claim.amount + claim.margin


_SHORT: Mapping[Promise, Callable[[float, Claim], bool]] = {
    Promise.FASTER: _below,
    Promise.THROUGHPUT: _below,
    Promise.CHEAPER: _below,
    Promise.NO_SLOWER: lambda value, claim: value < 1 / (1 + claim.amount + claim.margin),
    Promise.COST_AT_MOST: lambda value, claim: value < 1 / (claim.amount * (1 + claim.margin)),
    Promise.ERRORS: _moved,
    Promise.ACCURACY: _fallen,
    Promise.SAME_JSON_VALIDITY: _fallen,
    Promise.SAME_PREDICTIONS: _moved,
    Promise.SAME_OUTPUT_MIX: _moved,
}


# -- collectors -----------------------------------------------------------------------------


def _collectors(quiet: Quiet | None, seen: Round) -> Iterable[_Wish]:
    if quiet is None:
        return
    for standing in seen.collectors:
        since = standing.quiet_since
        # What collectors hold is newer than the look: without `after` there is nothing to wait for.
        silent = since is not None and (not quiet.after or seen.at - since >= quiet.after)
        yield _Wish(
            _collector_alert(quiet, standing, seen.at),
            functools.partial(facts.collector_facts, standing),
            AlertState.FIRING if silent else None,
            clears=Resolution.DATA_RETURNED if since is None else None,
        )


def _collector_alert(quiet: Quiet, standing: CollectorStanding, at: float) -> Alert:
    labels: Mapping[str, str] = {
        "alertname": facts.QUIET,
        "collector": one_line(standing.collector),
        "severity": quiet.severity.value,
    }
    return Alert(labels, AlertState.PENDING, quiet.severity, at, at)
