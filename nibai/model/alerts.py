"""What rules make of findings: alerts, and how far each was told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nibai.globs import matches


class AlertState(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How loud an alert is; only another rule file changes it inside one alert."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Resolution(StrEnum):
    """Why an alert was resolved."""

    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"
    DECIDED = "decided"
    EXPIRED = "expired"
    DATA_RETURNED = "data_returned"
    FOLLOWED = "followed"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that people should know, once.

    `labels` hold stable ids only (alertname, endpoint, variant, change, claim, quantile, segment,
    detection, moved, severity): they identify the alert, and a number among them would make a new
    one every time. Estimates, intervals and sentences are `annotations`. `fired_at` is None for one
    that never fired: nobody is told of it. `missing_since`: looks have not shown its claim since
    then. `began_as` is the fingerprint of the labels that it began with, where the rule file has
    given it another severity or name since. Times are seconds since the epoch.
    """

    labels: Mapping[str, str]
    state: AlertState
    severity: Severity
    since: float
    changed_at: float
    annotations: Mapping[str, str] = field(default_factory=dict)
    resolution: Resolution | None = None
    fired_at: float | None = None
    missing_since: float | None = None
    began_as: str | None = None

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that depend on the labels alone that it began with."""
        return self.began_as or self.digest

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits of the labels that it has now."""
        text = json.dumps(sorted(self.labels.items()), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def group(self) -> str:
        """What is told together: of one change, of one unannounced one, else the alert alone."""
        for name in ("change", "detection"):
            if name in self.labels:
                return f"{name}:{self.labels[name]}"
        return self.fingerprint


@dataclass(frozen=True, slots=True)
class Notice:
    """What one receiver is to be told now: the alerts of one group, in the order they began.

    `told` holds the state in which the receiver knows an alert (by fingerprint); one that is
    missing is news. `told_as` holds the severity that it knows, where it is known. `message_id` is
    what the notifier answered when it last told this group; None: no message is open.
    """

    group: str
    alerts: tuple[Alert, ...]
    told: Mapping[str, AlertState] = field(default_factory=dict)
    message_id: str | None = None
    told_as: Mapping[str, Severity] = field(default_factory=dict)

    @property
    def news(self) -> tuple[Alert, ...]:
        """Alerts that the receiver does not know in their present state or severity."""
        return tuple(
            a
            for a in self.alerts
            if self.told.get(a.fingerprint) is not a.state or self.severity_before(a) is not None
        )

    def severity_before(self, alert: Alert) -> Severity | None:
        """The severity that the receiver knows of an alert that fires on with another one."""
        told = self.told_as.get(alert.fingerprint, alert.severity)
        known = self.told.get(alert.fingerprint) is alert.state is AlertState.FIRING
        return told if known and told is not alert.severity else None

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Alerts that still fire."""
        return tuple(a for a in self.alerts if a.state is AlertState.FIRING)


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts whose labels match all patterns are not told before `until`.

    Patterns are those of rules: `*` and `?` end at a `/`, `**` and a lone `*` do not.
    """

    id: str
    matchers: Mapping[str, str]
    since: float
    until: float
    comment: str = ""

    def covers(self, alert: Alert, now: float) -> bool:
        """Whether the alert is silenced now.

        >>> alert = Alert({"endpoint": "a/b/chat"}, AlertState.FIRING, Severity.INFO, 0.0, 0.0)
        >>> quiet = Silence("s", {"endpoint": "a/*/chat"}, 0.0, 60.0)
        >>> quiet.covers(alert, 59.0), quiet.covers(alert, 60.0)
        (True, False)
        """
        return self.since <= now < self.until and all(
            matches(pattern, alert.labels.get(name, "")) for name, pattern in self.matchers.items()
        )
