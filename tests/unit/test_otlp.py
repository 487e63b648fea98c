"""OTLP over HTTP answers as the protocol says and stores what the published schema says."""

import gzip
import inspect
import json

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from support.otlp import END, Memory, attribute, post, request

from collector.otlp import receiver as otlp
from collector.otlp.naming import Naming
from collector.otlp.predictions import PredictionMapper
from collector.otlp.rows import Mapper
from nibai.config.otlp import Otlp
from nibai.errors import StoreError, ThrottledError
from nibai.histogram import OVERFLOW_BUCKET, bucket_index
from nibai.protocols import PushRequest


def test_a_configuration_that_says_nothing_is_the_receiver_by_itself():
    section = Otlp()
    rules = section.mapping.model_dump()
    assert PredictionMapper.from_options(rules.pop("prediction")) == PredictionMapper()
    assert Naming.from_options(rules) == Naming()
    most = inspect.signature(Mapper).parameters["max_series"].default
    assert section.max_series_per_minute == most


def test_an_instrumented_service_works_unconfigured():
    message = request(
        [{"ms": 12, "attributes": {"http.response.status_code": 200, "request.id": "x"}}],
        service_name="chat", service_namespace="prod", service_version="v7",
        service_instance_id="i-1",
    )  # fmt: skip
    answer, sink = post(message.SerializeToString())
    assert answer.status == 200
    assert ExportTraceServiceResponse.FromString(answer.body) == ExportTraceServiceResponse()
    (row,) = sink.rows()
    assert (row["endpoint"], row["variant"], row["replica"], row["metric"]) == (
        "otel/prod/chat", "v7", "i-1", "latency",
    )  # fmt: skip
    assert row["minute"] == END // 60_000_000_000
    assert row["bucket"] == bucket_index([0.012])[0]
    assert row["value"] == pytest.approx(0.012)


@pytest.mark.parametrize(
    ("span", "metric"),
    [
        ({"kind": 2}, "latency"),
        ({"kind": 5}, "latency"),
        ({"kind": 1}, None),
        ({"kind": 3, "attributes": {"gen_ai.operation.name": "chat"}}, "latency"),
        ({"kind": 3, "parent": b"p" * 8, "attributes": {"gen_ai.operation.name": "chat"}}, None),
        ({"kind": 1, "attributes": {"nibai.metric": "model_latency"}}, "model_latency"),
    ],
)
def test_which_spans_are_requests(span, metric):
    answer, sink = post(request([span], service_name="a").SerializeToString())
    assert answer.status == 200
    assert [row["metric"] for row in sink.rows()] == ([] if metric is None else [metric])


@pytest.mark.parametrize(
    ("span", "errors", "timeouts"),
    [
        ({}, 0, 0),
        ({"error": True}, 1, 0),
        ({"attributes": {"http.response.status_code": 503}}, 1, 0),
        ({"attributes": {"http.response.status_code": 429}}, 1, 0),
        ({"attributes": {"http.response.status_code": 504}}, 0, 1),
        ({"attributes": {"error.type": "DeadlineExceeded"}}, 0, 1),
        ({"attributes": {"error.type": "ValueError"}}, 1, 0),
    ],
)
def test_failed_requests_are_infinitely_slow(span, errors, timeouts):
    _, sink = post(request([span], service_name="a").SerializeToString())
    (row,) = sink.rows()
    assert (row["errors"], row["timeouts"]) == (errors, timeouts)
    assert (row["bucket"] == OVERFLOW_BUCKET) == bool(errors or timeouts)


def test_segments_by_attribute_and_token_bucket():
    spans = [
        {"attributes": {"nibai.segment": "tier=gold", "model": "m", "gen_ai.usage.input_tokens": n}}
        for n in (100, 500, 9000)
    ]
    options = {"segment_by": ["model"], "token_buckets": [128, 1024]}
    _, sink = post(request(spans, service_name="a").SerializeToString(), options=options)
    assert [row["segment"] for row in sink.rows()] == [
        "tier=gold,model=m,tokens=<=128",
        "tier=gold,model=m,tokens=129-1024",
        "tier=gold,model=m,tokens=>1024",
    ]


def test_series_are_bounded_per_minute():
    spans = [{"attributes": {"nibai.segment": f"tenant={i}"}} for i in range(50)]
    body = request(spans, service_name="a").SerializeToString()
    _, sink = post(body, options={"max_series": 10})
    segments = [row["segment"] for row in sink.rows()]
    assert len(set(segments)) == 11
    assert segments.count("other") == 40


@pytest.mark.parametrize("named", ["nibai.endpoint", "nibai.replica"])
def test_more_endpoints_or_replicas_than_series_are_left_out_and_counted(named):
    spans = [{"attributes": {named: f"one-{i}"}} for i in range(50)]
    body = request(spans, service_name="a").SerializeToString()
    answer, sink = post(body, options={"max_series": 10})
    assert len(sink.rows()) == 20
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert told.rejected_spans == 30
    assert told.error_message.startswith("too many series in one minute")


def test_names_are_short_and_on_one_line_and_blank_ones_are_none():
    names = ["x" * 5000, "a/b/c\nforged", " \t"]
    body = request([{"attributes": {"nibai.endpoint": name}} for name in names], service_name="a")
    _, sink = post(body.SerializeToString())
    long, plain, fallback = [row["endpoint"] for row in sink.rows()]
    assert (len(long), long[:239]) == (256, "x" * 239)
    assert (plain, fallback) == ("a/b/c forged", "otel/default/a")


def test_unusable_spans_are_counted_and_the_rest_is_kept():
    message = request([{"ms": 10}, {"ms": -5}, {"ms": 20}], service_name="a")
    message.resource_spans[0].scope_spans[0].spans[2].start_time_unix_nano = 0
    answer, sink = post(message.SerializeToString())
    assert answer.status == 200
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_spans == 2
    assert "ends before it starts" in partial.error_message
    assert len(sink.rows()) == 1


# -- the protocol -----------------------------------------------------------------------------


def test_json_gives_the_same_rows_as_protobuf():
    message = request(
        [{"ms": 12, "error": True, "attributes": {"nibai.segment": "a=b", "n": 5}}, {"kind": 1}],
        service_name="a", nibai_variant="v",
    )  # fmt: skip
    text = json_format.MessageToJson(message)
    answer, sink = post(text.encode(), content_type="application/json; charset=utf-8")
    assert answer.status == 200
    assert json.loads(answer.body) == {}
    assert answer.content_type == "application/json"
    assert _same(sink.rows(), post(message.SerializeToString())[1].rows())


def test_gzip_and_what_is_no_gzip():
    body = request([{}], service_name="a").SerializeToString()
    assert post(gzip.compress(body), content_encoding="gzip")[1].rows()
    for bad in (b"no gzip", gzip.compress(body)[:-6]):
        answer, sink = post(bad, content_encoding="gzip")
        assert answer.status == 400
        assert not sink.batches


def test_a_bomb_is_refused_without_being_inflated():
    answer, sink = post(
        gzip.compress(b"\0" * 50_000_000), content_encoding="gzip", options={"max_body": 1_000_000}
    )
    assert answer.status == 413
    assert not sink.batches


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05ab", b"{"])
def test_malformed_bytes_get_400_and_harm_nothing(body):
    answer, sink = post(body)
    assert answer.status == 400
    answer, sink = post(body, content_type="application/json")
    assert answer.status == 400
    assert "malformed" in json.loads(answer.body)["message"]
    assert not sink.batches


ODD = (
    b"[]",
    b'{"resourceSpans": 5}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "x"}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "-1"}]}]}]}',
)


@pytest.mark.parametrize("body", ODD)
def test_json_of_another_shape_gets_400(body):
    assert post(body, content_type="application/json")[0].status == 400


def test_half_a_surrogate_pair_is_no_text():
    name = {"key": "nibai.endpoint", "value": {"stringValue": "a/b/\ud800"}}
    span = {"kind": 2, "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [name]}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    answer, sink = post(body, content_type="application/json")
    assert (answer.status, sink.batches) == (400, [])
    assert "half of a surrogate pair" in json.loads(answer.body)["message"]


def test_another_content_type_gets_415():
    assert post(b"", content_type="text/plain")[0].status == 415


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate"])
def test_another_compression_gets_415_and_not_malformed(encoding):
    answer, sink = post(request([{}]).SerializeToString(), content_encoding=encoding)
    assert answer.status == 415
    assert encoding.encode() in answer.body
    assert not sink.batches


def test_back_pressure_and_a_full_disk_ask_to_come_back():
    body = request([{}], service_name="a").SerializeToString()
    answer, _ = post(body, sink=Memory(ThrottledError("full", retry_after_seconds=4.2)))
    assert (answer.status, answer.headers["retry-after"]) == (429, "5")
    answer, _ = post(body, sink=Memory(StoreError("disk full")))
    assert answer.status == 503
    assert "retry-after" in answer.headers


def test_the_same_bytes_have_the_same_digest_and_other_bytes_another():
    one = request([{"ms": 1}], service_name="a").SerializeToString()
    two = request([{"ms": 2}], service_name="a").SerializeToString()
    sink = Memory()
    for body in (one, two, one):
        post(body, sink=sink)
    assert sink.digests[0] == sink.digests[2] != sink.digests[1]
    assert len(sink.digests[0]) == 16


# -- metrics ----------------------------------------------------------------------------------


def histograms(values, *, cumulative=False, name="http.server.request.duration", unit="s"):
    message = ExportMetricsServiceRequest()
    group = message.resource_metrics.add()
    attribute(group.resource, "service.name", "a")
    metric = group.scope_metrics.add().metrics.add(name=name, unit=unit)
    metric.exponential_histogram.aggregation_temporality = 2 if cumulative else 1
    index = bucket_index(values)
    point = metric.exponential_histogram.data_points.add(
        start_time_unix_nano=END - 10**9, time_unix_nano=END, scale=5, count=len(values),
        sum=float(np.sum(values)),
    )  # fmt: skip
    point.positive.offset = int(index.min())
    point.positive.bucket_counts.extend(np.bincount(index - index.min()).tolist())
    return message


def test_an_exponential_histogram_is_stored_bucket_by_bucket():
    values = [0.1, 0.1, 0.2, 0.5]
    _, sink = post(histograms(values).SerializeToString(), "/v1/metrics")
    rows = {row["bucket"]: row["count"] for row in sink.rows()}
    assert rows == {int(b): int((bucket_index(values) == b).sum()) for b in bucket_index(values)}
    assert sum(row["value"] for row in sink.rows()) == pytest.approx(0.9)


def test_a_cumulative_histogram_is_counted_once_and_survives_a_restart_of_its_process():
    receiver, sink = otlp.build({}), Memory()
    headers = {"content-type": otlp.PROTOBUF}
    for values, restarted in (([0.1, 0.5], 0), ([0.1, 0.1, 0.5], 0), ([0.1, 0.5], 1)):
        message = histograms(values, cumulative=True)
        point = message.resource_metrics[0].scope_metrics[0].metrics[0]
        point.exponential_histogram.data_points[0].start_time_unix_nano += restarted
        receiver.receive(PushRequest("/v1/metrics", headers, message.SerializeToString()), sink)
    assert sum(row["count"] for row in sink.rows()) == 2 + 1 + 2


def test_an_explicit_histogram_keeps_its_counts_between_its_bounds():
    message = ExportMetricsServiceRequest()
    metric = (
        message.resource_metrics.add()
        .scope_metrics.add()
        .metrics.add(name="http.server.request.duration", unit="ms")
    )
    metric.histogram.aggregation_temporality = 1
    metric.histogram.data_points.add(
        time_unix_nano=END, count=100, sum=9000.0, bucket_counts=[0, 60, 40, 0],
        explicit_bounds=[50, 100, 200],
    )  # fmt: skip
    _, sink = post(message.SerializeToString(), "/v1/metrics")
    rows = sink.rows()
    low = sum(row["count"] for row in rows if row["bucket"] <= bucket_index([0.1])[0])
    assert (low, sum(row["count"] for row in rows)) == (60, 100)
    assert sum(row["value"] for row in rows) == pytest.approx(9.0)
    assert {row["provenance"] for row in rows} == {"explicit"}, "its width enters the interval"


def test_other_metrics_are_counted_as_left_out():
    message = histograms([0.1], name="my.queue.depth")
    gauge = message.resource_metrics[0].scope_metrics[0].metrics.add(name="g")
    gauge.gauge.data_points.add(as_int=1)
    answer, sink = post(message.SerializeToString(), "/v1/metrics")
    assert answer.status == 200
    assert b"only histograms are stored" in answer.body
    assert not sink.batches


# -- against the published schema ---------------------------------------------------------------

texts = st.sampled_from(["a", "b", "c"])
spans = st.lists(
    st.fixed_dictionaries(
        {
            "ms": st.floats(0.001, 1e4),
            "kind": st.integers(0, 5),
            "error": st.booleans(),
            "parent": st.sampled_from([b"", b"p" * 8]),
            "attributes": st.dictionaries(
                st.sampled_from(
                    ["nibai.segment", "nibai.variant", "nibai.metric", "http.response.status_code",
                     "error.type", "gen_ai.operation.name", "other", "x" * 200]
                ),
                texts | st.integers(100, 599) | st.booleans() | st.floats(0, 1),
                max_size=6,
            ),
        }
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60)
@given(spans, texts)
def test_the_fast_decoder_reads_what_the_published_one_reads(rows, name):
    """JSON goes through the published classes' own printer, protobuf through the trimmed schema."""
    message = request(rows, service_name=name)
    fast = post(message.SerializeToString())[1].rows()
    published = json_format.MessageToJson(
        ExportTraceServiceRequest.FromString(message.SerializeToString())
    )
    slow = post(published.encode(), content_type="application/json")[1].rows()
    assert _same(fast, slow)


def _same(one, other):
    return json.dumps(one) == json.dumps(other)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(st.binary(max_size=400), st.booleans(), st.sampled_from(["/v1/traces", "/v1/metrics"]))
def test_arbitrary_bytes_are_answered_and_harm_nothing(body, as_json, path):
    kind = otlp.JSON if as_json else otlp.PROTOBUF
    assert post(body, path, content_type=kind)[0].status in (200, 400)


@pytest.mark.slow
@settings(max_examples=5_000)
@given(spans, st.data())
def test_damaged_requests_are_answered_and_harm_nothing(rows, data):
    body = bytearray(request(rows, service_name="a").SerializeToString())
    for _ in range(data.draw(st.integers(1, 5))):
        if body:
            at = data.draw(st.integers(0, len(body) - 1))
            body[at] = data.draw(st.integers(0, 255))
    assert post(bytes(body))[0].status in (200, 400)
