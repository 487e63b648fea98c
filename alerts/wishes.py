"""How alerts would stand if there were no past: what rules wish for of one round. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from alerts import facts
from alerts.figures import one_line
from alerts.rules.matching import change_matches, sentence_matches
from alerts.rules.ruleset import ClaimRule, Detected, Loudness, Quiet
from nibai.claims import claim_name
from nibai.globs import matches
from nibai.model import (
    Alert,
    AlertState,
    Claim,
    CollectorStanding,
    Detection,
    Finding,
    Promise,
    Resolution,
    Round,
    Standing,
    Verdict,
)
from nibai.stats.verdict import refuted_level

EXPIRES_SECONDS = 7 * 86400.0
"""So long an alert about a change goes on, and so long after it a decision is still told."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How an alert would stand if there were no past; its `facts` are only put into words if told.

    `ended`: why it must not fire any more. `clears`: why one that fires is over; None: it goes on,
    even if it would not begin now.
    """

    alert: Alert
    facts: Callable[[], Mapping[str, str]]
    state: AlertState | None
    ended: Resolution | None = None
    clears: Resolution | None = None


def claims(rules: Sequence[ClaimRule], seen: Round) -> Iterable[Wish]:
    """What rules wish about the claims that were looked at; the first rule about one has it."""
    quiet = any(one.quiet for one in seen.collectors)
    for standing in seen.standings:
        for rule in rules:
            if change_matches(rule, standing.change) and sentence_matches(rule, standing.sentence):
                yield from _claim(rule, standing, seen.at, quiet=quiet)
                break


def _claim(rule: ClaimRule, standing: Standing, at: float, *, quiet: bool) -> Iterable[Wish]:
    ended = _ended(standing)
    verdict = _verdict(rule, standing)
    undecided = verdict is Verdict.INCONCLUSIVE
    late = at - (standing.watched_since + rule.deadline)
    absent = standing.no_data_since is not None
    told = rule.alert

    def wish(
        name: str, loud: Loudness, state: AlertState | None, clears: Resolution | None
    ) -> Wish:
        said = functools.partial(facts.claim_facts, name, rule, standing)
        return Wish(_alert(name, rule, standing, loud, at), said, state, ended, clears)

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
    if standing.verdict is not Verdict.REFUTED:
        return standing.verdict
    reached = refuted_level(standing.sentence, standing.findings, standing.level)
    return Verdict.REFUTED if rule.level <= reached else Verdict.INCONCLUSIVE


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


def collectors(quiet: Quiet | None, seen: Round) -> Iterable[Wish]:
    """What is wished about collectors: the dead man's switch."""
    if quiet is None:
        return
    for standing in seen.collectors:
        since = standing.quiet_since
        # What collectors hold is newer than the look: without `after` there is nothing to wait for.
        stale = since is not None and (not quiet.after or seen.at - since >= quiet.after)
        silent = stale or standing.unsent_since is not None
        yield Wish(
            _collector_alert(quiet, standing, seen.at),
            functools.partial(facts.collector_facts, standing),
            AlertState.FIRING if silent else None,
            clears=None if standing.quiet else Resolution.DATA_RETURNED,
        )


def _collector_alert(quiet: Quiet, standing: CollectorStanding, at: float) -> Alert:
    labels: Mapping[str, str] = {
        "alertname": facts.QUIET,
        "collector": one_line(standing.collector),
        "severity": quiet.severity.value,
    }
    return Alert(labels, AlertState.PENDING, quiet.severity, at, at)


# -- what detectors noticed ---------------------------------------------------------------------


def detections(detected: Detected | None, seen: Round) -> Iterable[Wish]:
    """What is wished about changes that detectors noticed."""
    if detected is None:
        return
    for detection in seen.detections:
        loud = detected.loudness(detection.moved)
        if loud is None or not matches(detected.endpoint, detection.endpoint):
            continue
        recent = seen.at - detection.raised_at < EXPIRES_SECONDS
        followed = None if detection.followed_by is None else Resolution.FOLLOWED
        yield Wish(
            _detection_alert(loud, detection, seen.at),
            functools.partial(facts.detection_facts, detection),
            AlertState.FIRING if recent else None,
            ended=followed,
        )


def _detection_alert(loud: Loudness, detection: Detection, at: float) -> Alert:
    labels: Mapping[str, str] = {
        "alertname": facts.UNANNOUNCED,
        "endpoint": one_line(detection.endpoint),
        "detection": detection.id,
        "moved": detection.moved.value,
        "severity": loud.severity.value,
    }
    return Alert(labels, AlertState.PENDING, loud.severity, at, at)
