"""Durable OTLP/HTTP ingest: spans per second of server CPU, real server, real fsync.

The limit measured in the same run: decoding the same bytes with the published opentelemetry-proto
classes and touching every attribute, without storing anything. Bar: 150,000 spans per CPU second.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BAR = 150_000
TICKS = os.sysconf("SC_CLK_TCK")


def payloads(count: int, spans: int, seed: int = 1) -> list[bytes]:
    """Requests of `spans` server spans with 6 attributes, one of them unique per span."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        request = ExportTraceServiceRequest()
        resource_spans = request.resource_spans.add()
        for key, value in (
            ("service.name", "ocr"),
            ("service.instance.id", f"i-{dice.randrange(4)}"),
        ):
            resource_spans.resource.attributes.add(key=key).value.string_value = value
        scope = resource_spans.scope_spans.add()
        end = time.time_ns()
        for _ in range(spans):
            span = scope.spans.add(
                name="POST /invocations", kind=2, trace_id=dice.randbytes(16),
                span_id=dice.randbytes(8), end_time_unix_nano=end,
                start_time_unix_nano=end - int(dice.lognormvariate(17, 0.5)),
            )  # fmt: skip
            for key, value in (
                ("http.request.method", "POST"),
                ("http.route", "/invocations"),
                ("nibai.variant", dice.choice(["fp16", "int8"])),
                ("nibai.segment", f"tokens={dice.choice(['short', 'medium', 'long'])}"),
                ("request.id", dice.randbytes(8).hex()),
            ):
                span.attributes.add(key=key).value.string_value = value
            span.attributes.add(key="http.response.status_code").value.int_value = 200
        made.append(request.SerializeToString())
    return made


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def reference_rate(bodies: list[bytes], spans: int) -> float:
    """Spans per CPU second of the published classes, decoding and reading only."""
    start = time.process_time()
    for body in bodies:
        request = ExportTraceServiceRequest.FromString(body)
        for resource_spans in request.resource_spans:
            for scope in resource_spans.scope_spans:
                for span in scope.spans:
                    dict((a.key, a.value.string_value) for a in span.attributes)  # noqa: C402
    return len(bodies) * spans / (time.process_time() - start)


def send(url: str, bodies: list[bytes]) -> None:
    """Post bodies over one connection."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    for body in bodies:
        connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status  # noqa: PLR2004 - HTTP OK
    connection.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--spans", type=int, default=512)
    parser.add_argument("--clients", type=int, default=2)
    given = parser.parse_args()
    bodies = payloads(given.batches, given.spans)
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        command = "from nibai.cli import main; main()"
        server = subprocess.Popen(
            [sys.executable, "-c", command, "run", "--data", folder, "--listen", "127.0.0.1:0",
             "--ready-file", str(ready)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not ready.exists():
                time.sleep(0.05)
            url = ready.read_text(encoding="utf-8")
            send(url, payloads(100, given.spans, seed=2))
            before, start = cpu_seconds(server.pid), time.perf_counter()
            parts = [bodies[i :: given.clients] for i in range(given.clients)]
            threads = [threading.Thread(target=send, args=(url, part)) for part in parts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wall = time.perf_counter() - start
            used = cpu_seconds(server.pid) - before
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    total = given.batches * given.spans
    limit = reference_rate(bodies[:100], given.spans)
    rate = total / used
    print(
        f"{total:,} spans in {given.batches} durable batches: {rate:,.0f} spans per server CPU "
        f"second, {total / wall:,.0f} per second of wall time; published decoder alone "
        f"{limit:,.0f} ({rate / limit:.2f}x); bar {BAR:,}: {'met' if rate >= BAR else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
