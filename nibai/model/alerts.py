"""What rules make of findings: alerts, and how far each was told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AlertState(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How loud an alert is; it never changes inside one alert."""

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


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that people should know, once.

    `labels` hold stable ids only (alertname, endpoint, variant, change, claim, quantile, segment,
    severity): they identify the alert, and a number among them would make a new one every time.
    Estimates, intervals and sentences are `annotations`. Times are seconds since the epoch.
    """

    labels: Mapping[str, str]
    state: AlertState
    severity: Severity
    since: float
    changed_at: float
    annotations: Mapping[str, str] = field(default_factory=dict)
    resolution: Resolution | None = None

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that depend on the labels alone."""
        text = json.dumps(sorted(self.labels.items()), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
