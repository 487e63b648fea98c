"""`nibai init` writes a file that can be read, says what it costs, and overwrites nothing."""

import pytest
import yaml
from fakeaws.sagemaker import SageMaker, variant
from fakeaws.server import FakeAws
from support.sagemaker import NOW

from nibai import cli
from nibai.app.init import rendered
from nibai.config import Config, load_config
from nibai.protocols import Survey


class Listed:
    """ListMetrics: what is published of an endpoint (a filter, not an exact set)."""

    def list_metrics(self, Namespace, Dimensions, **_):
        dimensions = [*Dimensions, {"Name": "VariantName", "Value": "blue"}]
        names = ("ModelLatency", "OverheadLatency", "FirstChunkLatency", "Invocations")
        return {
            "Metrics": [
                {"Namespace": Namespace, "MetricName": name, "Dimensions": dimensions}
                for name in names
            ]
        }


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.chdir(tmp_path)
    aws = SageMaker(NOW)
    aws.model("m1")
    aws.config("c1", variant("blue", "m1"), shadow=[variant("shadow", "m1", count=1)])
    aws.endpoint("chat-prod", "c1")
    aws.endpoints["chat-prod"]["DataCaptureConfig"] = {
        "EnableCapture": True, "CaptureStatus": "Started", "CurrentSamplingPercentage": 30,
        "DestinationS3Uri": "s3://captures/chat", "KmsKeyId": "alias/none",
    }  # fmt: skip

    def ran(name, *arguments):
        with FakeAws(sagemaker=aws, cloudwatch=Listed()) as fake:
            where = ("--region", "eu-west-1", "--endpoint-url", fake.url)
            code = cli.invoke(["init", "--sagemaker", name, *where, *arguments])
        return code, capsys.readouterr()

    ran.folder = tmp_path
    return ran


def test_what_is_written_can_be_read(run):
    code, said = run("chat-prod")
    assert code == 0
    assert (
        said.out == "nibai.yaml is written: read it, then nibai check-config --config nibai.yaml\n"
    )
    config = load_config(run.folder / "nibai.yaml", {})
    [cloudwatch], [sagemaker], [capture] = config.cloudwatch, config.sagemaker, config.data_capture
    assert (cloudwatch.account, cloudwatch.region) == ("123456789012", "eu-west-1")
    assert cloudwatch.endpoints == {"chat-prod": ("blue", "shadow")}
    assert cloudwatch.metrics == ("ModelLatency", "OverheadLatency", "FirstChunkLatency")
    assert sagemaker.endpoints == ("chat-prod",)
    assert (capture.destination, capture.sampling_percentage) == ("s3://captures/chat", 30)
    assert (capture.variants, capture.shadow) == (("blue",), ("shadow",))
    assert cli.invoke(["check-config"]) == 0


def test_a_file_that_is_there_is_never_overwritten(run):
    (run.folder / "nibai.yaml").write_text("data: mine\n", encoding="utf-8")
    code, said = run("chat-prod")
    assert code == 2
    assert "nibai.yaml is there already: move it away, or say --output FILE" in said.err
    assert (run.folder / "nibai.yaml").read_text(encoding="utf-8") == "data: mine\n"


def test_an_endpoint_that_is_not_there_names_those_that_are(run):
    code, said = run("chat")
    assert code == 2
    assert "no endpoint 'chat' in eu-west-1: there is chat-prod" in said.err
    assert not (run.folder / "nibai.yaml").exists()


def test_the_file_word_by_word(golden):
    full = Survey(
        "123456789012", "eu-west-1", "chat-prod", {"blue": "2 x ml.g5.xlarge"},
        {"shadow": "1 x ml.g6.xlarge"}, ["ic:llama"], ["ModelLatency", "OverheadLatency"],
        ("s3://captures/chat", 30.0), ["sagemaker:DescribeModel is refused; allow it"],
    )  # fmt: skip
    bare = Survey("123456789012", "eu-west-1", "ocr", {"all": "unknown"}, {}, [], ["ModelLatency"])
    golden("init.yaml", "\n---\n".join(rendered(one) for one in (full, bare)))
    for one in (full, bare):
        Config.model_validate(yaml.safe_load(rendered(one)))


def test_components_are_read_beside_the_variant_that_holds_them():
    found = Survey("123456789012", "eu-west-1", "c", {"all": "1 x ml.g5.xlarge"}, {}, ["ic:llama"],
                   ["ModelLatency"])  # fmt: skip
    config = Config.model_validate(yaml.safe_load(rendered(found)))
    assert config.cloudwatch[0].endpoints == {"c": ("all", "ic:llama")}
