"""Durable OTLP/HTTP ingest: spans per second of server CPU, real server, real fsync.

The peer measured in turns with it: the published opentelemetry-proto classes decode the same bytes
and a bare loop touches every attribute, without HTTP and without storing anything; the floor of a
receiver in Python that makes objects of spans. Its ratio to ours holds on a slower machine too.
Bar: 150,000 spans per CPU second. `--stages`: where the time of a batch goes.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.otlp.decode import decode_traces
from collector.otlp.rows import Mapper
from nibai.store.wal.log import WriteAheadLog, encode_frame

BAR = 150_000
TICKS = os.sysconf("SC_CLK_TCK")
PEER_BATCHES = 60


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


def touch(body: bytes) -> None:
    """What a receiver made of the published classes does at least."""
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource_spans.scope_spans:
            for span in scope.spans:
                dict((a.key, a.value.string_value) for a in span.attributes)  # noqa: C402


def reference_rate(bodies: list[bytes], spans: int) -> float:
    """Spans per CPU second of the published classes, decoding and reading only."""
    start = time.process_time()
    for body in bodies:
        touch(body)
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


def send_all(url: str, bodies: list[bytes], clients: int) -> None:
    """Post bodies over some connections at a time."""
    parts = [bodies[i::clients] for i in range(clients)]
    threads = [threading.Thread(target=send, args=(url, part)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(given: argparse.Namespace) -> float:
    """Rounds against one server, the peer before and after each; the median rate."""
    total = given.batches * given.spans
    rates, ratios, walls = [], [], []
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
            for turn in range(given.rounds):
                bodies = payloads(given.batches, given.spans, seed=10 + turn)
                peers = [reference_rate(bodies[:PEER_BATCHES], given.spans)]
                before, start = cpu_seconds(server.pid), time.perf_counter()
                send_all(url, bodies, given.clients)
                walls.append(total / (time.perf_counter() - start))
                rates.append(total / (cpu_seconds(server.pid) - before))
                peers.append(reference_rate(bodies[:PEER_BATCHES], given.spans))
                ratios.append(rates[-1] / statistics.mean(peers))
                print(
                    f"  round {turn + 1}: {rates[-1]:,.0f} spans per server CPU second; "
                    f"published classes alone {statistics.mean(peers):,.0f}",
                    flush=True,
                )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    rate = statistics.median(rates)
    print(
        f"{given.rounds} rounds of {total:,} spans in {given.batches} durable batches: "
        f"{rate:,.0f} spans per server CPU second ({1e6 / rate:.1f} µs each, folds of whole "
        f"minutes included), {statistics.median(walls):,.0f} per second of wall time; "
        f"{statistics.median(ratios):.2f}x the published classes alone "
        f"[{min(ratios):.2f}, {max(ratios):.2f}]; "
        f"bar {BAR:,}: {'met' if rate >= BAR else 'MISSED'}"
    )
    return rate


def stages(count: int, spans: int) -> None:
    """CPU µs per span of each stage by itself, in turns; the best of five, caches warm."""
    bodies = payloads(count, spans)
    packed = [zlib.compress(body, 6, wbits=31) for body in bodies]
    mapper = Mapper()
    decoded = [decode_traces(body, mapper.wanted, as_json=False) for body in bodies]
    batches = [mapper.rows(one)[0] for one in decoded]
    with tempfile.TemporaryDirectory() as folder:
        log = WriteAheadLog(Path(folder), clock=time.time)
        work: dict[str, tuple[Callable[..., object], list]] = {
            "published classes: parse": (ExportTraceServiceRequest.FromString, bodies),
            "published classes: parse, touch": (touch, bodies),
            "gunzip (where sent so)": (lambda body: zlib.decompress(body, 31), packed),
            "digest": (lambda body: hashlib.sha256(body).digest(), bodies),
            "decode": (lambda body: decode_traces(body, mapper.wanted, as_json=False), bodies),
            "map to rows": (mapper.rows, decoded),
            "encode a frame": (lambda batch: encode_frame(batch, None), batches),
            "encode, write, fdatasync": (log.append, batches),
        }
        best = dict.fromkeys(work, float("inf"))
        for _ in range(5):
            for name, (do, given) in work.items():
                start = time.process_time()
                for one in given:
                    do(one)
                used = (time.process_time() - start) / len(given) / spans * 1e6
                best[name] = min(best[name], used)
    for name, used in best.items():
        print(f"  {name:34}{used:6.2f} µs per span")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--spans", type=int, default=512)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stages", action="store_true")
    given = parser.parse_args()
    if given.stages:
        stages(60, given.spans)
    measure(given)


if __name__ == "__main__":
    main()
