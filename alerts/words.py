"""A notice in plain words, the same for every receiver; each escapes them in its own language."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.figures import moment
from nibai.model import Alert, AlertState, Notice, Resolution, Severity

MARKS = {AlertState.FIRING: "✘", AlertState.RESOLVED: "✔", AlertState.PENDING: "…"}

ENDED = {
    Resolution.SUPERSEDED: "a newer change took its place",
    Resolution.ROLLED_BACK: "the change was rolled back",
    Resolution.WITHDRAWN: "the claim was taken back",
    Resolution.DECIDED: "it is decided",
    Resolution.EXPIRED: "7 days have passed",
    Resolution.DATA_RETURNED: "data are coming again",
    Resolution.FOLLOWED: "a claim is about it now, and the watch decides",
}

PARTS = (
    ("Measured", "figures"),
    ("Why", "reason"),
    ("Rests on", "rests_on"),
    ("Level", "level"),
    ("Wrong alarms", "false_alarms"),
    ("Problem", "problem"),
    ("What changed", "what_changed"),
    ("What to do", "todo"),
)
"""A name and the annotation that it stands before, in the order of a message."""


def headline(notice: Notice) -> str:
    """The whole notice in one line."""
    if len(notice.alerts) == 1:
        return line(notice.alerts[0])
    firing = len(notice.firing)
    resolved = len(notice.alerts) - firing
    counts = [f"{firing} firing"] if firing else []
    counts += [f"{resolved} resolved"] if resolved else []
    where = notice.alerts[0].labels.get("endpoint", "nibai")
    mark = MARKS[AlertState.FIRING if firing else AlertState.RESOLVED]
    return f"{mark} {where}: {', '.join(counts)}"


def line(alert: Alert) -> str:
    """An alert in one line: its state, its title, and why it ended."""
    state = alert.state.value.upper()
    title = alert.annotations.get("title", alert.labels.get("alertname", "alert"))
    if alert.state is AlertState.RESOLVED and alert.resolution is not None:
        return f"{MARKS[alert.state]} {state} ({ENDED[alert.resolution]}): {title}"
    return f"{MARKS[alert.state]} {alert.severity.value.upper()}: {title}"


def severity_changed(alert: Alert, was: Severity) -> str:
    """What is said of an alert that fires on and is louder or quieter than it was."""
    return f"{line(alert)} (was {was.value}: the rule file says so now)"


def parts(alert: Alert) -> list[tuple[str, str]]:
    """(name, text) of everything that an alert says."""
    facts = dict(alert.annotations)
    facts["what_changed"] = _what_changed(facts)
    if alert.state is AlertState.RESOLVED:
        facts.pop("todo", None)
    return [(name, facts[key]) for name, key in PARTS if facts.get(key)]


def _what_changed(facts: Mapping[str, str]) -> str:
    """What the change is, which one, and since when it counts: what a roll-back would take back."""
    said = ", ".join(facts[key] for key in ("kinds", "description") if facts.get(key))
    if not facts.get("watched_since") or not facts.get("change"):
        return said
    which = f"change {facts['change']}, in effect since {facts['watched_since']}"
    return f"{said} ({which})" if said else which


def span(alert: Alert) -> str:
    """Since when it fires, and until when it did."""
    began = f"since {moment(alert.fired_at or alert.since)}"
    if alert.state is AlertState.RESOLVED:
        return f"{began}, over since {moment(alert.changed_at)}"
    return began


def text(notice: Notice) -> str:
    """The notice as plain text of several lines."""
    blocks = []
    for alert in notice.alerts:
        lines = [line(alert), span(alert)]
        for name, said in parts(alert):
            first, *rest = said.splitlines() or [""]
            lines.append(f"{name}: {first}")
            lines += [" " * (len(name) + 2) + more for more in rest]
        if alert.annotations.get("link"):
            lines.append(f"Audit: {alert.annotations['link']}")
        lines.append("Labels: " + ", ".join(f"{k}={v}" for k, v in sorted(alert.labels.items())))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def cut(text: str, most: int) -> str:
    """A text of at most so many characters.

    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"
