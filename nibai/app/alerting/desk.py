"""What `nibai rules` does beside reading files: sample messages, test alerts, silences."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nibai import plugins
from nibai.app.alerting.engine import tellings
from nibai.errors import NotifyError, PluginError, UsageError
from nibai.model import Alert, AlertState, Notice, Resolution, Silence
from nibai.protocols import RuleBook, Surroundings
from nibai.store.state import alerts as table
from nibai.store.state.database import State

TEST = "test"
"""Label of an alert that somebody fired by hand: no real one has its fingerprint."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver was told (or would be): its name, and the problem if there was one."""

    receiver: str
    message: str
    problem: str | None = None


def examples(path: Path) -> tuple[int, Sequence[str]]:
    """Run the examples of a file: how many there are, and a line for each that fails."""
    run = getattr(plugins.load_module("nibai.rules", "file"), "run_examples", None)
    if not callable(run):
        raise PluginError("the plug-in 'file' in nibai.rules has no run_examples: reinstall")
    number, failures = run(path)
    return int(number), list(failures)


def sample_notice(book: RuleBook, rule: str | None, *, resolved: bool) -> Notice:
    """A notice of the alert that a rule fires."""
    alerts = [_as_test(alert, resolved=resolved) for alert in book.sample(rule)]
    told = {a.fingerprint: AlertState.FIRING for a in alerts} if resolved else {}
    return Notice(alerts[0].group, tuple(alerts), told)


def rendered(notifier: str, notice: Notice) -> str:
    """What a notifier would send, as text; UsageError where it cannot say."""
    preview = getattr(plugins.load_module("nibai.notifiers", notifier), "preview", None)
    if not callable(preview):
        raise UsageError(f"the notifier {notifier!r} does not show its messages beforehand")
    found = preview(notice)
    if isinstance(found, str):
        return found if found.endswith("\n") else found + "\n"
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def fire(book: RuleBook, rule: str | None, surroundings: Surroundings | None) -> list[Told]:
    """Send a test alert and its end to every receiver that the rule's alerts go to.

    Without surroundings nothing is sent: what would be is shown.
    """
    firing = sample_notice(book, rule, resolved=False)
    names = {name for alert in firing.alerts for name in book.route(alert)}
    receivers = [one for one in book.receivers if one.name in names]
    if not receivers:
        raise UsageError("the rule file has no receivers: add route.receivers, or use render")
    if surroundings is None:
        return [Told(one.name, rendered(one.notifier, firing)) for one in receivers]
    resolved = sample_notice(book, rule, resolved=True)
    found = []
    for one in tellings(receivers, surroundings):
        try:
            message_id = one.notifier.notify(firing)
            one.notifier.notify(replace(resolved, message_id=message_id))
            found.append(Told(one.name, "a test alert and its end were told"))
        except NotifyError as error:
            found.append(Told(one.name, "", str(error)))
    return found


def silence(
    state: State, matchers: Mapping[str, str], now: float, seconds: float, comment: str
) -> Silence:
    """Begin a silence; it ends by itself."""
    if not matchers:
        raise UsageError("a silence needs at least one of --endpoint, --change, --claim …")
    begun = Silence(secrets.token_hex(4), dict(matchers), now, now + seconds, comment)
    table.put_silence(state, begun)
    return begun


def end_silence(state: State, silence_id: str, now: float) -> Silence:
    """End a silence now; UsageError when there is none of that id that goes on."""
    for one in table.silences(state):
        if one.id == silence_id and one.until > now:
            ended = replace(one, until=now)
            table.put_silence(state, ended)
            return ended
    raise UsageError(f"no silence {silence_id!r} goes on: nibai rules alerts lists them")


def _as_test(alert: Alert, *, resolved: bool) -> Alert:
    annotations = {**alert.annotations, "title": f"TEST: {alert.annotations['title']}"}
    marked = replace(alert, labels={**alert.labels, TEST: "true"}, annotations=annotations)
    if not resolved:
        return marked
    later = marked.changed_at + 60.0
    return replace(
        marked,
        state=AlertState.RESOLVED,
        resolution=Resolution.WITHDRAWN,
        changed_at=later,
    )
