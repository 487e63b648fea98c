"""CloudTrail: who deployed what and when, 90 days back, at two calls a second.

One attribute a call, so one list per kind of event. Source: nibai's aws.md, section 9.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from collector.aws.session import Caller, pages
from collector.sagemaker.facts import text
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.signals import SLACK_SECONDS, Signal

SECONDS_A_CALL = 0.5
PAGE = 50
REACH_SECONDS = 90 * 86400.0
VERBATIM = frozenset({"environment"})
"""Maps whose keys are the user's own."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call that succeeded: its request as the API spells it."""

    name: str
    at: float
    who: str
    request: Mapping[str, Any]


class Trail:
    """Events of one account and region; `caller` spaces its calls out."""

    def __init__(self, caller: Caller, permitted: Permitted) -> None:
        self._caller = caller
        self._permitted = permitted
        self._known: dict[str, tuple[float, float, list[Recorded]]] = {}

    def forget(self) -> None:
        """A new look: what is known is old."""
        self._known.clear()

    def events(self, name: str, since: float, until: float) -> list[Recorded]:
        """Calls of one name, the oldest first; asked once a look where one stretch holds another.

        CloudTrail may show a call a quarter of an hour late.
        """
        known = self._known.get(name)
        if known is None or since < known[0] or until > known[1]:
            first = min(since, known[0]) if known else since
            last = max(until, known[1]) if known else until
            found = self._permitted.ask(
                lambda: self._asked(name, first, last), "who deployed and when is not known"
            )
            known = self._known[name] = (first, last, found or [])
        return [one for one in known[2] if since <= one.at <= until]

    def signals(self, endpoint: str, component: str, since: float, until: float) -> list[Signal]:
        """Deployments of an endpoint, or of one of its components."""
        name = "UpdateInferenceComponent" if component else "UpdateEndpoint"
        key, value = (
            ("InferenceComponentName", component) if component else ("EndpointName", endpoint)
        )
        window = (since - SLACK_SECONDS, until + SLACK_SECONDS)
        return [
            Signal(endpoint, one.at, "CloudTrail", f"{name} by {one.who}", component, begins=True)
            for one in self.events(name, *window)
            if one.request.get(key) == value
        ]

    def _asked(self, name: str, since: float, until: float) -> list[Recorded]:
        listed = pages(
            self._caller, "LookupEvents", "Events",
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=datetime.fromtimestamp(since, UTC),
            EndTime=datetime.fromtimestamp(until, UTC), MaxResults=PAGE,
        )  # fmt: skip
        found = [recorded(str(one.get("CloudTrailEvent", ""))) for one in listed]
        return sorted((one for one in found if one is not None), key=lambda one: one.at)


def recorded(document: str) -> Recorded | None:
    """An event of the trail; None for a call that failed, or one that is not readable."""
    try:
        event = json.loads(document)
        if event.get("errorCode"):
            return None
        at = datetime.fromisoformat(event["eventTime"]).astimezone(UTC).timestamp()
        identity = event.get("userIdentity") or {}
        who = text(identity.get("arn") or identity.get("type") or "somebody")
        request = event.get("requestParameters") or {}
        return Recorded(str(event["eventName"]), at, who, as_api(request))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def as_api(value: object) -> Any:  # noqa: ANN401 - JSON
    """CloudTrail writes endpointName where the API has EndpointName.

    >>> as_api({"primaryContainer": {"environment": {"fooBar": "1"}}})
    {'PrimaryContainer': {'Environment': {'fooBar': '1'}}}
    """
    if isinstance(value, Mapping):
        return {
            f"{key[:1].upper()}{key[1:]}": one if key in VERBATIM else as_api(one)
            for key, one in value.items()
        }
    return [as_api(one) for one in value] if isinstance(value, list) else value
