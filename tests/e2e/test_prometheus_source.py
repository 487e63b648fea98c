"""Native and classic histograms of a real Prometheus, collected, counted and audited."""

import json
import time

import numpy as np
import pytest
import yaml
from support.remote_write import PROMETHEUS, Written, prometheus

from nibai import cli
from nibai.model import Window
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]

MINUTES = 13 * 60
PER_MINUTE = 20
SPEEDUP = 1.7
NAME = "vllm:e2e_request_latency_seconds"
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LABELS = {"model_name": "ocr", "version": "fp16", "instance": "a:8000"}
ENDPOINT = "onprem/tokyo/ocr"


class Traffic:
    """Thirteen hours until a few minutes ago, 1.7 times faster in the middle; a restart inside."""

    def __init__(self, seed=5):
        rng = np.random.default_rng(seed)
        self.start = (time.time() // 60 - MINUTES - 5) * 60
        self.moved = self.start + 60 * (MINUTES // 2)
        self.restarted = MINUTES // 3
        self.minutes = [
            0.15 * np.exp(rng.normal(0, 0.4, rng.poisson(PER_MINUTE)))
            / (SPEEDUP if minute >= MINUTES // 2 else 1.0)
            for minute in range(MINUTES)
        ]  # fmt: skip

    def since_start(self, minutes):
        """All values of the process after so many minutes."""
        born = self.restarted if minutes > self.restarted else 0
        return np.concatenate([np.zeros(0), *self.minutes[born:minutes]])

    def write(self, url):
        """Samples at the ends of minutes, half an hour a request."""
        for first in range(0, MINUTES + 1, 30):
            written = Written()
            for minute in range(first, min(first + 30, MINUTES + 1)):
                at, values = self.start + 60 * minute, self.since_start(minute)
                written.histogram({"__name__": NAME, **LABELS}, at, values, 3)
                classic = {**LABELS, "version": "int8"}
                for bound in (*BOUNDS, np.inf):
                    name = {"__name__": f"{NAME}_bucket", "le": f"{bound:g}".replace("inf", "+Inf")}
                    written.number({**classic, **name}, at, (values <= bound).sum())
                written.number({**classic, "__name__": f"{NAME}_sum"}, at, values.sum())
                tokens = {**LABELS, "__name__": "vllm:generation_tokens_total"}
                written.number(tokens, at, 100 * len(values))
            written.send(url)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    traffic = Traffic()
    with prometheus(tmp_path_factory.mktemp("prometheus")) as url:
        traffic.write(url)
        yield traffic, url


@pytest.fixture
def nibai(served, tmp_path, capsys):
    traffic, url = served
    own = {"url": url, "endpoint": "onprem/tokyo/{model_name}", "backfill": "14h"}
    path = tmp_path / "nibai.yaml"

    def run(*arguments, metrics=None):
        if metrics is not None:
            document = {"data": str(tmp_path / "data"), "prometheus": [{**own, "metrics": metrics}]}
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
        code = cli.invoke([*arguments, "--config", str(path)])
        said = capsys.readouterr()
        assert code in {0, 1, 3}, said.err
        return said.out

    run.engine = Engine(Lake(tmp_path / "data" / "lake"))
    run.traffic = traffic
    return run


def blocks(nibai, metric, variant):
    first = nibai.traffic.start
    window = Window(first, first + 60 * MINUTES)
    return nibai.engine.blocks(ENDPOINT, metric, variant, Blocks(window, MINUTES))


def test_native_histograms_are_counted_to_the_request_and_audited(nibai):
    out = nibai("collect", "--once", metrics={"latency": NAME, "output_tokens": "auto"})
    assert "1 counters that started anew" in out or "2 counters that started anew" in out
    [series] = blocks(nibai, "latency", "fp16")["a:8000"].values()
    assert series.histograms.n.tolist() == [len(one) for one in nibai.traffic.minutes]
    assert series.histograms.scale == 3
    assert series.sums == pytest.approx([one.sum() for one in nibai.traffic.minutes], rel=1e-9)
    truth = np.concatenate(nibai.traffic.minutes)
    for p in (0.5, 0.9, 0.99):
        found = series.histograms.total().quantile([p])[0]
        assert found == pytest.approx(np.quantile(truth, p), rel=0.045)
    [tokens] = blocks(nibai, "output_tokens", "fp16")["a:8000"].values()
    assert tokens.sums.sum() == 100 * len(truth)
    assert " 0 new, 0 revised" in nibai("collect", "--once")


def test_the_audit_of_a_real_prometheus_agrees_with_the_requests(nibai):
    nibai("collect", "--once", metrics={"latency": NAME, "output_tokens": "auto"})
    declared = nibai(
        "changes", "declare", "--endpoint", ENDPOINT, "--at", str(nibai.traffic.moved),
        "--claim", "1.5x faster at p50 and p90, cost at most 1x", "--cost-per-hour", "1.2,1.2",
        "--baseline-variant", "fp16", "--candidate-variant", "fp16",
    )  # fmt: skip
    document = json.loads(nibai("audit", declared.strip(), "--format", "json"))
    half = MINUTES // 2
    sides = [np.concatenate(part) for part in
             (nibai.traffic.minutes[:half], nibai.traffic.minutes[half:])]  # fmt: skip
    for claim, p in zip(document["claims"][:2], (0.5, 0.9), strict=True):
        truth = np.quantile(sides[0], p) / np.quantile(sides[1], p)
        assert claim["estimate"]["value"] == pytest.approx(truth, rel=0.02)
        assert claim["estimate"]["low"] < SPEEDUP < claim["estimate"]["high"]
    cost = document["claims"][2]["evidence"]["cost"]
    assert cost["instances"] == [1.0, 1.0]
    requests = sum(len(one) for one in nibai.traffic.minutes[:half])
    expected = 1.2 * half / 60 / (100 * requests) * 1e6
    assert cost["usd_per_million_output_tokens"][0] == pytest.approx(expected, rel=1e-6)


def test_classic_buckets_lose_no_request(nibai):
    metrics = {"latency": {"name": NAME, "unit": "s"}}
    # Both forms are there under one name: without the native one the classic one is read.
    nibai("collect", "--once", metrics={"ttft": {"name": f"{NAME}_bucket", "unit": "s"}, **metrics})
    [series] = blocks(nibai, "ttft", "int8")["a:8000"].values()
    assert series.histograms.n.tolist() == [len(one) for one in nibai.traffic.minutes]
    assert series.sums == pytest.approx([one.sum() for one in nibai.traffic.minutes], rel=1e-9)
