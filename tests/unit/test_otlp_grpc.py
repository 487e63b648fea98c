"""OTLP over gRPC with the SDK's kind of client: the same answers as over HTTP, as statuses."""

import gzip

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from support.otlp import Memory, request

from collector.otlp import over_grpc as otlp_grpc
from collector.otlp import receiver as otlp
from nibai.errors import ConfigError, StoreError, ThrottledError

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
LIMIT = 100_000


@pytest.fixture
def sink():
    return Memory()


def traces(*spans):
    named = {"attributes": {"nibai.endpoint": "onprem/tokyo/ocr"}}
    return request([named | one for one in spans]).SerializeToString()


@pytest.fixture
def allowed():
    return lambda _authorization, _names: True


@pytest.fixture
def channel(sink, allowed):
    listener = otlp_grpc.build({"address": "127.0.0.1:0", "max_body": LIMIT})
    address, stop = listener.listen(otlp.build({"max_body": LIMIT}), sink, allowed)
    with grpc.insecure_channel(address) as opened:
        yield opened
    stop()


def export(channel, body, method=TRACES, **options):
    return channel.unary_unary(method)(body, timeout=20, **options)


def test_spans_are_stored_before_the_answer(channel, sink):
    answer = export(channel, traces({}, {}))
    assert len(sink.rows()) == 2
    assert trace_service_pb2.ExportTraceServiceResponse.FromString(answer).ByteSize() == 0
    empty = metrics_service_pb2.ExportMetricsServiceRequest().SerializeToString()
    assert export(channel, empty, METRICS) == b""


def test_unusable_spans_are_counted_in_the_answer(channel, sink):
    answer = export(channel, traces({}, {"ms": -5}))
    partial = trace_service_pb2.ExportTraceServiceResponse.FromString(answer).partial_success
    assert (len(sink.rows()), partial.rejected_spans) == (1, 1)


def test_compressed_calls_are_taken(channel, sink):
    export(channel, traces(*[{}] * 50), compression=grpc.Compression.Gzip)
    assert len(sink.rows()) == 50


@pytest.mark.parametrize(
    ("error", "code", "wait"),
    [
        (ThrottledError("the log is full", retry_after_seconds=7.0), "RESOURCE_EXHAUSTED", 7),
        (StoreError("the disk is full"), "UNAVAILABLE", 30),
    ],
)
def test_back_pressure_says_how_long_to_wait(channel, sink, error, code, wait):
    sink.error = error
    with pytest.raises(grpc.RpcError) as raised:
        export(channel, traces({}))
    assert raised.value.code() is grpc.StatusCode[code]
    assert raised.value.details() == str(error)
    (detail,) = [v for k, v in raised.value.trailing_metadata() if k == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(detail)
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert (status.code, retry.retry_delay.seconds) == (raised.value.code().value[0], wait)


def test_bytes_that_are_no_request_are_refused(channel, sink):
    with pytest.raises(grpc.RpcError) as raised:
        export(channel, b"\xff\xff\xff")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith("malformed request: ")
    assert len(sink.rows()) == 0


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_too_large_a_call_is_refused_compressed_or_not(channel, sink, compression):
    bomb = bytes(LIMIT * 40)
    assert len(gzip.compress(bomb)) < LIMIT
    with pytest.raises(grpc.RpcError) as raised:
        export(channel, bomb, compression=compression)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(sink.rows()) == 0


@pytest.fixture
def token(request):
    del request
    return "Bearer secret"


class TestWithToken:
    @pytest.fixture
    def allowed(self, token):
        return lambda authorization, _names: authorization == token

    def test_a_call_without_it_is_refused(self, channel, sink, token):
        for metadata in ((), (("authorization", "Bearer other"),)):
            with pytest.raises(grpc.RpcError) as raised:
                export(channel, traces({}), metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert len(sink.rows()) == 0
        export(channel, traces({}), metadata=(("authorization", token),))
        assert len(sink.rows()) == 1


def test_an_address_in_use_is_said(sink, allowed):
    receiver = otlp.build({})
    address, stop = otlp_grpc.build({"address": "127.0.0.1:0", "max_body": LIMIT}).listen(
        receiver, sink, allowed
    )
    with pytest.raises(ConfigError, match=f"otlp.grpc: {address} cannot be opened"):
        otlp_grpc.build({"address": address, "max_body": LIMIT}).listen(receiver, sink, allowed)
    stop()
