"""EventBridge's messages about endpoints, from an SQS queue: a deployment heard within seconds.

Messages are deleted only when what they said is kept: unread ones come again. Source: nibai's
aws.md, section 9; EventBridge writes IN_SERVICE where the API writes InService.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from collector.aws.session import Caller
from collector.sagemaker.facts import text
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.signals import Signal

STATE, DEPLOYMENT = (
    "SageMaker Endpoint State Change",
    "SageMaker Endpoint Deployment State Change",
)
BATCH = 10
MOST_BATCHES = 100
MILLISECONDS_AFTER = 1e11
"""Seconds of the year 5138: larger numbers are milliseconds."""


class Queue:
    """The queue that a rule of the user's fills; see deploy/ and docs/sagemaker.md."""

    def __init__(self, caller: Caller, url: str, permitted: Permitted) -> None:
        self._caller = caller
        self._url = url
        self._permitted = permitted
        self._receipts: list[str] = []

    def receive(self) -> list[Signal]:
        """Everything that waits, as far as it is about endpoints."""
        self._receipts.clear()
        found: list[Signal] = []
        for _ in range(MOST_BATCHES):
            messages = self._permitted.ask(self._batch, "messages of EventBridge are not read")
            if not messages:
                break
            for one in messages:
                self._receipts.append(str(one["ReceiptHandle"]))
                found += signals(str(one.get("Body", "")))
        return found

    def forget(self) -> None:
        """What was received is kept elsewhere."""
        while self._receipts:
            batch, self._receipts = self._receipts[:BATCH], self._receipts[BATCH:]
            entries = [{"Id": str(i), "ReceiptHandle": one} for i, one in enumerate(batch)]
            self._permitted.ask(
                lambda entries=entries: self._caller.call(  # type: ignore[misc]
                    "DeleteMessageBatch", QueueUrl=self._url, Entries=entries
                ),
                "messages of EventBridge are read again and again",
            )

    def _batch(self) -> Sequence[Mapping[str, Any]]:
        answer = self._caller.call(
            "ReceiveMessage", QueueUrl=self._url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=0
        )
        messages: Sequence[Mapping[str, Any]] = answer.get("Messages", ())
        return messages


def signals(body: str) -> list[Signal]:
    """What a message says of an endpoint; nothing when it is about something else.

    >>> body = json.dumps({"detail-type": STATE, "time": "2026-03-01T12:00:00Z",
    ...                    "detail": {"EndpointName": "chat", "EndpointStatus": "UPDATING"}})
    >>> signals(body)[0].text, signals(body)[0].begins, signals("no JSON")
    ('UPDATING', True, [])
    """
    try:
        event = json.loads(body)
        detail = event["detail"]
        if event["detail-type"] not in {STATE, DEPLOYMENT}:
            return []
        at, name = _moment(event["time"]), str(detail["EndpointName"])
        status = str(detail.get("EndpointStatus") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    pending = detail.get("PendingDeploymentSummary") or {}
    stages = _stages(pending)
    words = ", ".join(text(word) for word in (status, *stages) if word)
    begins = normal(status) in {"updating", "creating"} or bool(pending)
    return [Signal(name, at, "EventBridge", words or text(event["detail-type"]), begins=begins)]


def _stages(pending: Any) -> list[str]:  # noqa: ANN401 - JSON
    """What each variant is at; nothing where the summary has another shape than documented."""
    try:
        return [
            f"{variant.get('VariantName')} {one.get('Status', one.get('VariantStatus'))}"
            for variant in pending.get("ProductionVariants") or ()
            for one in variant.get("VariantStatus") or ()
        ]
    except (TypeError, AttributeError):
        return []


def normal(status: str) -> str:
    """A status as both EventBridge and the API write it.

    >>> normal("IN_SERVICE") == normal("InService")
    True
    """
    return status.replace("_", "").lower()


def _moment(said: object) -> float:
    """A time as ISO 8601, or as milliseconds since the epoch (AWS's own examples have both)."""
    try:
        number = float(str(said))
    except ValueError:
        return datetime.fromisoformat(str(said)).astimezone(UTC).timestamp()
    seconds = number / 1000.0 if number > MILLISECONDS_AFTER else number
    if not 0.0 <= seconds < MILLISECONDS_AFTER:
        raise ValueError("no time")
    return seconds
