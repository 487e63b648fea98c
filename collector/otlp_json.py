"""OTLP/JSON: the same groups of spans from the other encoding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from collector.otlp_attributes import Attributes, Wanted
from collector.otlp_schema import MalformedError
from collector.otlp_shapes import SERVING, STATUS_ERROR, Signature, SpanGroup


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"no JSON ({str(error)[:100]})") from error
    if not isinstance(document, Mapping):
        raise MalformedError("the JSON is no object")
    return document


def json_traces(body: bytes, wanted: Wanted) -> list[SpanGroup]:
    """Spans of a JSON request; MalformedError when it is none."""
    document = _json(body)
    try:
        return [
            _json_group(
                _json_attributes(resource_spans.get("resource", {}).get("attributes", [])),
                scope,
                wanted,
            )
            for resource_spans in document.get("resourceSpans", [])
            for scope in resource_spans.get("scopeSpans", [])
        ]
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise MalformedError(f"a field has another type than OTLP/JSON ({error})"[:200]) from error


def _json_group(resource: Attributes, scope: Mapping[str, Any], wanted: Wanted) -> SpanGroup:
    spans = scope.get("spans", [])
    return SpanGroup(
        resource,
        [_uint64(span.get("startTimeUnixNano", 0)) for span in spans],
        [_uint64(span.get("endTimeUnixNano", 0)) for span in spans],
        [_json_signature(span, wanted) for span in spans],
        list(_json_answers(spans, wanted)),
    )


def _json_answers(
    spans: Sequence[Mapping[str, Any]], wanted: Wanted
) -> Iterator[tuple[int, Mapping[str, object], str]]:
    for position, span in enumerate(spans):
        attributes = _json_attributes(span.get("attributes", []), lists=True)
        answer = {key: value for key, value in attributes.items() if key in wanted.answers}
        if answer:
            yield position, answer, str(span.get("traceId", "")).lower()


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
