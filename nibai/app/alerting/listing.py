"""Alerts, deliveries that failed and silences, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nibai.document import iso
from nibai.model import Alert, AlertState
from nibai.store.state import alerts as table
from nibai.store.state.database import State

ORDER = (AlertState.FIRING, AlertState.PENDING, AlertState.RESOLVED)


def lines(state: State, now: float) -> Iterator[str]:
    """The firing first; then what receivers could not be told, then silences that go on."""
    silences = [one for one in table.silences(state) if one.until > now]
    found = [alert for alert in table.alerts(state) if _shown(alert)]
    for alert in sorted(found, key=lambda alert: ORDER.index(alert.state)):
        quiet = " (silenced)" if any(one.covers(alert, now) for one in silences) else ""
        title = alert.annotations.get("title", alert.labels.get("alertname", ""))
        ended = "" if alert.resolution is None else f" ({alert.resolution.value})"
        yield (
            f"{alert.state.value}{ended}{quiet}  {alert.severity.value}  "
            f"{iso(alert.changed_at)}  {title}"
        )
    if not found:
        yield "no alerts"
    for delivery in table.deliveries(state).values():
        if delivery.problem is not None:
            yield f"not told  {delivery.receiver}  {delivery.group}: {delivery.problem}"
    for one in silences:
        yield f"silence {one.id}  until {iso(one.until)}  {_matchers(one.matchers)}  {one.comment}"


def _shown(alert: Alert) -> bool:
    """Alerts that are or were something; what was pending only and passed is nothing."""
    return alert.state is not AlertState.RESOLVED or alert.fired_at is not None


def _matchers(matchers: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in sorted(matchers.items()))
