"""CloudWatch through a real boto3 client and HTTP: answers, errors in words, nothing secret."""

import pytest
from fakeaws.metrics import Faults, Metrics, ServiceError
from fakeaws.server import FakeAws

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
