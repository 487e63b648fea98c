"""OpenTelemetry's own exporter over gRPC against `nibai run`: every span is stored once."""

import subprocess
import sys
import time

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from support.spans import lake_counts

from nibai.store.lake.delta import Lake

exporter = pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    reason="opentelemetry-exporter-otlp-proto-grpc is not installed: its exporter was not run",
)
pytest.importorskip("grpc", reason="nibai[grpc] is not installed")

COMMAND = [sys.executable, "-c", "from nibai.cli import main; main()"]
SPANS = 700

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("compression", [False, True])
def test_the_exporter_of_opentelemetry_sends_over_grpc(tmp_path, compression):
    config, ready = tmp_path / "nibai.yaml", tmp_path / "ready"
    config.write_text("otlp: {grpc: '127.0.0.1:0', listen: '127.0.0.1:0'}\n")
    process = subprocess.Popen(
        [*COMMAND, "run", "--config", str(config), "--data", str(tmp_path / "data"),
         "--ready-file", str(ready)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        said = process.stdout.readline()
        assert said.endswith("(OTLP over gRPC)\n"), said
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < deadline, "nibai run did not start"
            time.sleep(0.05)
        send(said.split()[3], compression=compression)
    finally:
        process.terminate()
        code = process.wait(60)
        process.stdout.close()
    assert code == 143
    assert lake_counts(Lake(tmp_path / "data" / "lake"))[0] == SPANS


def send(address, *, compression):
    """Spans through the SDK, in batches of its own."""
    from grpc import Compression  # noqa: PLC0415 - an extra

    kind = Compression.Gzip if compression else Compression.NoCompression
    to = exporter.OTLPSpanExporter(endpoint=address, insecure=True, compression=kind)
    provider = TracerProvider(resource=Resource.create({"service.name": "ocr"}))
    provider.add_span_processor(BatchSpanProcessor(to))
    tracer, end = provider.get_tracer("test"), time.time_ns()
    for i in range(SPANS):
        span = tracer.start_span("x", kind=SpanKind.SERVER, start_time=end - 1_000_000 * (i + 1))
        span.end(end_time=end)
    assert provider.force_flush()
    provider.shutdown()
