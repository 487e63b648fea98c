"""OTLP requests made from plain values, and a sink that keeps what it is given."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.otlp import receiver as otlp
from nibai.protocols import PushRequest

END = 1_750_000_000_000_000_000


class Memory:
    """A sink that keeps what it is given."""

    def __init__(self, error=None):
        self.batches, self.digests, self.error = [], [], error
        self.answered = []

    def append(self, batch, digest=None, predictions=None):
        if self.error is not None:
            raise self.error
        if batch is not None:
            self.batches.append(batch)
        if predictions is not None:
            self.answered += predictions.to_pylist()
        self.digests.append(digest)

    def rows(self):
        return [row for batch in self.batches for row in batch.to_pylist()]


def post(body, path="/v1/traces", sink=None, options=None, **headers):
    receiver = otlp.build(options or {})
    named = {"content-type": otlp.PROTOBUF} | {k.replace("_", "-"): v for k, v in headers.items()}
    sink = sink or Memory()
    return receiver.receive(PushRequest(path, named, body), sink), sink


def attribute(target, key, value):
    kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
    setattr(target.attributes.add(key=key).value, kind[type(value)], value)


def request(spans, **resource):
    """`spans`: dictionaries with ms, kind, error, parent and attributes."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, value in resource.items():
        attribute(group.resource, key.replace("_", "."), value)
    scope = group.scope_spans.add()
    for one in spans:
        span = scope.spans.add(
            name="POST", kind=one.get("kind", 2), end_time_unix_nano=END,
            start_time_unix_nano=END - int(one.get("ms", 10) * 1e6), trace_id=b"t" * 16,
            span_id=b"s" * 8, parent_span_id=one.get("parent", b""),
        )  # fmt: skip
        if one.get("error"):
            span.status.code = 2
        for key, value in one.get("attributes", {}).items():
            attribute(span, key, value)
    return message
