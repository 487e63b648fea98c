"""OTLP requests as the columns of their spans, and as histogram points."""

from __future__ import annotations

from typing import Any

from collector.otlp.attributes import Attributes, Wanted, attributes_of
from collector.otlp.json_form import json_traces
from collector.otlp.schema import METRICS, TRACES, MalformedError, parse
from collector.otlp.shapes import Decoded, Point, Spans
from collector.otlp.spans import read_spans


def decode_traces(body: bytes, wanted: Wanted, *, as_json: bool) -> Decoded:
    """Spans of an ExportTraceServiceRequest."""
    if as_json:
        return json_traces(body, wanted), [], 0
    raws: list[bytes] = []
    resources, sizes = [], []
    for resource_spans in parse(TRACES, body).resource_spans:
        resource = attributes_of(resource_spans.resource.attributes)
        for scope in resource_spans.scope_spans:
            resources.append(resource)
            sizes.append(len(scope.spans))
            raws += scope.spans
    spans = Spans(resources, sizes)
    read_spans(raws, wanted, spans)
    return spans, [], 0


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
    return Spans([], []), points, others


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
