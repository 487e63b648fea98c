"""OTLP requests as plain groups of spans and histogram points.

Equal attribute bytes are decoded once (a bounded cache), so a span costs a few look-ups.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.otlp_attributes import Attributes, Wanted, attributes_of, scalar
from collector.otlp_json import json_traces
from collector.otlp_schema import METRICS, STATUS, TRACES, MalformedError, parse
from collector.otlp_shapes import SERVING, STATUS_ERROR, Decoded, Point, Signature, SpanGroup


def decode_traces(body: bytes, wanted: Wanted, *, as_json: bool) -> Decoded:
    """Spans of an ExportTraceServiceRequest."""
    if as_json:
        return json_traces(body, wanted), [], 0
    request = parse(TRACES, body)
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
    for resource_metrics in parse(METRICS, body).resource_metrics:
        resource = attributes_of(resource_metrics.resource.attributes)
        for scope in resource_metrics.scope_metrics:
            for metric in scope.metrics:
                others += len(metric.gauge.data_points) + len(metric.sum.data_points)
                points += _points(resource, metric)
    return [], points, others


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
        return message.key, [scalar(one) for one in value.array_value.values]
    return message.key, scalar(value)


def _is_error(status: bytes) -> bool:
    return bool(parse(STATUS, status).code == STATUS_ERROR)


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
