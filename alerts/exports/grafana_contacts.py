"""The route of a rule file as Grafana's contact points and one branch of its notification policies.

Secrets stay references here: who pushes resolves them. What Grafana's own receivers cannot do is
said in `notes`, not left out in silence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from alerts.exports.grafana import MARK
from alerts.rules.ruleset import Branch, RuleSet
from nibai.errors import UsageError
from nibai.globs import pattern_of

PREFIX = "nibai "
"""Begins the names of our contact points, beside those of others."""

Settings = tuple[str, dict[str, Any], dict[str, str]]
"""Grafana's type, its settings, and references to the secret ones among them."""


class NotThereError(UsageError):
    """Grafana has nothing of the kind; the text says what."""


def export(rules: RuleSet) -> str:
    """A JSON document: contact points, the branch of the policies, and notes."""
    route = rules.route
    if route is None:
        raise UsageError("the rule file has no receivers: add route.receivers")
    points: list[dict[str, Any]] = []
    notes: list[str] = []
    for receiver, name, notifier, options in route.ways():
        try:
            kind, settings, secrets = _settings(notifier, options)
        except NotThereError as error:
            notes.append(f"{name} stays with nibai: {error}")
            continue
        points.append(
            {
                "uid": "nibai-" + hashlib.sha256(name.encode()).hexdigest()[:24],
                "name": PREFIX + receiver,
                "type": kind,
                "settings": settings,
                "secrets": secrets,
                "disableResolveMessage": False,
            }
        )
    known = {point["name"] for point in points}
    for receiver in (route.default, *(branch.receiver for branch in route.branches)):
        if PREFIX + receiver not in known:
            raise UsageError(
                f"Grafana can tell nothing of the receiver {receiver!r}: " + "; ".join(notes)
            )
    policy = {
        "receiver": PREFIX + route.default,
        "object_matchers": [[name, "=", value] for name, value in MARK.items()],
        "group_by": ["endpoint", "change"],
        "continue": False,
        "routes": [_branch(branch) for branch in route.branches],
    }
    document = {"contact_points": points, "policy": policy, "notes": notes}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _branch(branch: Branch) -> dict[str, Any]:
    match = branch.match
    matchers = []
    if match.severity:
        matchers.append(["severity", "=~", "|".join(one.value for one in match.severity)])
    for label, glob, everything in (
        ("endpoint", match.endpoint, "**"),
        ("claim", match.claim, "*"),
    ):
        if glob != everything:
            matchers.append([label, "=~", pattern_of(glob)])
    found: dict[str, Any] = {"receiver": PREFIX + branch.receiver, "continue": False}
    return found | ({"object_matchers": matchers} if matchers else {})


def _settings(notifier: str, options: Mapping[str, Any]) -> Settings:
    make = _MAKERS.get(notifier)
    if make is None:
        raise NotThereError(f"Grafana has no {notifier}")
    return make(options)


def _slack(options: Mapping[str, Any]) -> Settings:
    if options.get("webhook"):
        return "slack", {}, {"url": options["webhook"]}
    settings = {"recipient": options["channel"]}
    if "api" in options:
        settings["endpointUrl"] = f"{options['api'].rstrip('/')}/chat.postMessage"
    return "slack", settings, {"token": options.get("token", "env:SLACK_BOT_TOKEN")}


def _pagerduty(options: Mapping[str, Any]) -> Settings:
    if "url" in options:
        raise NotThereError("its PagerDuty has no address of its own")
    settings = {"severity": "{{ .CommonLabels.severity }}", "client": "nibai"}
    return "pagerduty", settings, {"integrationKey": options["routing_key"]}


def _webhook(options: Mapping[str, Any]) -> Settings:
    if options.get("format", "alertmanager") != "alertmanager":
        raise NotThereError("it posts no CloudEvents")
    settings: dict[str, Any] = {"httpMethod": "POST"}
    secrets: dict[str, str] = {}
    (secrets if _is_reference(options["url"]) else settings)["url"] = options["url"]
    if "token" in options:
        settings["authorization_scheme"] = "Bearer"
        secrets["authorization_credentials"] = options["token"]
    return "webhook", settings, secrets


def _alertmanager(options: Mapping[str, Any]) -> Settings:
    if "token" in options or any(map(_is_reference, options["urls"])):
        raise NotThereError("its Alertmanager takes neither a token nor a secret address")
    settings = {"url": ",".join(options["urls"])}
    secrets = {}
    if "username" in options:
        settings["basicAuthUser"] = options["username"]
    if "password" in options:
        secrets["basicAuthPassword"] = options["password"]
    return "prometheus-alertmanager", settings, secrets


def _sns(options: Mapping[str, Any]) -> Settings:
    # Credentials are those of Grafana's own host.
    region = options["topic"].split(":")[3]
    settings: dict[str, Any] = {"topic_arn": options["topic"], "sigv4": {"region": region}}
    if options.get("endpoint_url"):
        settings["api_url"] = options["endpoint_url"]
    return "sns", settings, {}


def _email(options: Mapping[str, Any]) -> Settings:
    # The server that sends is Grafana's own.
    return "email", {"addresses": ";".join(options["to"]), "singleEmail": True}, {}


def _is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))


_MAKERS = {
    "slack": _slack,
    "pagerduty": _pagerduty,
    "webhook": _webhook,
    "alertmanager": _alertmanager,
    "sns": _sns,
    "email": _email,
}
