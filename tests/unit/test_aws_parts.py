"""Answers that come in parts, or never whole: what is worth nothing in part, and what is."""

import json
from datetime import UTC, datetime

import pytest
from support.scripted import Scripted

from collector.capabilities.asking import asked
from collector.cloudwatch.sums import whole_sums
from collector.hourly.part import Part
from collector.hourly.places import Place
from collector.hourly.reading import HourlyReading
from collector.insights import _named
from collector.sagemaker.events import STATE, signals
from collector.sagemaker.trail import recorded
from collector.spans.retrieval import _document
from nibai.errors import CollectError, SchemaError
from nibai.protocols.checks import Standing

NOW = 1_764_000_000.0
AT = datetime.fromtimestamp(NOW, UTC)


def request(queries=2):
    metric = {"Namespace": "AWS/Bedrock", "MetricName": "InputTokenCount"}
    stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
    return {
        "MetricDataQueries": [{"Id": f"q{i}", "MetricStat": stat} for i in range(queries)],
        "StartTime": AT, "EndTime": AT,
    }  # fmt: skip


def result(number, *values, status="Complete"):
    return {
        "Id": f"q{number}", "StatusCode": status, "Timestamps": [AT] * len(values),
        "Values": list(values),
    }  # fmt: skip


def answers(*pages):
    """A service of such pages, one after the other."""
    told = []

    def answer(**request):
        number = int(request.get("NextToken", 0))
        told.append(number)
        more = {"NextToken": str(number + 1)} if number + 1 < len(pages) else {}
        return {"MetricDataResults": list(pages[number]), **more}

    return Scripted("cloudwatch", GetMetricData=answer)


def test_a_query_is_whole_when_its_last_page_says_so():
    caller = answers([result(0, 1.0, status="PartialData"), result(1)], [result(0, 2.0)])
    assert whole_sums(caller, request()) == [[(NOW, 1.0), (NOW, 2.0)], []]


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        (([result(0, 1.0, status="PartialData"), result(1)],), "PartialData of 2 counts"),
        (([result(0, 1.0), result(1, status="Forbidden")],), "Forbidden of 2 counts"),
        (([result(0, status="InternalError"), result(1)], [result(0, 1.0)]), "InternalError of 2"),
        (([result(0, 1.0)],), "nothing of 2 counts"),
    ],
)
def test_what_stays_in_part_is_asked_again_and_not_taken_for_all(pages, said):
    with pytest.raises(CollectError, match=said) as caught:
        whole_sums(answers(*pages), request())
    assert caught.value.retryable


def test_an_answer_to_no_question_is_of_another_shape():
    with pytest.raises(SchemaError, match="'q7'"):
        whole_sums(answers([result(7, 1.0)]), request())


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "said"),
    [("NoSuchKey", "was deleted after it was listed"), ("InvalidObjectState", "an archive class")],
)
def test_a_file_that_cannot_be_read_for_ever_hides_none_behind_it(reason, said):
    keys = [f"captures/chat/blue/2025/11/24/15/{name}.jsonl" for name in "ab"]

    def got(**request):
        if request["Key"] == keys[0]:
            raise CollectError("refused", reason=reason)
        raise CollectError("the next one is asked for", reason="reached")

    listed = {
        "Contents": [{"Key": key, "Size": 1, "LastModified": AT} for key in keys],
        "IsTruncated": False,
    }
    store, part = Scripted("s3", ListObjectsV2=listed, GetObject=got), Part()
    reading = HourlyReading(store, {}, NOW, 7200.0)
    with pytest.raises(CollectError, match="the next one is asked for"):
        list(reading.read(Place("bucket", "captures/chat/blue/"), lambda _line: [], part))
    assert said in part.problems[0]
    assert keys[0] in part.problems[0]


# -- rows and spans -------------------------------------------------------------------------------


def test_fields_without_a_value_and_spans_that_are_no_json_are_no_tracebacks():
    assert _named([{"field": "a"}, {"field": "b", "value": "1"}, {}]) == {"a": "", "b": "1"}
    assert _document('{"a": 1}') == {"a": 1}
    assert _document("{") == _document("[1]") == _document("[" * 100_000) == {}


@pytest.mark.parametrize("time", ["1e400", "nan", "-5", "1e300", "yesterday", None])
def test_a_message_of_no_time_and_one_without_end_are_passed_over(time):
    """A poisoned message would stop every look: it comes again until it was used."""
    told = {"EndpointName": "chat", "EndpointStatus": "UPDATING"}
    event = {"detail-type": STATE, "time": time, "detail": told}
    assert signals(json.dumps(event)) == []
    assert signals("[" * 100_000) == []
    assert recorded("[" * 100_000) is None


def test_doctor_tells_an_answer_of_another_shape():
    found = asked("it", "a point", lambda: {}["Status"])
    assert found.standing is Standing.UNKNOWN
    assert found.said == "another shape than documented (KeyError: 'Status'): report it"
