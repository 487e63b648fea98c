"""Tests of a rule file, written as a file: what is seen when, and which alerts fire then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field, ValidationError

from alerts import facts, lifecycle
from alerts.rules.reading import load_rules, said
from alerts.rules.ruleset import ClaimRule, RuleSet
from alerts.rules.texts import fill
from nibai.claims import parse
from nibai.config import Duration, Section, read_yaml
from nibai.errors import ConfigError, UsageError
from nibai.model import (
    Alert,
    AlertState,
    Change,
    ChangeKind,
    CollectorStanding,
    Detection,
    Estimate,
    Evidence,
    FalsePositiveRate,
    Finding,
    Moved,
    Promise,
    Reason,
    ReasonCode,
    Round,
    Standing,
    Verdict,
)

EPOCH = 1_767_225_600.0
"""When the changes of an example land: 2026-01-01."""


class Seen(Section):
    """One claim of one change."""

    change: str = "c1"
    endpoint: str = "sagemaker/123456789012.eu-west-1/chat-1"
    kinds: tuple[ChangeKind, ...] = (ChangeKind.PRECISION,)
    claim: str
    verdict: Verdict = Verdict.INCONCLUSIVE
    estimate: float | None = None
    level: float = 0.95
    no_data_for: Duration | None = None
    superseded_by: str | None = None
    rolled_back: bool = False


class Collector(Section):
    """One collector; quiet for so long, or not at all."""

    name: str
    quiet_for: Duration | None = None


class Noticed(Section):
    """A change that detectors noticed; `followed_by` is a claimed change that explains it."""

    endpoint: str = "sagemaker/123456789012.eu-west-1/chat-1"
    moved: Moved = Moved.WORSE
    ago: Duration = 0.0
    followed_by: str | None = None


class Look(Section):
    """A round at a time after the changes landed; `expect` is exactly what fires then."""

    at: Duration
    standings: tuple[Seen, ...] = ()
    collectors: tuple[Collector, ...] = ()
    detections: tuple[Noticed, ...] = ()
    expect: tuple[Mapping[str, str], ...] = ()


class Example(Section):
    """Rounds one after another."""

    name: str
    rounds: tuple[Look, ...] = Field(min_length=1)


class Examples(Section):
    """The file; `rules` is beside it."""

    rules: Path
    tests: tuple[Example, ...] = Field(min_length=1)


def run(path: Path) -> tuple[int, list[str]]:
    """(number of examples, failures with expected and found); ConfigError for a bad file."""
    try:
        file = Examples.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in said(error))) from error
    rules = load_rules(path.parent / file.rules)
    failures = [line for one in file.tests for line in _failures(rules, one)]
    return len(file.tests), [f"{path}: {line}" for line in failures]


def sample(rules: RuleSet, name: str | None) -> list[Alert]:
    """The alert that a rule fires when its claim is refuted; UsageError where there is none."""
    for rule in rules.claim_rules:
        if name in (None, rule.name) and rule.alert.refuted:
            endpoint = rule.where.endpoint.replace("**", "provider/scope/name").replace("*", "any")
            claim = "2x faster" if rule.sentence is None else rule.claim
            kinds = rule.where.change.kinds[:1] or (ChangeKind.PRECISION,)
            seen = Seen(endpoint=endpoint, kinds=kinds, claim=claim, verdict=Verdict.REFUTED)
            standing = replace(_standing(seen, EPOCH + 7200.0), audit="example")
            return lifecycle.advance([rule], None, [], Round(EPOCH + 7200.0, (standing,)))
    known = ", ".join(rule.name for rule in rules.claim_rules) or "none"
    raise UsageError(f"no rule {name or ''} that tells of a refuted claim (there are: {known})")


def message_problems(rules: RuleSet) -> list[str]:
    """Texts of rules that cannot be filled with what an alert knows, each in a line."""
    lines = []
    for at, group in enumerate(rules.groups):
        for number, rule in enumerate(group.rules):
            if not isinstance(rule, ClaimRule):
                continue
            claim = "2x faster" if rule.sentence is None else rule.claim
            standing = _standing(Seen(claim=claim, verdict=Verdict.REFUTED), EPOCH)
            known = facts.claim_values(rule, standing)
            for key in ("title", "todo"):
                try:
                    fill(getattr(rule.message, key) or "", known)
                except UsageError as error:
                    lines.append(f"groups[{at}].rules[{number}].message.{key}: {error}")
    return lines


def _failures(rules: RuleSet, example: Example) -> list[str]:
    known: dict[str, Alert] = {}
    lines: list[str] = []
    for look in example.rounds:
        at = EPOCH + look.at
        standings = tuple(_standing(one, at) for one in look.standings)
        collectors = tuple(_collector(one, at) for one in look.collectors)
        detections = tuple(_detection(one, at) for one in look.detections)
        seen = Round(at, standings, collectors, detections=detections)
        for alert in lifecycle.advance(
            rules.claim_rules, rules.collectors, known.values(), seen, rules.detected
        ):
            known[alert.fingerprint] = alert
        firing = [alert for alert in known.values() if alert.state is AlertState.FIRING]
        if not _as_expected(firing, look.expect):
            lines.append(
                f"{example.name}, {look.at / 3600:g} h: expected {_shown(look.expect)}, "
                f"fires {_shown([alert.labels for alert in firing])}"
            )
    return lines


def _as_expected(firing: Sequence[Alert], expected: Sequence[Mapping[str, str]]) -> bool:
    left = list(firing)
    for one in expected:
        match = next((a for a in left if all(a.labels.get(k) == v for k, v in one.items())), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _shown(several: Sequence[Mapping[str, str]]) -> str:
    texts = ["{" + ", ".join(f"{k}: {v}" for k, v in sorted(one.items())) + "}" for one in several]
    return "; ".join(texts) or "nothing"


def _standing(seen: Seen, at: float) -> Standing:
    sentence = parse(seen.claim)
    change = Change(
        seen.change, seen.endpoint, seen.kinds, effective_at=EPOCH, description="an example"
    )
    reason = Reason(ReasonCode.NOT_JUDGED_YET, f"an example of {seen.verdict.value}")
    rate = FalsePositiveRate(0.048, 0.006, 0.16, 42)
    evidence = Evidence(
        (864_000, 871_200), 24, "hour", (4, 4), "live window",
        false_positive_rate=rate, log_e_value=20.0,
    )  # fmt: skip
    findings = []
    for claim in sentence.parts:
        short = {Promise.FASTER: claim.amount * 0.56}.get(claim.promise, 0.031)
        value = seen.estimate if seen.estimate is not None else short
        low, high = sorted((value * 0.94, value * 1.06))
        estimate = None
        if seen.estimate is not None or seen.verdict is Verdict.REFUTED:
            estimate = Estimate(value, low, high, seen.level)
        findings.append(Finding(claim, seen.verdict, reason, estimate, evidence))
    decided = seen.verdict in (Verdict.CONFIRMED, Verdict.REFUTED)
    return Standing(
        change=change,
        sentence=sentence,
        verdict=seen.verdict,
        reason=reason,
        findings=tuple(findings),
        level=seen.level,
        watched_since=EPOCH,
        decided_at=at if decided else None,
        no_data_since=None if seen.no_data_for is None else at - seen.no_data_for,
        superseded_by=seen.superseded_by,
        rolled_back=seen.rolled_back,
    )


def _collector(seen: Collector, at: float) -> CollectorStanding:
    since = None if seen.quiet_for is None else at - seen.quiet_for
    return CollectorStanding(seen.name, seen.quiet_for, since)


def _detection(seen: Noticed, at: float) -> Detection:
    # Known again in the next round by where and how it moved.
    name = hashlib.sha256(f"{seen.endpoint} {seen.moved}".encode()).hexdigest()[:12]
    return Detection(
        id=name,
        endpoint=seen.endpoint,
        moved=seen.moved,
        at=at - seen.ago - 3600.0,
        raised_at=at - seen.ago,
        movements=("an example",),
        followed_by=seen.followed_by,
    )
