"""`nibai changes discover` through boto3: what is found is printed, kept, and can be audited."""

import json

import pytest
import yaml
from fakeaws.sagemaker import SageMaker, variant
from fakeaws.server import FakeAws
from support.sagemaker import NOW, SCOPE

from nibai import cli
from nibai.model import Window
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine


class Command:
    """A configuration whose account is the fake's; time is the fake's."""

    def __init__(self, folder, capsys, monkeypatch):
        self.aws = SageMaker(NOW)
        self.folder, self.capsys = folder, capsys
        monkeypatch.setattr("time.time", lambda: self.aws.now)

    def __call__(self, *arguments, **settings):
        with FakeAws(sagemaker=self.aws) as fake:
            section = {
                "account": "123456789012", "region": "eu-west-1", "endpoint_url": fake.url,
                "weights": False,
            }  # fmt: skip
            document = {"data": str(self.folder / "data"), "sagemaker": [{**section, **settings}]}
            path = self.folder / "nibai.yaml"
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            code = cli.invoke([*arguments, "--config", str(path)])
        said = self.capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def nibai(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    return Command(tmp_path, capsys, monkeypatch)


def test_a_change_is_printed_kept_and_never_told_twice(nibai):
    nibai.aws.config("c1", variant("blue", nibai.aws.model("m1")))
    nibai.aws.endpoint("chat", "c1")
    code, out, err = nibai("changes", "discover", "--once")
    assert (code, out) == (0, "")
    assert err == (
        f"  {SCOPE}chat: seen for the first time: blue (production); changes are told from here on"
        "\n1 endpoint looked at, 0 changes found\n"
    )
    nibai.aws.now += 60
    nibai.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    nibai.aws.update("chat", "c2")
    code, out, err = nibai("changes", "discover", "--once")
    assert code == 0
    change, rest = out.split("  ", 1)
    assert rest == (
        f"{SCOPE}chat  blue  2025-11-24T16:01Z to 2025-11-24T16:11Z  instance_type  "
        "InstanceType ml.g5.xlarge -> ml.g6.xlarge\n"
    )
    assert err == (
        "  claim: model_latency 2x faster at p50, p90 and p99\n"
        "1 endpoint looked at, 1 change found\n"
    )
    assert nibai("changes", "discover", "--once")[1] == ""
    _, shown, _ = nibai("changes", "show", change)
    document = json.loads(shown)
    assert document["sentences"] == ["model_latency 2x faster at p50, p90 and p99"]
    assert document["started_at"] < document["effective_at"]


def test_nothing_that_can_be_asked_is_an_error_with_the_remedy(nibai):
    nibai.aws.denied = {"ListEndpoints"}
    code, out, err = nibai("changes", "discover", "--once")
    assert (code, out) == (5, "")
    assert "allow sagemaker:ListEndpoints, see the policy in deploy/iam" in err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"claims": ["twice as fast"]}, "sagemaker[0].claims"),
        ({"queue": "my-queue"}, "sagemaker[0].queue"),
        ({"endpoints": []}, "sagemaker[0].endpoints"),
    ],
)
def test_a_section_that_cannot_work_is_refused_in_words(nibai, settings, said):
    code, _, err = nibai("changes", "discover", "--once", **settings)
    assert code == 2
    assert said in err
    assert nibai.aws.calls == []


def test_no_section_is_said_with_the_remedy(tmp_path, capsys):
    path = tmp_path / "nibai.yaml"
    path.write_text(f"data: {tmp_path}\n", encoding="utf-8")
    assert cli.invoke(["changes", "discover", "--once", "--config", str(path)]) == 2
    assert "add `sagemaker` with account, region and endpoints" in capsys.readouterr().err


def test_instances_are_counted_every_ten_minutes_for_claims_about_cost(nibai):
    nibai.aws.config("c1", variant("blue", nibai.aws.model("m1"), count=3))
    nibai.aws.endpoint("chat", "c1")
    for seconds in (0, 60, 600):
        nibai.aws.now = NOW + seconds
        assert nibai("changes", "discover", "--once")[0] == 0
    nibai.aws.scale("chat", 5)
    nibai.aws.now = NOW + 1800
    assert nibai("changes", "discover", "--once")[0] == 0
    engine = Engine(Lake(nibai.folder / "data" / "lake"))
    blocks = Blocks(Window(NOW, NOW + 3600), 2)
    found = engine.blocks(f"{SCOPE}chat", "instances", "blue", blocks)[""][""]
    assert found.sums.tolist() == [6.0, 5.0]
    assert found.histograms.n.tolist() == [2, 1]
