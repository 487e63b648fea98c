"""Alertmanager's API v2: every member is told, firing alerts again every minute.

Grouping, routing and silences are Alertmanager's there. An alert that is not told again ends there
after `keep`, so that a nibai that died for good does not leave alerts behind.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import Field

from alerts import http, options
from nibai.config import Duration, SecretReference, Section
from nibai.errors import NotifyError
from nibai.model import Alert, AlertState, Notice
from nibai.protocols import Notifier

LOG = logging.getLogger("nibai.alerts.alertmanager")

REPEAT_SECONDS = 60.0


class Options(Section):
    """`urls` of every member of the cluster (never of a balancer before them)."""

    urls: tuple[options.Url, ...] = Field(min_length=1)
    token: SecretReference | None = None
    username: str | None = None
    password: SecretReference | None = None
    keep: Duration = 900.0


def preview(notice: Notice) -> object:
    """The body of the post."""
    return [api_alert(one, one.changed_at + REPEAT_SECONDS) for one in notice.alerts]


def build(given: Mapping[str, object]) -> Notifier:
    """A notifier for all members."""
    chosen, around = options.read(Options, given)
    urls = [options.secret(url, around).rstrip("/") for url in chosen.urls]
    headers: dict[str, str] = {}
    if chosen.token is not None:
        headers["Authorization"] = f"Bearer {options.secret(chosen.token, around)}"
    elif chosen.username is not None and chosen.password is not None:
        pair = f"{chosen.username}:{options.secret(chosen.password, around)}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return Cluster(urls, headers, chosen.keep, around.clock)


class Cluster:
    """All members of one Alertmanager."""

    repeat_seconds = REPEAT_SECONDS

    def __init__(
        self,
        urls: list[str],
        headers: Mapping[str, str],
        keep_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._urls = urls
        self._headers = headers
        self._keep = keep_seconds
        self._clock = clock

    def notify(self, notice: Notice) -> str | None:
        """Post to every member; an error only where none took it.

        A member that missed the end of an alert ends it by itself after `keep`.
        """
        until = self._clock() + self._keep
        body = [api_alert(alert, until) for alert in notice.alerts]
        body += [api_alert(one, until) for one in _before(notice, self._clock())]
        problems: list[NotifyError] = []
        for url in self._urls:
            try:
                http.post(f"{url}/api/v2/alerts", body, self._headers)
            except NotifyError as error:
                problems.append(error)
        if len(problems) == len(self._urls):
            raise problems[0]
        for problem in problems:
            LOG.warning("a member of the cluster was not told: %s", problem)
        return None


def _before(notice: Notice, now: float) -> list[Alert]:
    """Alerts as they were until another severity made them others there: those are over."""
    found = []
    for alert in notice.alerts:
        was = notice.severity_before(alert)
        if was is not None:
            labels = {**alert.labels, "severity": was.value}
            found.append(replace(alert, labels=labels, state=AlertState.RESOLVED, changed_at=now))
    return found


def api_alert(alert: Alert, open_until: float) -> dict[str, object]:
    """An alert as the API takes it; one that fires is good until a moment."""
    over = alert.state is AlertState.RESOLVED
    body: dict[str, object] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": timestamp(alert.fired_at or alert.since),
        "endsAt": timestamp(alert.changed_at if over else open_until),
    }
    if "link" in alert.annotations:
        body["generatorURL"] = alert.annotations["link"]
    return body


def timestamp(seconds: float) -> str:
    """A time as RFC 3339.

    >>> timestamp(1_764_028_800)
    '2025-11-25T00:00:00.000Z'
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
