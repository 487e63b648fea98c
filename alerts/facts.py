"""What an alert says: annotations made of a standing, plain text without any markup."""

from __future__ import annotations

from collections.abc import Mapping

from alerts import figures
from alerts.rules.ruleset import ClaimRule
from alerts.rules.texts import fill
from nibai.errors import UsageError
from nibai.model import CollectorStanding, Detection, Finding, Moved, Standing, Verdict

REFUTED, UNDECIDED, NO_DATA, QUIET, UNANNOUNCED = (
    "NibaiClaimRefuted",
    "NibaiClaimUndecided",
    "NibaiNoData",
    "NibaiCollectorQuiet",
    "NibaiUnannouncedChange",
)
"""Names of alerts."""

TITLES = {
    REFUTED: "“{{ sentence }}” is refuted on {{ endpoint }}",
    UNDECIDED: "“{{ sentence }}” is still undecided on {{ endpoint }}",
    NO_DATA: "“{{ sentence }}” cannot be decided: no data from {{ endpoint }}",
    QUIET: "collector {{ collector }} has gone quiet",
}

TODO = {
    REFUTED: "Read the audit; keep, roll back or correct the claim.",
    UNDECIDED: "Nothing is wrong yet: wait for more traffic, or claim less.",
    NO_DATA: "Check that the endpoint has traffic and that its collector reads it.",
    QUIET: "Check the collector's log and permissions: nothing can be decided without it.",
    UNANNOUNCED: "Find out what changed; declare it with its claim, and the watch decides.",
}

HAPPENED = {
    Moved.WORSE: "{{ endpoint }} became worse, and no claim is about it",
    Moved.BETTER: "{{ endpoint }} became better, and no claim is about it",
    Moved.ANSWERS: "the answers of {{ endpoint }} moved, and no claim is about it",
    Moved.TRAFFIC: "the traffic of {{ endpoint }} moved: its requests are others",
}
"""Titles of what detectors noticed."""


def claim_facts(name: str, rule: ClaimRule, standing: Standing) -> dict[str, str]:
    """Annotations of an alert about a claim."""
    values = claim_values(rule, standing)
    texts = {
        "title": _text(rule.message.title, TITLES[name], values),
        "todo": _text(rule.message.todo, TODO[name], values),
    }
    return {key: value for key, value in (values | texts).items() if value}


def claim_values(rule: ClaimRule, standing: Standing) -> dict[str, str]:
    """What texts about a claim may use; empty where it is not known."""
    worst = leading(standing)
    facts = {
        "sentence": standing.sentence.text,
        "endpoint": standing.change.endpoint,
        "change": standing.change.id,
        "description": standing.change.description,
        "kinds": ", ".join(kind.value for kind in standing.change.kinds),
        "rule": rule.name,
        "verdict": standing.verdict.value,
        "reason": standing.reason.text,
        "level": f"{standing.level * 100:g} % at any number of looks",
        "watched_since": figures.moment(standing.watched_since),
        "audit": standing.audit or "",
        "rests_on": "" if worst is None else figures.rests_on(worst.evidence),
        "false_alarms": "" if worst is None else figures.false_alarms(worst.evidence),
        "decided_at": _moment(standing.decided_at),
        "no_data_since": _moment(standing.no_data_since),
        "superseded_by": standing.superseded_by or "",
    }
    lines = (figures.one_line(figures.figure(finding)) for finding in standing.findings)
    clean = {key: figures.one_line(value) for key, value in facts.items()}
    return clean | {"figures": "\n".join(lines)}


def collector_facts(standing: CollectorStanding) -> dict[str, str]:
    """Annotations of an alert about a collector."""
    facts = {"collector": figures.one_line(standing.collector)}
    if standing.quiet_since is not None:
        facts["quiet_since"] = figures.moment(standing.quiet_since)
        facts["reason"] = f"no new minute since {facts['quiet_since']}"
    elif standing.unsent_since is not None:
        facts["quiet_since"] = figures.moment(standing.unsent_since)
        usual = figures.duration(standing.usual_seconds or 0.0)
        facts["reason"] = (
            f"nobody has sent anything since {facts['quiet_since']}; up to {usual} is usual"
        )
    if standing.problem:
        facts["problem"] = figures.one_line(standing.problem)
    facts["title"] = fill(TITLES[QUIET], facts)
    facts["todo"] = TODO[QUIET]
    if standing.quiet_since is None and standing.unsent_since is not None:
        facts["todo"] = (
            "Check the senders, their address and token: nothing can be decided without them. "
            "If it is meant to be so, set otlp.quiet_after."
        )
    return facts


def detection_facts(detection: Detection) -> dict[str, str]:
    """Annotations of an alert about a change that detectors noticed; no verdict about a claim."""
    noticed = figures.moment(detection.raised_at)
    reason = f"noticed {noticed}, begun about {figures.moment(detection.at)}; no verdict"
    if detection.suspect:
        reason += f"; it may come from {detection.suspect}"
    facts = {
        "endpoint": detection.endpoint,
        "reason": reason,
        "false_alarms": detection.tolerated,
        "declare": detection.declare,
        "followed_by": detection.followed_by or "",
    }
    clean = {key: figures.one_line(value) for key, value in facts.items() if value}
    clean["figures"] = "\n".join(map(figures.one_line, detection.movements))
    clean["title"] = fill(HAPPENED[detection.moved], clean)
    clean["todo"] = TODO[UNANNOUNCED]
    if "declare" in clean:
        clean["todo"] += f" {clean['declare']} --claim …"
    return clean


def leading(standing: Standing) -> Finding | None:
    """The finding that explains the verdict: one with the same verdict, else the first."""
    same = [f for f in standing.findings if f.verdict is standing.verdict]
    refuting = [f for f in standing.findings if f.verdict is Verdict.REFUTED]
    return next(iter([*same, *refuting, *standing.findings]), None)


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else figures.moment(seconds)


def _text(own: str | None, usual: str, facts: Mapping[str, str]) -> str:
    if own is not None:
        try:
            return fill(own, facts)
        except UsageError:
            pass  # a text of one's own that fails must not keep an alert back
    return fill(usual, facts)
