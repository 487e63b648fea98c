"""Amazon SNS: one message a notice, with severity and state as attributes for filters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from alerts import options, words
from alerts.webhook import alertmanager_body
from nibai.config import Section
from nibai.errors import NotifyError
from nibai.model import Alert, AlertState, Notice, Severity
from nibai.protocols import Notifier

SUBJECT = 100
LONGEST = 200_000
"""Bytes of a message, of the 256 KiB that SNS takes."""

PASSING = ("Throttl", "InternalError", "ServiceUnavailable", "KMSThrottling", "RequestTimeout")


class Options(Section):
    """A topic; its region is in its name. Credentials are boto3's."""

    topic: str = Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+$")
    endpoint_url: str | None = None


def preview(notice: Notice) -> object:
    """What is published."""
    return message(notice, "arn:aws:sns:eu-west-1:123456789012:topic")


def build(given: Mapping[str, object]) -> Notifier:
    """A notifier for one topic."""
    chosen, _ = options.read(Options, given)
    import boto3  # noqa: PLC0415 - 0.6 s, only where it is used

    region = chosen.topic.split(":")[3]
    client = boto3.client("sns", region_name=region, endpoint_url=chosen.endpoint_url)
    return Topic(client, chosen.topic)


class Topic:
    """One topic, ordinary or FIFO."""

    def __init__(self, client: Any, topic: str) -> None:  # noqa: ANN401 - boto3 has no types
        self._client, self._topic = client, topic

    def notify(self, notice: Notice) -> str | None:
        """Publish the group; subscribers of plain text and of JSON get theirs."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see build

        try:
            self._client.publish(TopicArn=self._topic, **message(notice, self._topic))
        except (BotoCoreError, ClientError) as error:
            raise _problem(error) from None
        return None


def message(notice: Notice, topic: str) -> dict[str, Any]:
    """What is published."""
    whole = _fitting(notice)
    severities = [alert.severity for alert in notice.firing or notice.alerts]
    loudest = min(severities, key=list(Severity).index)
    state = AlertState.FIRING if notice.firing else AlertState.RESOLVED
    found: dict[str, Any] = {
        "Subject": subject(words.headline(notice)),
        "Message": whole,
        "MessageStructure": "json",
        "MessageAttributes": {
            "severity": {"DataType": "String", "StringValue": loudest.value},
            "state": {"DataType": "String", "StringValue": state.value},
        },
    }
    if topic.endswith(".fifo"):
        states = "-".join(f"{a.digest}.{a.state.value}" for a in notice.news[:4])
        last = max(alert.changed_at for alert in notice.alerts)
        found["MessageGroupId"] = re.sub(r"[^A-Za-z0-9_.:-]", "_", notice.group)[:128]
        found["MessageDeduplicationId"] = f"{states}-{last:.0f}"[-128:]
    return found


def _fitting(notice: Notice) -> str:
    """Text, and JSON for programs, of as many alerts as a message holds; it says how many not."""
    shown = notice
    while True:
        left = len(notice.alerts) - len(shown.alerts)
        body = json.dumps(
            {**alertmanager_body(shown, "sns"), "truncatedAlerts": left}, ensure_ascii=False
        )
        text = words.text(shown) + (f"\nand {left} more alerts\n" if left else "")
        forms = {"default": text, "sqs": body, "lambda": body, "http": body, "https": body}
        whole = json.dumps(forms, ensure_ascii=False)
        if len(whole.encode()) <= LONGEST:
            return whole
        if len(shown.alerts) > 1:
            shown = replace(shown, alerts=shown.alerts[: len(shown.alerts) // 2])
        elif max(map(len, shown.alerts[0].annotations.values()), default=0) > SUBJECT:
            shown = replace(shown, alerts=(_shorter(shown.alerts[0]),))
        else:
            # Its labels alone are too long.
            return json.dumps({"default": words.cut(words.headline(notice), 1000)})


def _shorter(alert: Alert) -> Alert:
    """With half of its longest annotation."""
    name = max(alert.annotations, key=lambda key: len(alert.annotations[key]))
    text = alert.annotations[name]
    return replace(
        alert, annotations={**alert.annotations, name: words.cut(text, max(len(text) // 2, 1))}
    )


def subject(text: str) -> str:
    """A subject as SNS takes it: ASCII without line breaks, at most 100 characters.

    >>> subject("✘ CRITICAL: “2x faster” is refuted")
    'CRITICAL: "2x faster" is refuted'
    """
    plain = text.replace("“", '"').replace("”", '"').replace("…", "...")
    ascii_ = re.sub(r"[^\x20-\x7e]+", " ", plain)
    return " ".join(ascii_.split())[:SUBJECT] or "nibai"


def _problem(error: Exception) -> NotifyError:
    response = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", type(error).__name__))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    server = status >= 500  # noqa: PLR2004 - the server's own errors
    # Without an answer (no network, no credentials yet) trying again can help.
    retryable = not response or server or any(word in code for word in PASSING)
    return NotifyError(
        f"sns: {code}: check the topic, sns:Publish on it, and the credentials",
        retryable=retryable,
        reason="throttled" if "Throttl" in code else "refused" if response else "unreachable",
    )
