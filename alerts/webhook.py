"""A webhook: the body that Alertmanager posts (version 4), or CloudEvents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from alerts import http, options
from alerts.alertmanager import timestamp
from nibai.config import SecretReference, Section
from nibai.model import Alert, AlertState, Notice
from nibai.protocols import Notifier

OPEN_END = "0001-01-01T00:00:00Z"
"""What Alertmanager writes where an alert has not ended."""


class Options(Section):
    """Where to post, and which body; `token` becomes a Bearer token."""

    url: options.Url
    format: Literal["alertmanager", "cloudevents"] = "alertmanager"
    token: SecretReference | None = None
    receiver: str = "nibai"


def preview(notice: Notice) -> object:
    """The body of Alertmanager's form."""
    return alertmanager_body(notice, "nibai")


def build(given: Mapping[str, object]) -> Notifier:
    """A notifier for one address."""
    chosen, around = options.read(Options, given)
    headers: dict[str, str] = {}
    if chosen.token is not None:
        headers["Authorization"] = f"Bearer {options.secret(chosen.token, around)}"
    url = options.secret(chosen.url, around)
    if chosen.format == "cloudevents":
        return Events(url, headers)
    return Posts(url, headers, chosen.receiver)


class Posts:
    """One post a notice, as Alertmanager does."""

    def __init__(self, url: str, headers: Mapping[str, str], receiver: str) -> None:
        self._url, self._headers, self._receiver = url, headers, receiver

    def notify(self, notice: Notice) -> str | None:
        """Post the whole group."""
        http.post(self._url, alertmanager_body(notice, self._receiver), self._headers)
        return None


class Events:
    """One CloudEvent for each alert that is new or stands differently."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {**headers, "Content-Type": "application/cloudevents+json"}

    def notify(self, notice: Notice) -> str | None:
        """Post the news; an event that is repeated has the same id."""
        for alert in notice.news:
            http.post(self._url, cloud_event(alert), self._headers)
        return None


def alertmanager_body(notice: Notice, receiver: str) -> dict[str, object]:
    """The body of Alertmanager's webhook, version 4."""
    first = notice.alerts[0]
    grouped = {
        k: first.labels[k]
        for k in ("endpoint", "change", "detection", "collector")
        if k in first.labels
    }
    return {
        "version": "4",
        "groupKey": notice.group,
        "truncatedAlerts": 0,
        "status": "firing" if notice.firing else "resolved",
        "receiver": receiver,
        "groupLabels": grouped,
        "commonLabels": _common(alert.labels for alert in notice.alerts),
        "commonAnnotations": _common(alert.annotations for alert in notice.alerts),
        "externalURL": "",
        "alerts": [_alert(alert) for alert in notice.alerts],
    }


def cloud_event(alert: Alert) -> dict[str, object]:
    """An alert as a structured CloudEvent 1.0."""
    kinds = {"change": "change.verdict", "detection": "change.detected"}
    kind = next((k for label, k in kinds.items() if label in alert.labels), "collector.quiet")
    about = alert.labels.get("endpoint") or alert.labels.get("collector")
    return {
        "specversion": "1.0",
        "id": f"{alert.fingerprint}-{alert.state.value}-{alert.changed_at:.0f}{_louder(alert)}",
        "source": "/nibai",
        "type": f"dev.nibai.{kind}",
        # A subject must not be empty.
        **({"subject": about} if about else {}),
        "time": timestamp(alert.changed_at),
        "datacontenttype": "application/json",
        "data": {**_alert(alert), "resolution": alert.resolution and alert.resolution.value},
    }


def _louder(alert: Alert) -> str:
    """A part of the id where another severity or name makes it another event."""
    return "" if alert.began_as is None else f"-{alert.digest}"


def _alert(alert: Alert) -> dict[str, object]:
    over = alert.state is AlertState.RESOLVED
    return {
        "status": alert.state.value,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": timestamp(alert.fired_at or alert.since),
        "endsAt": timestamp(alert.changed_at) if over else OPEN_END,
        "generatorURL": alert.annotations.get("link", ""),
        "fingerprint": alert.fingerprint,
    }


def _common(several: Iterable[Mapping[str, str]]) -> dict[str, str]:
    all_: Sequence[Mapping[str, str]] = list(several)
    return {k: v for k, v in all_[0].items() if all(one.get(k) == v for one in all_)}
