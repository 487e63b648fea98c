"""OTLP requests as plain groups of spans and histogram points.

Protobuf is read through a trimmed schema: attributes stay raw bytes and unread fields are skipped,
which the wire format allows. Equal attribute bytes are decoded once (a bounded cache), so a span
costs a few look-ups. A test compares every result with the published schema's own decoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

CACHE_ENTRIES = 50_000
IGNORED_ENTRIES = 4096

STATUS_ERROR = 2
KIND_SERVER = 2
KIND_CONSUMER = 5
SERVING = (KIND_SERVER, KIND_CONSUMER)

Attributes = Mapping[str, str | int | float | bool]


class MalformedError(ValueError):
    """The bytes are no OTLP request."""


Signature = tuple[object, ...]
"""What decides a span's series and outcome: kind, nested, error, then its wanted attributes."""


class Wanted:
    """The attributes that are looked at; all others, such as trace flags, are skipped undecoded.

    `keys` decide a span's series and outcome; what `answers` say is new with every span.
    """

    def __init__(self, keys: Iterable[str], answers: Iterable[str] = ()) -> None:
        self.keys = frozenset(keys)
        self.answers = frozenset(answers)
        self._raw_keys = frozenset(key.encode() for key in self.keys)
        self._raw_answers = frozenset(key.encode() for key in self.answers)
        self.known: set[bytes] = set()
        self.ignored: set[bytes] = set()

    def is_wanted(self, raw: bytes, answer: list[bytes]) -> bool:
        """Whether a raw KeyValue has a wanted key (a key of up to 127 bytes stands first).

        One that belongs to an answer is put there.
        """
        if len(raw) > 1 and raw[0] == 0x0A and raw[1] < 0x80:  # noqa: PLR2004 - field 1, short
            key = raw[2 : 2 + raw[1]]
        else:
            key = _key_value(raw)[0].encode()
        if key in self._raw_answers:
            # Neither known nor ignored: the next span's is an answer's again.
            answer.append(raw)
            return key in self._raw_keys
        wanted = key in self._raw_keys
        if wanted:
            if len(self.known) >= CACHE_ENTRIES:
                self.known.clear()
            self.known.add(raw)
        elif len(self.ignored) < IGNORED_ENTRIES:
            # Ids fill this once and stay out; what every span repeats came in before.
            self.ignored.add(raw)
        return wanted


@dataclass(frozen=True, slots=True)
class SpanGroup:
    """Spans of one resource; all sequences have one entry per span (times in nanoseconds).

    `answers` hold the attributes and the trace of spans that may carry a prediction, by position.
    """

    resource: Attributes
    starts: Sequence[int]
    ends: Sequence[int]
    signatures: Sequence[Signature]
    answers: Sequence[tuple[int, Mapping[str, object], str]] = ()

    @staticmethod
    def read(signature: Signature) -> tuple[int, bool, bool, Attributes]:
        """(kind, nested, error, wanted attributes) behind a signature."""
        kind, nested, error, *rest = signature
        pairs: list[tuple[str, Any]] = [
            _key_value(one) if isinstance(one, bytes) else cast("tuple[str, Any]", one)
            for one in rest
        ]
        found = {key: value for key, value in pairs if value is not None}
        return int(str(kind)), bool(nested), bool(error), found


@dataclass(frozen=True, slots=True)
class Point:
    """One histogram point: explicit (`bounds`) or exponential (`scale`, `offset`, `zero`)."""

    resource: Attributes
    metric: str
    unit: str
    cumulative: bool
    attributes: Attributes
    time: int
    start: int
    sum: float
    counts: Sequence[int]
    bounds: Sequence[float] | None
    scale: int = 0
    offset: int = 0
    zero: int = 0


Decoded = tuple[list[SpanGroup], list[Point], int]
"""Spans, points, and data points of kinds that are not histograms (left out, counted)."""


def decode_traces(body: bytes, wanted: Wanted, *, as_json: bool) -> Decoded:
    """Spans of an ExportTraceServiceRequest."""
    if as_json:
        return _json_traces(_json(body), wanted), [], 0
    request = _parse(_TRACES, body)
    groups = []
    for resource_spans in request.resource_spans:
        resource = attributes_of(resource_spans.resource.attributes)
        groups += [
            _span_group(resource, scope.spans, wanted) for scope in resource_spans.scope_spans
        ]
    return groups, [], 0


def decode_metrics(body: bytes, *, as_json: bool) -> Decoded:
    """Histogram points of an ExportMetricsServiceRequest."""
    if as_json:
        from google.protobuf import json_format  # noqa: PLC0415 - rare
        from opentelemetry.proto.collector.metrics.v1 import (  # noqa: PLC0415 - rare
            metrics_service_pb2,
        )

        request = metrics_service_pb2.ExportMetricsServiceRequest()
        try:
            json_format.Parse(body, request, ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise MalformedError(str(error).splitlines()[0][:200]) from error
        body = request.SerializeToString()
    points: list[Point] = []
    others = 0
    for resource_metrics in _parse(_METRICS, body).resource_metrics:
        resource = attributes_of(resource_metrics.resource.attributes)
        for scope in resource_metrics.scope_metrics:
            for metric in scope.metrics:
                others += len(metric.gauge.data_points) + len(metric.sum.data_points)
                points += _points(resource, metric)
    return [], points, others


def attributes_of(raw: Sequence[bytes]) -> dict[str, str | int | float | bool]:
    """Attributes from their raw KeyValue bytes; lists, maps and bytes are left out."""
    found = {}
    for one in raw:
        pair = _CACHE.get(one)
        if pair is None:
            pair = _key_value(one)
        if pair[1] is not None:
            found[pair[0]] = pair[1]
    return found


_CACHE: dict[bytes, tuple[str, Any]] = {}


def _key_value(raw: bytes) -> tuple[str, Any]:
    message = KeyValue()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise MalformedError("an attribute cannot be decoded") from error
    pair = (message.key, _scalar(message.value))
    if len(_CACHE) >= CACHE_ENTRIES:
        _CACHE.clear()  # request ids fill it; the few real ones come back at once
    _CACHE[raw] = pair
    return pair


def _scalar(value: AnyValue) -> str | int | float | bool | None:
    kind = value.WhichOneof("value")
    if kind in ("string_value", "int_value", "double_value", "bool_value"):
        found: str | int | float | bool = getattr(value, kind)
        return found
    return None


def _span_group(resource: Attributes, spans: Any, wanted: Wanted) -> SpanGroup:  # noqa: ANN401 - protobuf
    known, ignored, is_wanted = wanted.known, wanted.ignored, wanted.is_wanted
    signatures: list[Signature] = []
    answers = []
    answer: list[bytes] = []
    for span in spans:
        kind = span.kind
        own = [
            raw
            for raw in span.attributes
            if raw in known or (raw not in ignored and is_wanted(raw, answer))
        ]
        if answer:
            answers.append((len(signatures), dict(map(_answer, answer)), span.trace_id.hex()))
            answer = []
        status = span.status
        # A span that serves is a request wherever it stands; of others only roots may be.
        nested = kind not in SERVING and bool(span.parent_span_id)
        signatures.append((kind, nested, bool(status) and _is_error(status), *own))
    return SpanGroup(
        resource,
        [span.start_time_unix_nano for span in spans],
        [span.end_time_unix_nano for span in spans],
        signatures,
        answers,
    )


def _answer(raw: bytes) -> tuple[str, object]:
    """One attribute of an answer, lists included; ids are new every time and not remembered."""
    message = KeyValue()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise MalformedError("an attribute cannot be decoded") from error
    value = message.value
    if value.WhichOneof("value") == "array_value":
        return message.key, [_scalar(one) for one in value.array_value.values]
    return message.key, _scalar(value)


def _is_error(status: bytes) -> bool:
    return bool(_parse(_STATUS, status).code == STATUS_ERROR)


def _points(resource: Attributes, metric: Any) -> list[Point]:  # noqa: ANN401 - protobuf
    found = []
    for family in (metric.histogram, metric.exponential_histogram):
        cumulative = family.aggregation_temporality == 2  # noqa: PLR2004 - CUMULATIVE
        for point in family.data_points:
            explicit = hasattr(point, "explicit_bounds")
            found.append(
                Point(
                    resource,
                    metric.name,
                    metric.unit,
                    cumulative,
                    attributes_of(point.attributes),
                    point.time_unix_nano,
                    point.start_time_unix_nano,
                    point.sum,
                    list(point.bucket_counts if explicit else point.positive.bucket_counts),
                    list(point.explicit_bounds) if explicit else None,
                    0 if explicit else point.scale,
                    0 if explicit else point.positive.offset,
                    0 if explicit else point.zero_count,
                )
            )
    return found


# -- JSON -------------------------------------------------------------------------------------


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"no JSON ({str(error)[:100]})") from error
    if not isinstance(document, Mapping):
        raise MalformedError("the JSON is no object")
    return document


def _json_traces(document: Mapping[str, Any], wanted: Wanted) -> list[SpanGroup]:
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


# -- the trimmed schema -------------------------------------------------------------------------


def _parse(factory: Any, body: bytes) -> Any:  # noqa: ANN401 - protobuf
    message = factory()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise MalformedError("the bytes are no OTLP protobuf message") from error
    return message


_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bytes": _FIELD.TYPE_BYTES, "string": _FIELD.TYPE_STRING, "int32": _FIELD.TYPE_INT32,
    "sint32": _FIELD.TYPE_SINT32, "uint64": _FIELD.TYPE_UINT64, "fixed64": _FIELD.TYPE_FIXED64,
    "double": _FIELD.TYPE_DOUBLE,
}  # fmt: skip

# message -> (field, number, type or message, repeated); numbers as in the published .proto files.
_MESSAGES: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "Resource": (("attributes", 1, "bytes", True),),
    "Status": (("code", 3, "int32", False),),
    "Span": (
        ("trace_id", 1, "bytes", False),
        ("parent_span_id", 4, "bytes", False),
        ("kind", 6, "int32", False),
        ("start_time_unix_nano", 7, "fixed64", False),
        ("end_time_unix_nano", 8, "fixed64", False),
        ("attributes", 9, "bytes", True),
        ("status", 15, "bytes", False),  # decoded on its own, since most spans have none
    ),
    "ScopeSpans": (("spans", 2, "Span", True),),
    "ResourceSpans": (("resource", 1, "Resource", False), ("scope_spans", 2, "ScopeSpans", True)),
    "Traces": (("resource_spans", 1, "ResourceSpans", True),),
    "NumberPoint": (("time_unix_nano", 3, "fixed64", False),),
    "Numbers": (("data_points", 1, "NumberPoint", True),),
    "HistogramPoint": (
        ("start_time_unix_nano", 2, "fixed64", False),
        ("time_unix_nano", 3, "fixed64", False),
        ("sum", 5, "double", False),
        ("bucket_counts", 6, "fixed64", True),
        ("explicit_bounds", 7, "double", True),
        ("attributes", 9, "bytes", True),
    ),
    "Histogram": (
        ("data_points", 1, "HistogramPoint", True),
        ("aggregation_temporality", 2, "int32", False),
    ),
    "Buckets": (("offset", 1, "sint32", False), ("bucket_counts", 2, "uint64", True)),
    "ExponentialPoint": (
        ("attributes", 1, "bytes", True),
        ("start_time_unix_nano", 2, "fixed64", False),
        ("time_unix_nano", 3, "fixed64", False),
        ("sum", 5, "double", False),
        ("scale", 6, "sint32", False),
        ("zero_count", 7, "fixed64", False),
        ("positive", 8, "Buckets", False),
    ),
    "ExponentialHistogram": (
        ("data_points", 1, "ExponentialPoint", True),
        ("aggregation_temporality", 2, "int32", False),
    ),
    "Metric": (
        ("name", 1, "string", False),
        ("unit", 3, "string", False),
        ("gauge", 5, "Numbers", False),
        ("sum", 7, "Numbers", False),
        ("histogram", 9, "Histogram", False),
        ("exponential_histogram", 10, "ExponentialHistogram", False),
    ),
    "ScopeMetrics": (("metrics", 2, "Metric", True),),
    "ResourceMetrics": (
        ("resource", 1, "Resource", False),
        ("scope_metrics", 2, "ScopeMetrics", True),
    ),
    "Metrics": (("resource_metrics", 1, "ResourceMetrics", True),),
}


def _factories(*names: str) -> list[Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="nibai/otlp_trimmed.proto", package="nibai.otlp", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            entry = message.field.add(name=field, number=number)
            entry.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if kind in _TYPES:
                entry.type = _TYPES[kind]
            else:
                entry.type = _FIELD.TYPE_MESSAGE
                entry.type_name = f".nibai.otlp.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"nibai.otlp.{name}"))
        for name in names
    ]


_TRACES, _METRICS, _STATUS = _factories("Traces", "Metrics", "Status")
