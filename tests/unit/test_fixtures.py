"""What doctor saves holds nothing of the user's own, and still has AWS's shape."""

import io
import json
from datetime import UTC, datetime

import pytest
import yaml
from botocore.validate import validate_parameters
from fakeaws.sagemaker import SageMaker, variant
from fakeaws.server import service_model
from support.sagemaker import NOW
from support.scripted import InProcess, Scripted

from collector.aws.errors import DeniedError
from collector.capabilities.fixtures import Fixtures
from collector.capabilities.redacted import Redaction
from nibai import cli
from nibai.errors import UsageError

OWN = (
    "acme", "123456789012", "210987654321", "hunter2", "llama-secret", "pay-prod", "blue-acme",
    "deadbeef", "prompt",
)  # fmt: skip


def account():
    aws = SageMaker(NOW)
    env = {"OPTION_QUANTIZE": "fp8", "HF_TOKEN": "hunter2"}
    image = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/acme/vllm:1"
    aws.model("llama-secret", image=image, url="s3://acme-models/llama-secret/m.tar.gz", env=env)
    aws.digests[image] = "deadbeef" * 8
    aws.config("pay-prod-1", variant("blue-acme", "llama-secret"))
    aws.endpoint("pay-prod", "pay-prod-1")
    return aws


def saved(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_every_kind_of_answer_word_by_word(tmp_path, golden):
    aws, fixtures = account(), Fixtures(tmp_path / "out")
    told = {
        "DescribeEndpoint": aws.describe_endpoint("pay-prod"),
        "DescribeEndpointConfig": aws.describe_endpoint_config("pay-prod-1"),
        "DescribeModel": aws.describe_model("llama-secret"),
    }
    sagemaker = fixtures.watching("sagemaker", Scripted("sagemaker", **told))
    sagemaker.call("DescribeEndpoint", EndpointName="pay-prod")
    sagemaker.call("DescribeEndpointConfig", EndpointConfigName="pay-prod-1")
    sagemaker.call("DescribeModel", ModelName="llama-secret")
    refused = DeniedError(
        "sagemaker:ListModels in eu-west-1: refused (AccessDeniedException): User: "
        'arn:aws:sts::123456789012:assumed-role/acme-reader/1 may not, for "pay-prod"',
        "sagemaker:ListModels",
    )
    with pytest.raises(DeniedError):
        fixtures.watching("sagemaker", Scripted("sagemaker", ListModels=refused)).call("ListModels")
    rows = [[{"field": "@message", "value": json.dumps({"attributes": {"user": "acme prompt"}})},
             {"field": "@ptr", "value": "acme"}]]  # fmt: skip
    logs = Scripted("logs", GetQueryResults={"status": "Complete", "results": rows})
    fixtures.watching("logs", logs).call("GetQueryResults", queryId="acme-1")
    when = datetime.fromtimestamp(NOW, UTC)
    data = {"MetricDataResults": [{"Id": "q0", "Label": "ModelLatency", "StatusCode": "Complete",
                                   "Timestamps": [when], "Values": [123456.5]}]}  # fmt: skip
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency",
              "Dimensions": [{"Name": "EndpointName", "Value": "pay-prod"},
                             {"Name": "Team", "Value": "acme"}]}  # fmt: skip
    query = {"Id": "q0", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "TC(:5000)"}}
    fixtures.watching("cloudwatch", Scripted("cloudwatch", GetMetricData=data)).call(
        "GetMetricData", MetricDataQueries=[query], StartTime=when, EndTime=when
    )
    body = {"Body": io.BytesIO(b"acme prompt"), "ContentLength": 11}
    s3 = Scripted("s3", GetObject=body)
    fixtures.watching("s3", s3).call("GetObject", Bucket="acme-captures", Key="pay-prod/blue/1")
    histogram = {"count": "12", "sum": "1.5", "buckets": [[0, "1", "2", "12"]]}
    labels = {"__name__": "ModelLatency", "EndpointName": "pay-prod"}
    result = [{"metric": labels, "histograms": [[NOW, histogram]]}]
    found = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    promql = fixtures.http(lambda *_: (200, json.dumps(found).encode()))
    promql("POST", "https://monitoring.eu-west-1.amazonaws.com/api/v1/query_range", {}, b"q=acme")
    texts = saved(tmp_path / "out")
    together = "".join(f"--- {name}\n{text}" for name, text in texts.items())
    assert [one for one in OWN if one in together] == []
    golden("doctor_fixtures.txt", together)


def test_the_same_name_is_the_same_everywhere():
    redaction = Redaction()
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/chat"
    assert redaction.value({"EndpointName": "chat", "EndpointArn": arn}) == {
        "EndpointName": "name-1",
        "EndpointArn": "arn:aws:sagemaker:eu-west-1:000000000001:endpoint/name-1",
    }
    assert redaction.value("s3://chat/x/") == "s3://name-1/name-2/"
    assert redaction.value("arn:aws:s3:::chat/x") == "arn:aws:s3:::name-1/name-2"
    assert redaction.value("210987654321") == "000000000002"
    assert redaction.words(f"no {arn} of chat in 123456789012: “other”") == (
        "no arn:aws:sagemaker:eu-west-1:000000000001:endpoint/name-1 of name-1 in 000000000001: "
        '"name-3"'
    )


@pytest.mark.parametrize("kept", ["12.5", "1e-05", "2026-11-27T00:00:00Z", "2026-11-27", "NaN", ""])
def test_numbers_and_times_stay(kept):
    assert Redaction().value(kept) == kept


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="is not empty: name a new folder"):
        Fixtures(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        Fixtures(tmp_path / "mine" / "below")


def test_doctor_saves_what_it_was_answered(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("time.sleep", lambda _: None)
    aws = account()
    services = {"sagemaker": InProcess("sagemaker", aws)}
    monkeypatch.setattr(
        "collector.capabilities.source._client",
        lambda name, *_: services.get(name) or Scripted(name),
    )
    path, out = tmp_path / "nibai.yaml", tmp_path / "out"
    place = {"account": "123456789012", "region": "eu-west-1"}
    document = {"data": str(tmp_path / "data"), "sagemaker": [place]}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert cli.invoke(["doctor", "--config", str(path), "--save-fixtures", str(out)]) == 0
    said = capsys.readouterr()
    assert cli.invoke(["doctor", "--config", str(path), "--save-fixtures", str(out)]) == 2
    texts = saved(out)
    assert said.err == (
        f"{len(texts)} answers are saved in {out}: names, accounts and addresses are replaced, "
        "payloads left out; read them before you send them\n"
    )
    together = "".join(texts.values())
    assert [one for one in OWN if one in together] == []
    documents = [json.loads(text) for text in texts.values()]
    answered = [one for one in documents if "response" in one]
    assert {"DescribeEndpoint", "DescribeModel"} <= {one["operation"] for one in answered}
    assert any(one.get("action") == "pricing:GetProducts" for one in documents)
    for one in answered:
        model = service_model(one["service"]).operation_model(one["operation"])
        validate_parameters(_timed(one["response"], model.output_shape), model.output_shape)


def _timed(value, shape):
    if shape.type_name == "timestamp":
        return datetime.fromisoformat(value)
    if shape.type_name == "structure":
        return {key: _timed(one, shape.members[key]) for key, one in value.items()}
    return [_timed(one, shape.member) for one in value] if shape.type_name == "list" else value
