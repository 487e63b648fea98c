"""What the attributes of a span say of it: which metric its time is, and how its request ended."""

from __future__ import annotations

from collector.otlp.attributes import Attributes
from collector.otlp.shapes import SERVING

FIRST_BAD_STATUS = 400
TIMEOUT_WORDS = ("timeout", "deadline", "timed out", "408", "504")

OUTCOME_ATTRIBUTES = ("http.response.status_code", "http.status_code", "error.type")
METRIC_ATTRIBUTES = ("nibai.metric", "gen_ai.operation.name")

ANSWER_ONLY = "prediction"
"""The `nibai.metric` of a span that is an answer and no measurement."""


def metric_of_span(kind: int, attributes: Attributes, *, nested: bool) -> str | None:
    """A span that says its metric, else one that serves a request; other spans are no data."""
    named = attributes.get("nibai.metric")
    if named is not None:
        return None if named == ANSWER_ONLY else str(named)
    if kind in SERVING:
        return "latency"
    return "latency" if "gen_ai.operation.name" in attributes and not nested else None


def outcome(attributes: Attributes, *, error: bool) -> tuple[bool, bool]:
    """(failed, timed out) of a request by its status and attributes."""
    status = attributes.get("http.response.status_code", attributes.get("http.status_code"))
    kind = attributes.get("error.type")
    if status is not None and str(status).isdigit() and int(str(status)) >= FIRST_BAD_STATUS:
        error, kind = True, kind or str(status)
    if kind is None:
        return error, False
    text = str(kind).lower()
    timeout = any(word in text for word in TIMEOUT_WORDS)
    return not timeout, timeout
