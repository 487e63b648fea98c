"""`nibai run` as a process: real OpenTelemetry exporter in, lake and audit out."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from support.spans import lake_counts

from nibai import cli
from nibai.store.lake.delta import Lake

COMMAND = [sys.executable, "-c", "from nibai.cli import main; main()"]
ENDPOINT = "onprem/tokyo/ocr"


class Running:
    def __init__(self, data, *options):
        self.ready = Path(data) / "ready"
        Path(data).mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [*COMMAND, "run", "--data", str(data), "--listen", "127.0.0.1:0",
             "--ready-file", str(self.ready), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self.ready.exists():
            if self.process.poll() is not None:
                pytest.fail(self.process.communicate()[1])
            assert time.monotonic() < deadline, "nibai run did not start"
            time.sleep(0.02)
        self.url = self.ready.read_text()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def running(tmp_path):
    started = Running(tmp_path / "data")
    yield started
    started.kill()


def send(url, variant, replica, spans, *, errors=0):
    """Spans of 10 ms (fp32) or 4 ms (int8) through the SDK's own exporter."""
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
    provider = TracerProvider(resource=Resource.create({"service.name": "ocr"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    end = time.time_ns()
    for i in range(spans):
        duration = (10_000_000 if variant == "fp32" else 4_000_000) + 1000 * (i % 97)
        span = tracer.start_span(
            "classify", kind=SpanKind.SERVER, start_time=end - duration,
            attributes={
                "nibai.endpoint": ENDPOINT, "nibai.variant": variant, "nibai.replica": replica,
                "nibai.segment": f"length={'short' if i % 2 else 'long'}",
            },
        )  # fmt: skip
        if i < errors:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=end)
    assert provider.force_flush()
    provider.shutdown()


def test_spans_become_an_audit(running, tmp_path, capsys):
    for r in range(5):
        send(running.url, "fp32", f"fp32-r{r}", 150)
        send(running.url, "int8", f"int8-r{r}", 150)
    with urllib.request.urlopen(f"{running.url}/healthz", timeout=10) as answer:  # noqa: S310 - our own server
        health = json.load(answer)
    assert health["status"] == "ok"
    assert health["rows"] == 1500
    code, out, err = running.stop()
    assert code == 143
    assert "nibai listens on" in out
    assert all(json.loads(line) for line in err.splitlines()), "logs are JSON lines"
    data = str(tmp_path / "data")
    assert lake_counts(Lake(tmp_path / "data" / "lake"))[0] == 1500

    declare = ["changes", "declare", "--endpoint", ENDPOINT, "--kind", "precision", "--runs",
               "--baseline-variant", "fp32", "--candidate-variant", "int8",
               "--data", data]  # fmt: skip
    assert cli.invoke([*declare, "--claim", "2x faster at p50, p90 and p99"]) == 0
    change = capsys.readouterr().out.strip()
    assert cli.invoke(["audit", change, "--data", data, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "confirmed"
    first = document["claims"][0]
    assert first["estimate"]["value"] == pytest.approx(2.5, rel=0.03)
    assert first["evidence"]["replicas"] == [5, 5]
    assert first["evidence"]["requests"] == [750, 750]

    assert cli.invoke(["audit", "show", document["id"], "--data", data, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == document
    assert cli.invoke(["audit", "list", "--data", data]) == 0
    assert document["id"] in capsys.readouterr().out
    assert cli.invoke(["audit", "--claim", "3x faster at p50", "--data", data]) == 1
    assert cli.invoke(["audit", "--claim", "same predictions", "--data", data]) == 3
    assert cli.invoke(["audit", "--claim", "errors up at most 1pp", "--data", data]) == 0
    assert cli.invoke(["changes", "show", change, "--data", data]) == 0
    assert cli.invoke(["lake", "info", "--data", data]) == 0
    assert "750 requests" in capsys.readouterr().out


def test_a_second_writer_is_refused_and_nothing_acknowledged_is_lost(running, tmp_path):
    done = subprocess.run(
        [*COMMAND, "run", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert f"pid {running.process.pid}" in done.stderr
    send(running.url, "fp32", "a", 40)
    running.kill()  # without warning
    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "moved" / "ready").unlink()
    third = Running(tmp_path / "moved")
    send(third.url, "fp32", "b", 100, errors=30)
    assert third.stop(signal.SIGINT)[0] == 130
    total, rows = lake_counts(Lake(tmp_path / "moved" / "lake"))
    assert total == 140
    assert sum(count for key, count in rows.items() if key[4] == 32767) == 30, "failed: slowest"
