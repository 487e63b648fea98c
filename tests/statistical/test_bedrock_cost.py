"""What a model really costs: from Bedrock's token counts and prices per million to a verdict."""

import json

import numpy as np
import pytest
import yaml
from fakeaws.metrics import Metrics
from fakeaws.server import FakeAws

from nibai import cli

NOW = 1_764_028_800.0 + 600
HOURS = 24
OLD, NEW = "amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0"
ENDPOINT = "bedrock/123456789012.us-east-1/chat"
PRICES = {
    OLD: {"usd_per_million_input_tokens": 0.8, "usd_per_million_output_tokens": 3.2},
    NEW: {"usd_per_million_input_tokens": 0.4, "usd_per_million_output_tokens": 1.6},
}


@pytest.fixture
def judged(tmp_path, monkeypatch, capsys):
    """The claim "2x cheaper" when the new model's answers are so many times as long."""

    def judge(longer):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        monkeypatch.setattr("time.time", lambda: NOW)
        monkeypatch.setattr("time.sleep", lambda _: None)  # the pace of the account's quota
        rng, metrics = np.random.default_rng(4), Metrics(NOW)
        last = int(NOW // 3600) * 60
        for minute in range(last - HOURS * 60, last, 5):
            for model, factor in ((OLD, 1.0), (NEW, longer)):
                n = int(rng.poisson(30)) + 1
                counted = {
                    "InvocationLatency": rng.lognormal(0, 0.4, n) * 1e3,
                    "InputTokenCount": rng.integers(400, 600, n),
                    "OutputTokenCount": rng.integers(150, 250, n) * factor,
                }
                for name, values in counted.items():
                    metrics.publish("AWS/Bedrock", name, (("ModelId", model),), minute, values)
        with FakeAws(cloudwatch=metrics) as fake:
            section = {
                "account": "123456789012", "region": "us-east-1", "detail": "TC 28",
                "endpoints": {"chat": [OLD, NEW]}, "metrics": ["InvocationLatency"],
                "endpoint_url": fake.url,
            }  # fmt: skip
            document = {
                "data": str(tmp_path / "data"), "bedrock": [section],
                "cost": {"endpoints": {ENDPOINT: {"variants": PRICES}}},
            }  # fmt: skip
            (tmp_path / "nibai.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")

            def nibai(*arguments):
                cli.invoke([*arguments, "--config", str(tmp_path / "nibai.yaml")])
                return capsys.readouterr()

            nibai("collect", "--once")
        change = nibai(
            "changes", "declare", "--endpoint", ENDPOINT, "--kind", "distillation",
            "--baseline-variant", OLD, "--candidate-variant", NEW, "--claim", "2x cheaper",
        ).out.strip()  # fmt: skip
        (claim,) = json.loads(nibai("audit", change, "--format", "json").out)["claims"]
        return claim

    return judge


@pytest.mark.slow
@pytest.mark.parametrize(("longer", "verdict"), [(0.95, "confirmed"), (2.0, "refuted")])
def test_a_model_of_half_the_price_is_half_as_dear_only_with_answers_as_long(
    judged, longer, verdict
):
    claim = judged(longer)
    assert claim["verdict"] == verdict, claim["reason"]
    cost = claim["evidence"]["cost"]
    old, new = (
        500 * prices["usd_per_million_input_tokens"]
        + 200 * factor * prices["usd_per_million_output_tokens"]
        for prices, factor in ((PRICES[OLD], 1.0), (PRICES[NEW], longer))
    )
    told = [one * 1e3 for one in cost["usd_per_1000_requests"]]
    assert told == pytest.approx([old, new], rel=0.02)
    assert claim["estimate"]["value"] == pytest.approx(old / new, rel=0.02)
    assert cost["sources"][0] == (
        "prices per million tokens as configured; input tokens, output tokens"
    )
    per_million = cost["usd_per_million_output_tokens"]
    assert per_million == pytest.approx([old / 200, new / (200 * longer)], rel=0.03)
