"""Prometheus' protobuf exposition with native histograms, encoded by ourselves.

No Python client can: prometheus-client has no protobuf encoder, OpenTelemetry's exporter drops
exponential histograms. Prometheus numbers buckets by their upper bound, so its index is ours + 1.
Source: github.com/prometheus/client_model, metrics.proto; delimited by varints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from nibai.exposition.families import Family, HistogramValue, Sample
from nibai.histogram import ZERO_THRESHOLD, BlockHistograms
from nibai.metric_registry import MetricType

NATIVE_TYPE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
MOST_BUCKETS = 160
LARGEST_EXPONENT = 1024
"""Doubles end at 2^1024; the bucket after the last finite one takes what never completed."""

_PACKAGE = "io.prometheus.client"
_TYPES = {MetricType.COUNTER: 0, MetricType.GAUGE: 1, MetricType.HISTOGRAM: 4}
_INNER = {MetricType.COUNTER: "counter", MetricType.GAUGE: "gauge"}

_FIELDS: dict[str, tuple[tuple[int, str, str, bool], ...]] = {
    "LabelPair": ((1, "name", "string", False), (2, "value", "string", False)),
    "Gauge": ((1, "value", "double", False),),
    "Counter": ((1, "value", "double", False),),
    "BucketSpan": ((1, "offset", "sint32", False), (2, "length", "uint32", False)),
    "Histogram": (
        (1, "sample_count", "uint64", False),
        (2, "sample_sum", "double", False),
        (5, "schema", "sint32", False),
        (6, "zero_threshold", "double", False),
        (7, "zero_count", "uint64", False),
        (12, "positive_span", "BucketSpan", True),
        (13, "positive_delta", "sint64", True),
    ),
    "Metric": (
        (1, "label", "LabelPair", True),
        (2, "gauge", "Gauge", False),
        (3, "counter", "Counter", False),
        (7, "histogram", "Histogram", False),
    ),
    "MetricFamily": (
        (1, "name", "string", False),
        (2, "help", "string", False),
        (3, "type", "int32", False),  # an enumeration, which is written as its number
        (4, "metric", "Metric", True),
    ),
}
_KINDS = {
    "double": 1,
    "uint64": 4,
    "int32": 5,
    "string": 9,
    "uint32": 13,
    "sint32": 17,
    "sint64": 18,
}


def encode_native(families: Iterable[Family], most_buckets: int = MOST_BUCKETS) -> bytes:
    """All families, each with its length before it."""
    parts = []
    for family in families:
        text = _family(family, most_buckets).SerializeToString(deterministic=True)
        parts += [_varint(len(text)), text]
    return b"".join(parts)


def message(name: str) -> Any:  # noqa: ANN401 - a class made at run time
    """A message class of metrics.proto, of the fields that nibai uses."""
    return _messages()[name]


@cache
def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="nibai/metrics.proto", package=_PACKAGE, syntax="proto3"
    )
    for title, fields in _FIELDS.items():
        made = file.message_type.add(name=title)
        for number, label, kind, repeated in fields:
            field = made.field.add(name=label, number=number, label=3 if repeated else 1)
            if kind in _KINDS:
                field.type = _KINDS[kind]  # type: ignore[assignment]
            else:
                field.type = field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        title: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{title}"))
        for title in _FIELDS
    }


def native_buckets(
    counts: BlockHistograms, most: int = MOST_BUCKETS
) -> tuple[int, list[tuple[int, int]], list[int]]:
    """(schema, spans, deltas) of one block; the scale falls until at most `most` are filled.

    >>> native_buckets(BlockHistograms.from_values([1.0, 2.0, 2.0]))
    (5, [(0, 1), (31, 1)], [1, 1])
    """
    one = counts
    while one.scale > -4 and np.count_nonzero(one.counts[0]) >= most:  # noqa: PLR2004 - Prometheus' least
        one = one.downscale(one.scale - 1)
    filled = np.flatnonzero(one.counts[0] > 0)
    index = filled + one.offset + 1
    found = one.counts[0][filled]
    lost = int(one.overflow[0])
    if lost > 0:
        index = np.append(index, int(LARGEST_EXPONENT * 2.0**one.scale) + 1)
        found = np.append(found, lost)
    if not len(index):
        return one.scale, [], []
    starts = np.flatnonzero(np.r_[True, np.diff(index) > 1])
    ends = np.r_[starts[1:], len(index)]
    before = np.r_[0, index[ends[:-1] - 1] + 1]
    spans = zip((index[starts] - before).tolist(), (ends - starts).tolist(), strict=True)
    return one.scale, list(spans), np.diff(found, prepend=0).tolist()


def _family(family: Family, most_buckets: int) -> Any:  # noqa: ANN401 - see message
    exported = family.exported
    made = message("MetricFamily")(
        name=exported.name, help=exported.help, type=_TYPES[exported.type]
    )
    made.metric.extend(_metrics(family, most_buckets))
    return made


def _metrics(family: Family, most_buckets: int) -> Iterator[Any]:
    kind = family.exported.type
    for sample in family.samples:
        metric = message("Metric")(label=_labels(family, sample))
        if isinstance(sample.value, HistogramValue):
            metric.histogram.CopyFrom(_histogram(sample.value, most_buckets))
        else:
            getattr(metric, _INNER[kind]).value = sample.value
        yield metric


def _labels(family: Family, sample: Sample) -> list[Any]:
    pair = message("LabelPair")
    return [
        pair(name=name, value=value)
        for name, value in sorted(zip(family.exported.labels, sample.labels, strict=True))
        if value
    ]


def _histogram(value: HistogramValue, most_buckets: int) -> Any:  # noqa: ANN401 - see message
    schema, spans, deltas = native_buckets(value.counts, most_buckets)
    zero = int(value.counts.zero[0])
    span = message("BucketSpan")
    made = message("Histogram")(
        sample_count=value.count,
        sample_sum=value.sum,
        schema=schema,
        zero_threshold=ZERO_THRESHOLD,
        zero_count=zero,
        positive_delta=deltas,
        positive_span=[span(offset=offset, length=length) for offset, length in spans],
    )
    if not spans:
        # Without a span, and with a threshold, it would pass for a classic histogram.
        made.positive_span.append(span(offset=0, length=0))
    return made


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:  # noqa: PLR2004 - seven bits a byte
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
