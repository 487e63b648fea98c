"""How far a reading is, as a log and as a terminal show it."""

import os
import pty
import re
import sys

import pytest
import yaml
from fakeaws.generated import GeneratedMetrics
from fakeaws.server import FakeAws

from nibai import cli
from nibai.cli.progress import Calls, Lines

NOW = 1_764_028_980.0


def test_a_log_gets_a_line_a_minute_with_the_time_left():
    now, said = [0.0], []
    lines, calls = Lines(said.append, lambda: now[0]), Calls({"a": 1000})
    for _ in range(150):
        now[0] += 1.0
        calls.made("a", None)
        lines.tick(calls)
    calls.made("a", 149)
    now[0] += 60.0
    lines.tick(calls)
    assert said == [
        "60 of 1,000 calls, about 16 minutes left",
        "120 of 1,000 calls, about 15 minutes left",
        "151 of 300 calls, about 3 minutes left",
    ]


@pytest.fixture
def read(monkeypatch, tmp_path):
    """`nibai collect --once` of two variants, whose range takes half of the planned buckets."""
    for name, value in (("ACCESS_KEY_ID", "AKIDEXAMPLE"), ("SECRET_ACCESS_KEY", "not-a-real-one")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("collector.cloudwatch.cadence.BACKFILL_SECONDS", 2 * 86_400.0)

    def run():
        with FakeAws(cloudwatch=GeneratedMetrics(NOW, per_minute=2)) as fake:
            section = {
                "account": "123456789012", "region": "eu-west-1", "endpoint_url": fake.url,
                "endpoints": {"chat": ["blue", "green"]}, "metrics": ["ModelLatency"],
            }  # fmt: skip
            path = tmp_path / "nibai.yaml"
            document = {"data": str(tmp_path / "data"), "cloudwatch": [section]}
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            return cli.invoke(["collect", "--once", "--config", str(path)])

    return run


def test_the_bar_ends_where_the_calls_end(read, monkeypatch, capsys):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert read() == 0
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    planned = int(re.search(r"now (\d+) calls", capsys.readouterr().out)[1])
    places = re.findall(r"(\d+)/(\d+)", shown)
    assert places[0] == ("0", str(planned))
    done, total = map(int, places[-1])
    assert done == total < planned, "fewer buckets hold something than were planned"
