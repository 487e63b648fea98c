"""Killed between minutes and what of them is to be asked again, a reading loses neither."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakeaws.metrics import Faults, Metrics
from fakeaws.server import FakeAws

from nibai.model import Window
from nibai.store.lake.delta import Lake
from nibai.store.pulled.stored import stored_minutes

SERIES = ("AWS/SageMaker", "ModelLatency", (("EndpointName", "chat"), ("VariantName", "blue")))
NAME = ("sagemaker/123456789012.eu-west-1/chat", "blue", "model_latency")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-real-one",
    "AWS_EC2_METADATA_DISABLED": "true",
}
MINUTES = 300


class Killing(Metrics):
    """Kills whoever asks for a percentile, once."""

    victim = None

    def get_metric_data(self, **request):
        wanted = {query["MetricStat"]["Stat"] for query in request["MetricDataQueries"]}
        if self.victim is not None and "p50" in wanted:
            self.victim.send_signal(signal.SIGKILL)
            self.victim.wait()
            self.victim = None
        return super().get_metric_data(**request)


@pytest.mark.slow
def test_killed_before_minutes_are_asked_again(tmp_path):
    now = time.time()
    metrics, dice = Killing(now), np.random.default_rng(5)
    first = int(now // 60) - MINUTES
    for minute in range(first, first + MINUTES - 3):
        metrics.publish(*SERIES, minute, dice.lognormal(-2, 0.4, 20) * 1e6)
    final = (first + 3, first + 4, first + 40)
    metrics.faults = Faults(miscounted=final)
    with FakeAws(cloudwatch=metrics) as fake:
        section = {
            "account": "123456789012", "region": "eu-west-1", "endpoints": {"chat": ["blue"]},
            "metrics": ["ModelLatency"], "detail": "TC 28", "endpoint_url": fake.url,
        }  # fmt: skip
        config = tmp_path / "nibai.json"
        document = {"data": str(tmp_path / "data"), "cloudwatch": [section]}
        config.write_text(json.dumps(document), encoding="utf-8")
        program = str(Path(sys.executable).with_name("nibai"))
        words = [program, "collect", "--once", "--config", str(config)]

        def start():
            return subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=os.environ | ENVIRONMENT,
            )  # fmt: skip

        metrics.victim = killed = start()
        killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL
        told, _ = start().communicate(timeout=120)
    assert "3 minutes whose buckets do not add up are fitted from percentiles" in told
    window = Window(first * 60.0, (first + MINUTES) * 60.0)
    stored = stored_minutes(Lake(tmp_path / "data" / "lake"), [NAME], window)
    kinds = {
        minute: {kind for kind, cell in one.cells.items() if cell[0]}
        for (_, minute), one in stored.items()
    }
    assert len(kinds) == MINUTES - 3
    assert {minute for minute, kind in kinds.items() if kind == {"percentile_fit"}} == set(final)
    assert all(kinds[minute] == {"tc"} for minute in kinds if minute not in final)
    assert sum(cell[0] for one in stored.values() for cell in one.cells.values()) == 20 * len(kinds)
