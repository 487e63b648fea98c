"""PagerDuty's Events API v2: one incident an alert, triggered and resolved by its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping

from alerts import http, options, words
from alerts.alertmanager import timestamp
from nibai.config import SecretReference, Section
from nibai.model import Alert, AlertState, Notice
from nibai.protocols import Notifier

SUMMARY = 1024
"""Characters that a summary may have."""

DETAIL = 4000
"""Characters of one detail: some thirty of them stay below the 512 KB of an event."""


class Options(Section):
    """The routing key of an Events API v2 integration."""

    routing_key: SecretReference
    url: options.Url = "https://events.pagerduty.com/v2/enqueue"


def preview(notice: Notice) -> object:
    """The events without their key."""
    return [event(alert) for alert in notice.news]


def build(given: Mapping[str, object]) -> Notifier:
    """A notifier for one integration."""
    chosen, around = options.read(Options, given)
    key = options.secret(chosen.routing_key, around)
    return PagerDuty(options.secret(chosen.url, around), key)


class PagerDuty:
    """One integration."""

    def __init__(self, url: str, routing_key: str) -> None:
        self._url, self._key = url, routing_key

    def notify(self, notice: Notice) -> str | None:
        """Trigger what fires, resolve what is over; a repeated event changes nothing there."""
        for alert in notice.news:
            http.post(self._url, {"routing_key": self._key, **event(alert)})
        return None


def event(alert: Alert) -> dict[str, object]:
    """An event without its key."""
    if alert.state is AlertState.RESOLVED:
        return {"event_action": "resolve", "dedup_key": alert.fingerprint}
    source = alert.labels.get("endpoint") or alert.labels.get("collector", "nibai")
    details = {**alert.annotations, **alert.labels}
    body: dict[str, object] = {
        "event_action": "trigger",
        "dedup_key": alert.fingerprint,
        "client": "nibai",
        "payload": {
            "summary": words.cut(words.line(alert), SUMMARY),
            "source": words.cut(source, SUMMARY),
            "severity": alert.severity.value,
            "timestamp": timestamp(alert.fired_at or alert.since),
            "group": alert.group,
            "class": alert.labels["alertname"],
            "custom_details": {key: words.cut(text, DETAIL) for key, text in details.items()},
        },
    }
    if "link" in alert.annotations:
        body["links"] = [{"href": alert.annotations["link"], "text": "Open the audit"}]
    return body
