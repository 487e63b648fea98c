"""CloudWatch through a real boto3 client and HTTP: answers, errors in words, nothing secret."""

import json

import pytest
from fakeaws.metrics import Faults, Metrics, ServiceError
from fakeaws.server import FakeAws

from collector.cloudwatch.answer import read_at_once
from collector.cloudwatch.client import CloudWatchClient
from collector.cloudwatch.execute import Executor
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import Wanted, plan
from collector.cloudwatch.rebuild import Tally, observations
from collector.cloudwatch.series import PUBLISHED, variant_series
from nibai.errors import AuthError, CollectError, ThrottledError
from nibai.model import Provenance, Window

NOW = 1_764_000_000.0 // 3600 * 3600
SERIES = variant_series(PUBLISHED[0], "123456789012.eu-west-1", "chat", "blue")
SECRET = "wJalrXUtnFEMIEXAMPLEKEY"  # noqa: S105 - not a real one


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def published(**options):
    metrics = Metrics(NOW, **options)
    for minute in range(int(NOW // 60) - 10, int(NOW // 60)):
        values = [1e4 * (i + 1) for i in range(20)]
        metrics.publish("AWS/SageMaker", "ModelLatency", SERIES.dimensions, minute, values)
    return metrics


def test_minutes_come_through_boto3_page_by_page():
    with FakeAws(cloudwatch=published(page=300)) as fake:
        client = CloudWatchClient("eu-west-1", endpoint_url=fake.url)
        runner = Executor(client, Pace(), clock=lambda: NOW, wait=lambda _: None)
        [answer] = runner.run(plan([Wanted(SERIES)], Window(NOW - 600, NOW), NOW).calls)
    found = list(observations(answer, Tally()))
    assert [o.count for o in found] == [20] * 10
    assert {o.provenance for o in found} == {Provenance.TC}
    assert found[0].max == pytest.approx(0.2)
    assert answer.metered.pages == len(fake.seen) > 1


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (400, "ThrottlingException", ThrottledError, "asked again later"),
        (400, "ExpiredTokenException", AuthError, "the credentials have expired"),
        (403, "AccessDenied", AuthError, "see the policy in deploy/iam"),
        (500, "InternalServiceFault", CollectError, "InternalServiceFault"),
    ],
)
def test_errors_say_the_operation_the_fact_and_the_remedy(status, code, kind, said):
    refused = ServiceError(status, code, "not authorized to perform cloudwatch:GetMetricData")
    metrics = published(faults=Faults(errors=dict.fromkeys(range(9), refused)))
    with FakeAws(cloudwatch=metrics) as fake:
        client = CloudWatchClient("eu-west-1", endpoint_url=fake.url, tries=1)
        with pytest.raises(kind, match=said) as caught:
            client.get_metric_data(MetricDataQueries=[], StartTime=NOW, EndTime=NOW)
    assert str(caught.value).startswith("cloudwatch:GetMetricData in eu-west-1: ")
    assert SECRET not in str(caught.value)
    assert caught.value.retryable == (code in {"ThrottlingException", "InternalServiceFault"})


def test_nobody_answering_is_worth_another_try():
    client = CloudWatchClient("eu-west-1", endpoint_url="http://127.0.0.1:9", tries=1)
    with pytest.raises(CollectError, match="not reached") as caught:
        client.get_metric_data(MetricDataQueries=[], StartTime=NOW, EndTime=NOW)
    assert caught.value.retryable


# -- the answer, read at once -----------------------------------------------------------------


def read(body, status=200):
    answer = {}
    response = {"status_code": status, "body": body}
    read_at_once(response, answer)
    return answer, response["body"]


def test_an_answer_is_read_as_it_is_documented():
    results = [
        {"Id": "q0", "Label": 'a "Values": [1] ü', "Timestamps": [60, 120.0, 1.8e2],
         "Values": [1, 2.5e-3, -4.0], "StatusCode": "Complete",
         "Messages": [{"Code": "c", "Value": "v"}]},
        {"Id": "q1", "Timestamps": [], "Values": [], "StatusCode": "PartialData"},
        {"Id": "q2", "Timestamps": [60, 120.0, 1.8e2], "Values": [0, 0, 0]},
        {"Id": "q3"},
    ]  # fmt: skip
    document = {"MetricDataResults": results, "NextToken": "t", "Messages": [{"Code": "m"}]}
    for text in (json.dumps(document), json.dumps(document, indent=1)):
        answer, body = read(text.encode())
        assert body == b"{}", "nothing is left to botocore"
        assert (answer["NextToken"], answer["Messages"]) == ("t", [{"Code": "m"}])
        found = answer["MetricDataResults"]
        assert [one["Id"] for one in found] == ["q0", "q1", "q2", "q3"]
        assert found[0]["Label"] == 'a "Values": [1] ü'
        assert found[0]["Messages"] == [{"Code": "c", "Value": "v"}]
        assert [one["Values"].tolist() for one in found] == [[1, 0.0025, -4], [], [0, 0, 0], []]
        assert [one["Timestamps"].tolist() for one in found] == [
            [60, 120, 180],
            [],
            [60, 120, 180],
            [],
        ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not JSON", 200),
        (b'{"MetricDataResults": [{"Timestamps": ["2026-03-01T00:00:00Z"], "Values": [1]}]}', 200),
        (b'{"MetricDataResults": [{"Timestamps": [60], "Values": [1', 200),
        (b'{"MetricDataResults": 1}', 200),
        (b'{"__type": "Throttling", "message": "Values"}', 400),
        ('{"MetricDataResults": [{"Values": [\u0661]}]}'.encode(), 200),
    ],
)
def test_an_answer_of_another_form_is_left_to_botocore(body, status):
    assert read(body, status) == ({}, body)
