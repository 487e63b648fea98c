"""OTLP/JSON: the same groups of spans from the other encoding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from collector.otlp.attributes import Attributes, Wanted
from collector.otlp.schema import STATUS_ERROR, MalformedError
from collector.otlp.shapes import SERVING, Signature, Spans


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"no JSON ({str(error)[:100]})") from error
    if not isinstance(document, Mapping):
        raise MalformedError("the JSON is no object")
    return document


def json_traces(body: bytes, wanted: Wanted) -> Spans:
    """Spans of a JSON request; MalformedError when it is none."""
    document = _json(body)
    try:
        return _json_spans(document, wanted)
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise MalformedError(f"a field has another type than OTLP/JSON ({error})"[:200]) from error


def _json_spans(document: Mapping[str, Any], wanted: Wanted) -> Spans:
    resources: list[Attributes] = []
    scopes: list[Sequence[Mapping[str, Any]]] = []
    for resource_spans in document.get("resourceSpans", []):
        resource = _json_attributes(resource_spans.get("resource", {}).get("attributes", []))
        for scope in resource_spans.get("scopeSpans", []):
            resources.append(resource)
            scopes.append(scope.get("spans", []))
    spans = Spans(resources, [len(scope) for scope in scopes])
    for position, span in enumerate(chain.from_iterable(scopes)):
        spans.put(
            position,
            _uint64(span.get("startTimeUnixNano", 0)),
            _uint64(span.get("endTimeUnixNano", 0)),
            _json_signature(span, wanted),
        )
        attributes = _json_attributes(span.get("attributes", []), lists=True)
        answer = {key: value for key, value in attributes.items() if key in wanted.answers}
        if answer:
            spans.answers.append((position, (answer, str(span.get("traceId", "")).lower())))
    return spans


def _json_signature(span: Mapping[str, Any], wanted: Wanted) -> Signature:
    kind = _enum(span.get("kind", 0), "SPAN_KIND_", _KINDS)
    code = _enum(span.get("status", {}).get("code", 0), "STATUS_CODE_", _CODES)
    nested = kind not in SERVING and bool(span.get("parentSpanId"))
    attributes = _json_attributes(span.get("attributes", []))
    own = [pair for pair in attributes.items() if pair[0] in wanted.keys]
    return (kind, nested, code == STATUS_ERROR, *own)


_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_CODES = ("UNSET", "OK", "ERROR")


def _enum(value: object, prefix: str, names: Sequence[str]) -> int:
    if isinstance(value, str) and value.startswith(prefix):
        return names.index(value.removeprefix(prefix))
    return int(str(value))


def _uint64(value: object) -> int:
    number = int(str(value))
    if not 0 <= number < 2**64:
        raise ValueError("a time is outside 64 bits")
    return number


def _json_attributes(raw: Sequence[Mapping[str, Any]], *, lists: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in raw:
        value = entry.get("value", {})
        if lists and "arrayValue" in value:
            found[str(entry["key"])] = [
                _json_scalar(one) for one in value["arrayValue"].get("values", [])
            ]
        elif (scalar := _json_scalar(value)) is not None:
            found[str(entry["key"])] = scalar
    return found


def _json_scalar(value: Mapping[str, Any]) -> str | float | bool | None:
    if "intValue" in value:
        return int(value["intValue"])
    if "doubleValue" in value:
        # JSON has no NaN: protobuf writes it, and infinities, as texts.
        return float(value["doubleValue"])
    found: str | bool | None = value.get("stringValue", value.get("boolValue"))
    return found
