"""The parts of the OTLP schema that are read; unread fields are skipped, as the format allows.

Attributes stay raw bytes. A test compares every result with the published schema's own decoder.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError


class MalformedError(ValueError):
    """The bytes are no OTLP request."""


def parse(factory: Any, body: bytes) -> Any:  # noqa: ANN401 - protobuf
    """A message of a factory; MalformedError when the bytes are none."""
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
        ("status", 15, "bytes", False),  # read on its own, since most spans have none
    ),
    "ScopeSpans": (("spans", 2, "bytes", True),),  # many at once are quicker without messages
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


TRACES, SPAN, METRICS, _STATUS = _factories("Traces", "Span", "Metrics", "Status")

STATUS_ERROR = 2


def is_error(status: bytes) -> bool:
    """Whether the bytes of a status say that the span failed."""
    return bool(status) and bool(parse(_STATUS, status).code == STATUS_ERROR)
