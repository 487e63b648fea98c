"""What can be read is told with its cost first, what cannot with the exact fix, and dated."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from fakeaws.metrics import Metrics
from fakeaws.sagemaker import SageMaker, variant
from support.sagemaker import NOW
from support.scripted import InProcess, Scripted

from collector.capabilities.source import AwsExaminer, Place, places
from collector.capabilities.traces import WANTED
from collector.promql.client import PromqlClient, unsigned
from nibai import cli
from nibai.app.doctor import Finding
from nibai.cli.doctor import lines
from nibai.errors import CollectError
from nibai.protocols import Capability, Effort, Examiner, Standing
from nibai.store.state.capabilities import put_capabilities
from nibai.store.state.database import open_state

ROOT = Path(__file__).parents[2]
PLACE = Place("123456789012", "eu-west-1", ("chat*",))


def account():
    aws = SageMaker(NOW)
    aws.config("c1", variant("blue", aws.model("m1")))
    aws.endpoint("chat", "c1")
    return aws


def examiner(aws, promql=None, **services):
    made = {"sagemaker": InProcess("sagemaker", aws), **services}
    return AwsExaminer(
        [PLACE],
        lambda _place, name: made.get(name) or Scripted(name),
        clock=lambda: NOW,
        wait=lambda _: None,
        promql=lambda _: PromqlClient("http://here", promql or silent, unsigned, lambda _: None, 1),
    )


def told(aws, **services):
    return {one.name: one for one in examiner(aws, **services).examine()}


def test_the_protocol_is_kept():
    assert isinstance(examiner(account()), Examiner)


def test_every_permission_is_asked_for_once_and_named_when_it_lacks():
    aws = account()
    aws.denied = {"ListOptimizationJobs", "DescribeModel"}
    found = told(aws)
    assert found["sagemaker:ListEndpoints"].said == "may be read: 1 listed"
    assert found["sagemaker:DescribeAIBenchmarkJob"].standing is Standing.PRESENT
    lacking = {n for n, one in found.items() if one.standing is Standing.DENIED}
    assert {"sagemaker:ListOptimizationJobs", "sagemaker:DescribeModel"} <= lacking
    assert found["sagemaker:DescribeModel"].remedy == (
        "allow sagemaker:DescribeModel (deploy/iam/nibai-read.json)"
    )


def test_enrichment_is_never_switched_on_but_its_commands_and_bill_are_printed():
    cloudwatch = Scripted("cloudwatch", GetOTelEnrichment={"Status": "Stopped"})
    found = told(account(), cloudwatch=cloudwatch)["OTel enrichment of metrics"]
    assert found.standing is Standing.ABSENT
    assert found.remedy == (
        "aws observabilityadmin start-telemetry-enrichment --region eu-west-1\n"
        "aws cloudwatch start-otel-enrichment --region eu-west-1\n"
        "costs about $0.24 a month for 1 variant (500 bytes a sample assumed); "
        "nibai never runs these"
    )
    assert all(not name.startswith(("Start", "Put", "Update")) for name, _ in cloudwatch.asked)


def test_a_service_that_cannot_be_reached_leaves_its_points_unknown():
    broken = Scripted("cloudwatch", GetOTelEnrichment=CollectError("not reached"))
    found = told(account(), cloudwatch=broken)["OTel enrichment of metrics"]
    assert (found.standing, found.said) == (Standing.UNKNOWN, "not reached")


def test_accounts_of_both_sections_are_looked_at_once():
    one = {"account": "1", "region": "r", "endpoints": ["a"]}
    other = {"account": "2", "region": "r", "endpoints": {"b": ["blue"]}}
    found = places({"sagemaker": [one], "cloudwatch": [one, other]})
    assert [(p.account, p.patterns) for p in found] == [("1", ("a",)), ("2", ("b",))]
    assert [p.patterns for p in places({"sagemaker": [one]}, "x")] == [("x",)]


def busy(*, empty_bucket_is_zero=True, percentiles=True, comb=False):
    """Six busy hours of a variant in CloudWatch, the last minute five minutes ago."""
    made = Metrics(NOW, empty_bucket_is_zero=empty_bucket_is_zero)
    rng = np.random.default_rng(4)
    dimensions = (("EndpointName", "chat"), ("VariantName", "blue"))
    for minute in range(int(NOW // 60) - 360, int(NOW // 60) - 5):
        values = rng.lognormal(11.5, 0.4, 60)
        if comb:  # as if counted in bins of 20 %
            values = 1.2 ** np.round(np.log(values) / np.log(1.2))
        made.publish("AWS/SageMaker", "ModelLatency", dimensions, minute, values)

    def data(**request):
        answer = made.get_metric_data(**request)
        if not percentiles:
            wanted = {q["Id"] for q in request["MetricDataQueries"] if "p50" in str(q)}
            for one in answer["MetricDataResults"]:
                if one["Id"] in wanted:
                    one["Timestamps"], one["Values"] = [], []
        return answer

    return Scripted(
        "cloudwatch",
        GetMetricData=data,
        GetOTelEnrichment={"Status": "Running"},
        ListMetrics={"Metrics": []},
        GetMetricStatistics={"Datapoints": [{"Unit": "Microseconds", "SampleCount": 2.0}]},
    )


def points(**options):
    found = examiner(account(), cloudwatch=busy(**options)).examine()
    return {one.number: one for one in found if one.number is not None}


def test_a_busy_hour_settles_what_can_be_settled():
    found = points()
    assert found[2].standing is Standing.PRESENT
    below, above, whole = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", found[2].said))
    assert below + above == whole == 3600
    assert found[4].standing is Standing.PRESENT
    assert found[5].standing is Standing.ABSENT
    assert found[6].standing is Standing.PRESENT
    assert found[7].said == "the newest minute ended 5 min ago"
    assert found[8].said == "no series (EnableEnhancedMetrics not set)"
    assert found[9].standing is Standing.PRESENT


def test_both_ways_in_which_the_service_may_answer_are_told():
    assert points(empty_bucket_is_zero=False)[4].standing is Standing.ABSENT
    assert points(percentiles=False)[6].said.startswith("SampleCount is there, p50 is not")
    comb = points(comb=True)[5]
    assert (comb.standing, comb.remedy[:13]) == (Standing.PRESENT, "detail: TC 55")


def prometheus(buckets=(("0.1", "0.2", "3"), ("0.2", "0.4", "7")), count="10"):
    """A Prometheus API with one histogram and the metrics of one engine."""

    def answer(_method, url, _headers, _body):
        data = ["vllm:time_to_first_token_seconds_bucket", "vllm:num_requests_waiting"]
        if "query_range" in url:
            made = {"count": count, "sum": "2", "buckets": [[0, *one] for one in buckets]}
            one = {"metric": {"EndpointName": "chat"}, "histograms": [[NOW, made]]}
            data = {"resultType": "matrix", "result": [one if buckets else
                    {"metric": {}, "values": [[NOW, "1"]]}]}  # fmt: skip
        elif "__type__" in url:
            data = ["histogram"]
        elif "__temporality__" in url:
            data = ["delta"]
        return 200, json.dumps({"status": "success", "data": data}).encode()

    return answer


def silent(*_):
    return 403, b'{"error": "not authorized"}'


def test_what_promql_answers_is_looked_at_where_enrichment_runs():
    def points(promql):
        found = examiner(account(), promql, cloudwatch=busy()).examine()
        return {one.number: one for one in found if one.number in {1, 11}}

    found = points(prometheus())
    assert (found[1].standing, found[1].said) == (
        Standing.PRESENT,
        "chat: 2 buckets, a bucket's end is 2 times its start, together 10 as histogram_count says",
    )
    assert found[11].said == (
        "vllm:time_to_first_token_seconds; types histogram, delta; 1 more, such as "
        "vllm:num_requests_waiting"
    )
    assert points(prometheus(count="11"))[1].standing is Standing.ABSENT
    assert points(prometheus(buckets=()))[1].said.startswith("chat: numbers only")
    denied = points(silent)[1]
    assert denied.standing is Standing.DENIED
    assert denied.remedy.startswith("allow cloudwatch:GetMetricData, ")


def test_every_point_of_the_list_is_told(golden):
    aws = account()
    shadow = variant("shadow", "m1")
    aws.config("c1", variant("blue", "m1"), shadow=[shadow])
    aws.endpoint("chat", "c1")
    aws.endpoints["chat"]["DataCaptureConfig"] = {
        "EnableCapture": True, "CaptureStatus": "Started", "CurrentSamplingPercentage": 30,
        "DestinationS3Uri": "s3://captures/x", "KmsKeyId": "alias/none",
    }  # fmt: skip
    aws.denied = {"ListAIBenchmarkJobs"}
    listed = {"pricing": prices(), "s3": captured(), "xray": xray(), "logs": spans()}
    found = list(examiner(aws, prometheus(), cloudwatch=busy(), **listed).examine())
    page = (ROOT / "docs" / "sagemaker.md").read_text(encoding="utf-8")
    numbers = {int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert {one.number for one in found} - {None} == numbers - {10}, "10: serverless only"
    assert numbers == set(range(1, 21))
    golden("doctor_account.txt", "\n".join(lines([Finding(one, None) for one in found])) + "\n")


def prices():
    product = {
        "product": {"attributes": {"component": "Hosting"}},
        "terms": {"OnDemand": {"t": {"priceDimensions": {"d": {
            "unit": "Hrs", "pricePerUnit": {"USD": "1.408"}}}}}},
    }  # fmt: skip
    return Scripted("pricing", GetProducts={"PriceList": [json.dumps(product)]})


def captured():
    """The same event under both variants' prefixes."""

    def objects(Bucket, Prefix, Delimiter=None, **_):
        del Bucket
        if Delimiter:
            return {"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name in ("blue", "dark")]}
        key, when = f"{Prefix}00-1.jsonl", datetime.fromtimestamp(NOW, UTC)
        return {"Contents": [{"Key": key, "Size": 90, "LastModified": when}]}

    def body(Bucket, Key):
        del Bucket
        variant = Key.split("/")[2]
        made = [{"eventMetadata": {"eventId": f"e{i}"}, "variant": variant} for i in range(12)]
        return {"Body": io.BytesIO("\n".join(map(json.dumps, made)).encode())}

    return Scripted("s3", ListObjectsV2=objects, GetObject=body)


def xray():
    def summaries(StartTime, EndTime):
        if (EndTime - StartTime).total_seconds() > 3 * 3600:
            raise CollectError("the window is too long", reason="InvalidRequestException")
        return {"TraceSummaries": []}

    destination = {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    return Scripted("xray", GetTraceSegmentDestination=destination, GetTraceSummaries=summaries)


def spans():
    record = {key: "" for key in WANTED if key != "durationNano"}
    row = [{"field": "@message", "value": json.dumps(record)}]
    answers = iter([{"status": "Running"}, {"status": "Complete", "results": [row]}])
    return Scripted("logs", StartQuery={"queryId": "q"}, GetQueryResults=lambda **_: next(answers))


class Two:
    """An examiner of a test."""

    def __init__(self, standing):
        self.standing = standing

    def effort(self):
        return [Effort("account 1", 3, 0.00012)]

    def examine(self):
        remedy = "" if self.standing is Standing.PRESENT else "do this\nthen that"
        return [
            Capability("account 1", "reading", self.standing, "as it is", remedy),
            Capability("account 1", "of a point", Standing.UNKNOWN, "nobody knows", "", 3),
        ]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    path = tmp_path / "nibai.yaml"
    path.write_text(yaml.safe_dump({"data": str(tmp_path / "data")}), encoding="utf-8")
    monkeypatch.setattr("time.time", lambda: NOW)

    def ran(standing, *arguments):
        monkeypatch.setattr("nibai.app.doctor.examiners", lambda *_: [Two(standing)])
        code = cli.invoke(["doctor", "--config", str(path), *arguments])
        return code, capsys.readouterr().out

    return ran


def test_the_text_says_the_cost_first_and_the_fix_below(run, golden):
    code, first = run(Standing.ABSENT)
    assert code == 0
    _, later = run(Standing.PRESENT)
    golden("doctor.txt", f"{first}\n--- later ---\n{later}")


def test_the_document_has_the_dates(run):
    run(Standing.ABSENT)
    _, out = run(Standing.PRESENT, "--format", "json")
    document = json.loads(out)
    assert document["schema"] == "nibai.doctor/1"
    assert document["effort"] == [{"topic": "account 1", "reads": 3, "dollars": 0.00012}]
    [reading, point] = document["capabilities"]
    assert (reading["standing"], reading["was"], reading["remedy"]) == ("present", "absent", None)
    assert (point["number"], point["was"], point["since"]) == (3, "unknown", "2025-11-24T16:00:00Z")


def test_without_a_section_there_is_nothing_to_look_at(tmp_path, capsys):
    path = tmp_path / "nibai.yaml"
    path.write_text(yaml.safe_dump({"data": str(tmp_path / "data")}), encoding="utf-8")
    assert cli.invoke(["doctor", "--config", str(path)]) == 0
    assert capsys.readouterr().out.startswith("nothing to look at: nibai.yaml names no account")


def test_what_stays_keeps_its_date(tmp_path):
    state = open_state(tmp_path / "state.sqlite")
    one = Capability("t", "n", Standing.ABSENT, "so")
    put_capabilities(state, [one], 10.0)
    put_capabilities(state, [one], 20.0)
    known = put_capabilities(state, [one], 30.0)["t", "n"]
    assert (known.since, known.checked_at) == (10.0, 20.0)
    state.close()
