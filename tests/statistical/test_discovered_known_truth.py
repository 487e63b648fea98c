"""End to end through boto3: a canary is discovered, its minutes left out, its promise judged."""

import json

import numpy as np
import pytest
import yaml
from fakeaws.metrics import Metrics
from fakeaws.sagemaker import SageMaker, variant
from fakeaws.server import FakeAws
from support.sagemaker import NOW

from nibai import cli

START = NOW
HOURS = 6
BAKE_MINUTES = 40
CLAIMS = ("2.5x faster", "not slower")
SPEEDUP = 1.7
SERIES = ("AWS/SageMaker", "ModelLatency", (("EndpointName", "chat"), ("VariantName", "blue")))


class Account:
    """An endpoint that a canary makes 1.7 times faster; while it bakes both fleets answer.

    The old fleet is overloaded then, so that a window with these minutes would tell something else.
    """

    def __init__(self, folder, monkeypatch, capsys):
        self.folder, self.capsys = folder, capsys
        self.aws, self.metrics = SageMaker(START), Metrics(START, page=5000)
        self.truth = {"before": [], "bake": [], "after": []}
        self.rng = np.random.default_rng(31)
        monkeypatch.setattr("time.time", lambda: self.aws.now)
        monkeypatch.setattr("time.sleep", lambda _: None)

    def serve(self, minutes, part):
        """Traffic of the next minutes."""
        for _ in range(minutes):
            made = self.rng.lognormal(-2, 0.35, 16)
            if part == "after":
                made = made / SPEEDUP
            if part == "bake":
                made = np.concatenate([made[:8] * 6, made[8:] / SPEEDUP])
            self.truth[part].append(made)
            self.metrics.publish(*SERIES, int(self.aws.now // 60), made * 1e6)
            self.aws.now += 60

    def nibai(self, *arguments):
        self.metrics.now = self.aws.now
        with FakeAws(cloudwatch=self.metrics, sagemaker=self.aws) as fake:
            one = {"account": "123456789012", "region": "eu-west-1", "endpoint_url": fake.url}
            document = {
                "data": str(self.folder / "data"),
                "cloudwatch": [
                    {**one, "endpoints": {"chat": ["blue"]}, "metrics": ["ModelLatency"],
                     "errors": False, "detail": "TC 55"},
                ],
                "sagemaker": [
                    {**one, "claims": [f"model_latency {claim} at p50" for claim in CLAIMS]},
                ],
            }  # fmt: skip
            path = self.folder / "nibai.yaml"
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            code = cli.invoke([*arguments, "--config", str(path)])
        said = self.capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def account(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    return Account(tmp_path, monkeypatch, capsys)


@pytest.mark.slow
def test_a_canary_is_discovered_and_judged_without_its_own_minutes(account):
    aws = account.aws
    aws.config("c1", variant("blue", aws.model("m1")))
    aws.endpoint("chat", "c1")
    account.nibai("changes", "discover", "--once")
    account.serve(HOURS * 60, "before")
    aws.now = START + 86_400 - BAKE_MINUTES * 60
    account.nibai("changes", "discover", "--once")
    aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    began = aws.now
    aws.begin("chat", "c2")
    account.serve(BAKE_MINUTES // 2, "bake")
    aws.stage("chat", "Baking")
    account.nibai("changes", "discover", "--once")
    account.serve(BAKE_MINUTES // 2, "bake")
    aws.finish("chat")
    over = aws.now
    code, out, _ = account.nibai("changes", "discover", "--once")
    assert code == 0
    change = out.split()[0]
    account.serve(HOURS * 60, "after")
    aws.now += 4 * 60
    assert account.nibai("collect", "--once")[0] == 0
    _, audit, _ = account.nibai("audit", change, "--format", "json")
    document = json.loads(audit)
    assert (document["change"]["started_at"], document["change"]["effective_at"]) == (began, over)
    assert document["baseline"]["from"] == "2025-11-24T16:00:00Z", "the same hours of a day before"
    [faster, slower] = document["claims"]
    truth = np.quantile(np.concatenate(account.truth["before"]), 0.5) / np.quantile(
        np.concatenate(account.truth["after"]), 0.5
    )
    assert faster["estimate"]["value"] == pytest.approx(truth, rel=0.03)
    assert faster["estimate"]["low"] < SPEEDUP < faster["estimate"]["high"]
    assert (faster["verdict"], slower["verdict"]) == ("refuted", "confirmed")
