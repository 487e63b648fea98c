"""Answers that spans carry: stored beside the latency, one row each, without payloads."""

import json
import math

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from support.otlp import END, attribute, post, request

from collector.otlp import receiver as otlp

ANSWER = {
    "nibai.request_id": "q1", "nibai.input_hash": "h1", "nibai.prediction.label": "cat",
    "nibai.prediction.score": 0.75, "nibai.prediction.margin": 0.5, "nibai.variant": "int8",
    "nibai.segment": "tokens=short",
}  # fmt: skip


def sent(*spans, options=None, as_json=False, **resource):
    message = request(list(spans), nibai_endpoint="a/b/c", **resource)
    if as_json:
        body = json.dumps(json_format.MessageToDict(message)).encode()
        return post(body, options=options, content_type=otlp.JSON)
    return post(message.SerializeToString(), options=options)


def rejected(answer):
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    return partial.rejected_spans, partial.error_message


@pytest.mark.parametrize("as_json", [False, True])
def test_a_request_with_an_answer_is_measured_and_remembered(as_json):
    answer, sink = sent({"attributes": ANSWER}, nibai_replica="r1", as_json=as_json)
    assert answer.status == 200
    assert [row["metric"] for row in sink.rows()] == ["latency"]
    (row,) = sink.answered
    assert row == {
        "endpoint": "a/b/c", "variant": "int8", "replica": "r1", "segment": "tokens=short",
        "at_us": END // 1000, "request_id": "q1", "input_hash": "h1", "label": "cat",
        "score": 0.75, "margin": 0.5, "probabilities": None, "truth": None, "invalid": "",
        "batch": 1, "source": "", "repeat": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "span",
    [{"kind": 1}, {"kind": 2, "more": {"nibai.metric": "prediction"}}],
    ids=["inner span", "server span that says so"],
)
def test_an_answer_can_stay_out_of_the_latency_series(span):
    more = {
        "nibai.prediction.batch": 8, "nibai.prediction.repeat": 1,
        "nibai.prediction.source": "replay:b8", "nibai.prediction.truth": "dog",
    }  # fmt: skip
    attributes = ANSWER | more | span.pop("more", {})
    _, sink = sent({**span, "attributes": attributes})
    assert sink.rows() == []
    (row,) = sink.answered
    assert (row["batch"], row["repeat"], row["source"], row["truth"]) == (8, 1, "replay:b8", "dog")


def test_every_span_of_a_batch_brings_its_own_answer():
    spans = [
        {"attributes": ANSWER | {"nibai.request_id": f"q{i}"} if i % 3 else {}} for i in range(9)
    ]
    _, sink = sent(*spans)
    assert len(sink.rows()) == 9
    assert [row["request_id"] for row in sink.answered] == [f"q{i}" for i in range(9) if i % 3]


def test_without_a_request_id_the_trace_stands_for_it():
    given = {name: ANSWER[name] for name in ANSWER if name != "nibai.request_id"}
    for as_json in (False, True):
        _, sink = sent({"attributes": given}, as_json=as_json)
        assert len(sink.answered[0]["request_id"]) >= 32 * (not as_json)
    _, sink = sent({"attributes": given})
    assert sink.answered[0]["request_id"] == (b"t" * 16).hex()


def test_a_request_id_alone_is_no_answer():
    _, sink = sent({"attributes": {"nibai.request_id": "q1"}})
    assert (len(sink.rows()), sink.answered) == (1, [])


def test_attributes_can_be_renamed_and_name_a_series_too():
    options = {"prediction": {"label": ["app.answer"]}, "segment_by": ["app.answer"]}
    spans = [{"attributes": {"app.answer": name}} for name in ("cat", "dog", "cat")]
    _, sink = sent(*spans, options=options)
    assert [row["label"] for row in sink.answered] == ["cat", "dog", "cat"]
    assert [row["segment"] for row in sink.answered] == [
        "app.answer=cat", "app.answer=dog", "app.answer=cat",
    ]  # fmt: skip


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_an_invalid_answer(score):
    for as_json in (False, True):
        attributes = ANSWER | {"nibai.prediction.score": score}
        _, sink = sent({"attributes": attributes}, as_json=as_json)
        (row,) = sink.answered
        assert (row["invalid"], row["score"], row["label"]) == ("not a number", None, "")


def test_probabilities_are_a_list_of_numbers():
    message = request([{"attributes": ANSWER}, {"attributes": ANSWER}], nibai_endpoint="a/b/c")
    first, second = message.resource_spans[0].scope_spans[0].spans
    values = first.attributes.add(key="nibai.prediction.probabilities").value.array_value.values
    for number in (0.5, 0.25):
        values.add().double_value = number
    attribute(second, "nibai.prediction.probabilities", "0.5,0.25")
    answer, sink = post(message.SerializeToString())
    assert [row["probabilities"] for row in sink.answered] == [[0.5, 0.25], None]
    assert rejected(answer) == (
        1, "a prediction's probabilities are no list of numbers and left out",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("margin", "wide", "a prediction's margin is no number and left out"),
        ("batch", 1.5, "a prediction's batch is no count and left out"),
        ("repeat", -1, "a prediction's repeat is no count and left out"),
    ],
)
def test_what_cannot_be_used_is_counted_and_the_rest_kept(part, value, message):
    answer, sink = sent({"attributes": ANSWER | {f"nibai.prediction.{part}": value}})
    assert rejected(answer) == (1, message)
    assert sink.answered[0]["label"] == "cat"


def test_a_long_label_is_kept_as_its_digest():
    """It may be the text of an answer, and those are not stored."""
    _, sink = sent({"attributes": ANSWER | {"nibai.prediction.label": "Dear Sir, " * 50}})
    assert len(sink.answered[0]["label"]) == 32
    assert "Dear" not in sink.answered[0]["label"]
