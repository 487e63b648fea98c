"""Captured lines become answers; hours, redaction and coverage by hand."""

import base64
import json
import re
from datetime import UTC, datetime

import pytest
from support.scripted import Scripted

from collector.data_capture.answers import Extraction, answers_of
from collector.data_capture.configured import variants
from collector.data_capture.coverage import expected_answers
from collector.hourly.places import Place, settled_until
from collector.redact import Redaction
from collector.replay.rows import RejectedError, made
from collector.segments import Segments
from nibai.config import DataCapture
from nibai.model import Window
from nibai.outputs import OutputKind, OutputSpec
from nibai.predictions import PredictionRecord
from nibai.stats.coverage import falls_short

SERIES = PredictionRecord("", "", 0.0, "sagemaker/123456789012.eu-west-1/chat", "blue")
CLASS = OutputSpec(OutputKind.CLASS, "$.label")
AT = "2026-03-01T10:25:49Z"


def side(data, encoding="JSON", kind="application/json", mode="INPUT"):
    return {"observedContentType": kind, "mode": mode, "data": data, "encoding": encoding}


CAT = side('{"label": "cat"}', mode="OUTPUT")


def line(asked, answered, **event):
    event = {"eventId": "e1", "inferenceTime": AT, **event}
    sides = {"endpointInput": asked, "endpointOutput": answered}
    captured = {name: one for name, one in sides.items() if one is not None}
    document = {"captureData": captured, "eventMetadata": event, "eventVersion": "0"}
    return json.dumps(document).encode()


def read(text, output=CLASS, **more):
    return answers_of(text, Extraction(output, **more), Segments(), SERIES)


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "answered",
    [
        side('{"label": "cat"}'),
        side(b64('{"label": "cat"}'), "BASE64"),
        side(b64('{"label": "cat"}'), "BASE64", "application/octet-stream"),
    ],
)
def test_an_answer_is_read_from_json_whatever_its_encoding(answered):
    [found] = read(line(side('{"text": "hi"}'), answered))
    assert (found.label, found.invalid, found.batch) == ("cat", "", 1)
    assert found.request_id == "e1"
    assert found.at == datetime(2026, 3, 1, 10, 25, 49, tzinfo=UTC).timestamp()
    assert found.input_hash == made("", {"text": "hi"}).input_hash, "as a replay has it"
    assert (found.endpoint, found.variant) == (SERIES.endpoint, "blue")


def test_the_callers_id_replaces_the_endpoints():
    [found] = read(line(side("{}"), side('{"label": 1}'), inferenceId="mine"))
    assert found.request_id == "mine"


@pytest.mark.parametrize(
    "answered",
    [
        side("0.5,cat\n0.7,dog\n", "CSV", "text/csv"),
        side(b64("0.5,cat\n0.7,dog\n"), "BASE64", "text/csv"),
    ],
)
def test_every_line_of_csv_is_an_answer_to_its_own_line(answered):
    asked = side("1,2\n3,4", "CSV", "text/csv")
    found = read(line(asked, answered), OutputSpec(OutputKind.CLASS, column=1))
    assert [one.label for one in found] == ["cat", "dog"]
    assert [one.request_id for one in found] == ["e1#0", "e1#1"]
    assert [one.batch for one in found] == [2, 2]
    assert [one.input_hash for one in found] == [made("", one).input_hash for one in ("1,2", "3,4")]


@pytest.mark.parametrize(
    "answered",
    [
        side('{"label": "a"}\n{"label": "b"}'),
        side(b64('{"label": "a"}\n{"label": "b"}'), "BASE64", "application/jsonlines"),
    ],
)
def test_every_json_line_is_an_answer(answered):
    assert [one.label for one in read(line(side("{}"), answered))] == ["a", "b"]


def test_lists_of_inputs_and_answers_meet_in_order():
    asked = side('{"instances": ["x", "y"]}')
    answered = side('{"predictions": [{"p": [0.1, 0.9]}, {"p": [0.6, 0.4]}]}')
    spec = OutputSpec(OutputKind.PROBA, "p", labels=("no", "yes"))
    found = read(line(asked, answered), spec, answers="predictions", inputs="instances")
    assert [one.label for one in found] == ["yes", "no"]
    assert found[0].probabilities == (0.1, 0.9)
    assert found[0].margin == pytest.approx(0.8)
    assert found[1].input_hash == made("", "y").input_hash
    other = read(line(side('{"instances": ["x"]}'), answered), spec, answers="predictions")
    assert len({one.input_hash for one in other}) == 2, "inputs that cannot be told apart"


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (side("{broken"), "unparsable"),
        (side("&&", "BASE64"), "unparsable"),
        (side('{"other": 1}'), "missing path"),
        (side('{"label": ""}'), "empty"),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_invalid_answer(answered, kind):
    [found] = read(line(side("{}"), answered))
    assert (found.invalid, found.label) == (kind, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "no captured line"),
        (b'{"captureData": {}}', "no captured line"),
        (line(side("{}"), None), "no output"),
        (line(side("{}"), side("")), "no output"),
        (line(side("{}"), side("{}"), inferenceTime="yesterday"), "no time"),
        (line(side("{}"), side("{}"), eventId=None), "no event id"),
    ],
)
def test_a_line_that_is_no_answer_is_rejected_with_its_reason(text, reason):
    with pytest.raises(RejectedError, match=f"^{reason}$"):
        read(text)


def test_an_input_that_was_not_captured_leaves_the_ids_to_pair_by():
    [found] = read(line(None, side('{"label": "cat"}')))
    assert (found.label, found.input_hash) == ("cat", "")


def test_segments_come_from_the_input_and_are_bounded():
    bound = Segments(most=2)
    extraction = Extraction(CLASS, segments={"lang": "$.p.lang"})
    found = [
        answers_of(line(side(json.dumps({"p": {"lang": lang}})), CAT), extraction, bound, SERIES)
        for lang in ("de", "en", "fr", "de")
    ]
    assert [one.segment for [one] in found] == ["lang=de", "lang=en", "other", "lang=de"]
    assert bound.joined == 1


def test_what_is_redacted_is_in_no_stored_field():
    secret = "ann@example.org"  # noqa: S105 - what must not be kept
    guard = Redaction(
        remove=("$.user",), hash=("$.tenant",), patterns=(re.compile(r"\S+@\S+"),), key=b"k"
    )
    asked = side(json.dumps({"user": "Ann", "tenant": "acme", "to": secret}))
    answered = side(json.dumps({"label": f"mail {secret}"}))
    text = line(asked, answered, inferenceId=f"req-{secret}")
    kept = {"to": "$.to", "user": "$.user", "tenant": "$.tenant"}
    [found] = read(text, CLASS, segments=kept, redaction=guard)
    assert secret not in repr(found)
    assert "Ann" not in repr(found)
    assert "acme" not in repr(found)
    assert found.label == "mail [removed]"
    assert found.segment == f"to=[removed],tenant={guard.digest('acme')}"
    plain = read(line(side(json.dumps({"to": "x"})), answered))[0]
    assert found.input_hash != plain.input_hash
    other = Redaction(remove=("$.user",), hash=("$.tenant",), patterns=guard.patterns, key=b"l")
    [again] = read(text, redaction=other)
    assert again.input_hash != found.input_hash, "digests need the key"


def test_removing_reaches_into_lists():
    guard = Redaction(remove=("$.messages[*].id", "a[1]"))
    before = {"messages": [{"id": 1, "t": "x"}, {"id": 2, "t": "y"}], "a": [1, 2]}
    assert guard.payload(before) == {"messages": [{"t": "x"}, {"t": "y"}], "a": [1, None]}


def test_hours_are_found_in_keys_and_listed_again_while_they_fill():
    place = Place.of("s3://captures", "chat", "blue")
    assert place.prefix == "chat/blue/"
    hour = datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp()
    key = "chat/blue/2026/03/01/10/25-49-123-a.jsonl"
    assert place.hour_of(key) == hour
    assert place.after(hour) < key < place.after(hour + 3600)
    for other in ("chat/blue/x.jsonl", "chat/blue/2026/13/01/10/a.jsonl", key + ".tmp"):
        assert place.hour_of(other) is None
    assert settled_until(hour + 3 * 3600 + 1) == hour + 3600


@pytest.mark.parametrize(
    ("captured", "requests", "share", "short"),
    [
        (1000, 1000, 1.0, False),
        (910, 1000, 1.0, False),
        (880, 1000, 1.0, True),
        (0, 4, 1.0, False),
        (0, 100, 1.0, True),
        (160, 1000, 0.2, False),
        (100, 1000, 0.2, True),
    ],
)
def test_an_hour_is_short_beyond_a_tenth_and_chance(captured, requests, share, short):
    assert falls_short(captured, requests, share) is short


def captured_components(**folders):
    return DataCapture.model_validate({
        "account": "123456789012", "region": "eu-west-1", "endpoint": "chat",
        "destination": "s3://captures/prod", "variants": ["ic:llama", "ic:qwen"],
        "folders": folders,
    })  # fmt: skip


def test_captures_of_components_lie_in_a_folder_of_their_name_or_where_it_is_said():
    chosen = captured_components(**{"ic:qwen": "all/qwen/"})
    found = variants(chosen)
    assert [one.place.name for one in found] == [
        "s3://captures/prod/chat/llama/", "s3://captures/prod/chat/all/qwen/",
    ]  # fmt: skip
    assert [one.series.variant for one in found] == ["ic:llama", "ic:qwen"]
    with pytest.raises(ValueError, match="folders: blue is none of the variants"):
        captured_components(blue="x")


def test_requests_of_a_component_are_counted_by_its_own_dimension():
    captured = [one.captured for one in variants(captured_components())]
    nothing = [
        {"Id": f"q{i}", "Timestamps": [], "Values": [], "StatusCode": "Complete"}
        for i in range(len(captured))
    ]
    cloudwatch = Scripted("cloudwatch", GetMetricData={"MetricDataResults": nothing})
    assert list(expected_answers(cloudwatch, captured, Window(0.0, 3600.0))) == []
    [(_, request)] = cloudwatch.asked
    dimensions = [q["MetricStat"]["Metric"]["Dimensions"] for q in request["MetricDataQueries"]]
    assert dimensions[0] == [{"Name": "InferenceComponentName", "Value": "llama"}]
