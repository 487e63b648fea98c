"""`nibai run` with a large fleet: peak memory, and how long `/metrics` keeps Prometheus waiting.

    python bench/server_memory.py [--endpoints 500] [--minutes 6] [--hours 2]

500 endpoints × 4 metrics × 2 variants. The lake holds the last hours of every series and three days
of 20 endpoints with a claimed change. The real program is started on it; OTLP comes in as it does
from a fleet (20 requests a minute of every variant as spans, the other metrics as exponential
histograms), both forms are scraped every 15 s, pages are opened, and follow, changes and outputs
look every minute. Then it is stopped and started again: the first scrapes after `/readyz` are those
that a restart makes Prometheus wait for. Bars: 1 GiB of resident memory, 500 ms a scrape.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from nibai.app.audit import Desk
from nibai.claims import parse
from nibai.histogram import BlockHistograms
from nibai.model import Change
from nibai.store.lake.delta import Lake
from nibai.store.lake.rows import TABLES
from nibai.store.state.database import open_state

SPAN_METRIC, POINT_METRICS = "latency", ("model_latency", "ttft", "tpot")
VARIANTS = ("v0", "v1")
PER_MINUTE = 20
CHANGED, DAYS_OF_CHANGED = 20, 3
SCRAPE_EVERY_SECONDS = 15.0
BAR_MIB, BAR_SECONDS = 1024, 0.5
PROMETHEUS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
FORMS = {"native": PROMETHEUS, "text": "text/plain"}
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = """\
data: {data}
schedule:
  follow: {{every: 1m}}
  changes: {{every: 1m}}
  outputs: {{every: 1m}}
"""


# -- the lake -------------------------------------------------------------------------------


def fill(root: str, state: str, endpoints: int, hours: float) -> None:
    """The past of every series; done in a process of its own."""
    lake, now = Lake(root), int(time.time() // 60)
    names, every = [endpoint(e) for e in range(endpoints)], (SPAN_METRIC, *POINT_METRICS)
    changed = names[:: max(endpoints // CHANGED, 1)][:CHANGED]
    begin, recent = now - DAYS_OF_CHANGED * 1440, now - round(hours * 60)
    for sequence, start in enumerate(range(begin, recent, 360), 1):
        _commit(lake, sequence, changed, (SPAN_METRIC,), range(start, min(start + 360, recent)))
    for sequence, start in enumerate(range(recent, now, 10), 1000):
        _commit(lake, sequence, names, every, range(start, min(start + 10, now)))
    opened = open_state(state)
    desk = Desk(opened, lake, time.time)
    for name in changed:
        claimed = (parse("2x faster at p50 and p99"), parse("errors up at most 1 pp"))
        desk.declare(Change("", name, effective_at=now * 60.0 - 86400.0, sentences=claimed))
    opened.close()


def _commit(
    lake: Lake, sequence: int, names: list[str], metrics: tuple[str, ...], minutes: range
) -> None:
    """Some minutes of all series of some endpoints, as a collector commits them."""
    rng = np.random.default_rng(sequence)
    shape = (len(names), len(VARIANTS), len(metrics), len(minutes))
    for day in sorted({minute // 1440 for minute in minutes}):
        own = np.array([minute for minute in minutes if minute // 1440 == day], np.int64)
        n = int(np.prod(shape[:3])) * len(own)
        keys = np.indices((*shape[:3], len(own))).reshape(4, -1)
        seconds = rng.lognormal(-2, 0.4, (n, PER_MINUTE))
        cell = np.repeat(np.arange(n), PER_MINUTE)
        bucket = np.ceil(np.log2(seconds.ravel()) * 32).astype(np.int64) - 1
        found, count = np.unique(cell * 4096 + bucket + 2048, return_counts=True)
        hist = {"scale": 5, "bucket": found % 4096 - 2048, "count": count}
        sums = {
            "count": PER_MINUTE, "sum": seconds.sum(1), "min": seconds.min(1),
            "max": seconds.max(1), "errors": 0, "timeouts": 0,
        }  # fmt: skip
        for table, rows, more in (("hist", found // 4096, hist), ("cell", np.arange(n), sums)):
            which = {"endpoint": names, "variant": VARIANTS, "metric": metrics}
            columns: dict[str, object] = {
                name: pa.DictionaryArray.from_arrays(keys[i][rows].astype(np.int32), list(values))
                for i, (name, values) in enumerate(which.items())
            }
            columns |= {"day": np.datetime64(int(day), "D"), "replica": "r1", "segment": ""}
            columns |= {"minute": own[keys[3][rows]], "provenance": "exact", **more}
            lake.commit(table, _table(table, columns, len(rows)), f"bench-{day}", sequence)


def _table(name: str, columns: dict[str, object], n: int) -> pa.Table:
    def array(value: object) -> pa.Array:
        if isinstance(value, pa.Array):
            return value
        if isinstance(value, np.ndarray):
            return pa.array(value)
        return pa.repeat(pa.scalar(value.item() if isinstance(value, np.generic) else value), n)

    return pa.table({f.name: array(columns[f.name]).cast(f.type) for f in TABLES[name]})


def endpoint(number: int) -> str:
    """The name of an endpoint."""
    return f"onprem/tokyo/endpoint-{number:04d}"


# -- the traffic ----------------------------------------------------------------------------


def traces(names: list[str], requests: int, rng: np.random.Generator) -> bytes:
    """Some requests of every variant of some endpoints."""
    message, end = ExportTraceServiceRequest(), time.time_ns()
    for name in names:
        for variant in VARIANTS:
            group = message.resource_spans.add()
            _attributes(group.resource.attributes, name, variant)
            scope = group.scope_spans.add()
            for seconds in rng.lognormal(-2, 0.4, requests).tolist():
                scope.spans.add(
                    name="POST /invocations", kind=2, trace_id=rng.bytes(16), span_id=rng.bytes(8),
                    end_time_unix_nano=end, start_time_unix_nano=end - int(seconds * 1e9),
                )  # fmt: skip
    return message.SerializeToString()


def points(names: list[str], rng: np.random.Generator) -> bytes:
    """The minute's histograms of the other metrics of some endpoints."""
    message, end = ExportMetricsServiceRequest(), time.time_ns()
    for name in names:
        for variant in VARIANTS:
            group = message.resource_metrics.add()
            _attributes(group.resource.attributes, name, variant)
            scope = group.scope_metrics.add()
            for metric in POINT_METRICS:
                seconds = rng.lognormal(-2, 0.4, PER_MINUTE)
                counts = BlockHistograms.from_values(seconds)
                made = scope.metrics.add(name=f"nibai.{metric}", unit="s").exponential_histogram
                made.aggregation_temporality = 1
                point = made.data_points.add(
                    count=PER_MINUTE, sum=float(seconds.sum()), scale=counts.scale,
                    time_unix_nano=end, start_time_unix_nano=end - 60_000_000_000,
                )  # fmt: skip
                point.positive.offset = counts.offset
                point.positive.bucket_counts.extend(counts.counts[0].tolist())
    return message.SerializeToString()


def _attributes(target: object, name: str, variant: str) -> None:
    for key, value in (
        ("nibai.endpoint", name), ("nibai.variant", variant), ("nibai.replica", "r1"),
    ):  # fmt: skip
        target.add(key=key).value.string_value = value  # type: ignore[attr-defined]


# -- the server -----------------------------------------------------------------------------


@dataclass
class Watched:
    """What was seen of a running server."""

    url: str
    pid: int
    started: float
    times: dict[str, list[float]] = field(default_factory=dict)
    sent: int = 0
    refused: int = 0

    def get(self, path: str, accept: str = "text/html") -> tuple[int, int, float]:
        """(status, bytes, seconds) of one request."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        began = time.perf_counter()
        connection.request("GET", path, headers={"accept": accept})
        answer = connection.getresponse()
        size = len(answer.read())
        connection.close()
        return answer.status, size, time.perf_counter() - began

    def post(self, path: str, body: bytes) -> None:
        """Send a batch."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.request("POST", path, body, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        self.sent += 1
        self.refused += answer.status != http.HTTPStatus.OK

    def wait_ready(self) -> float:
        """Seconds from the start until `/readyz` says so."""
        while self.get("/readyz")[0] != http.HTTPStatus.OK:
            time.sleep(0.05)
        return time.perf_counter() - self.started

    def timed(self, what: str, path: str, accept: str = "text/html") -> int:
        """Ask, and keep how long it took; the number of bytes."""
        status, size, took = self.get(path, accept)
        assert status == http.HTTPStatus.OK, (path, status)
        self.times.setdefault(what, []).append(took)
        return size

    def resident(self) -> tuple[float, float]:
        """(now, peak) in MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        found = dict(line.split(":", 1) for line in lines)
        now, peak = (int(found[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, peak

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(folder: Path) -> Iterator[Watched]:
    """The real program on a data folder, stopped by SIGTERM."""
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    config = folder / "nibai.yaml"
    config.write_text(CONFIG.format(data=folder / "data"), encoding="utf-8")
    with (folder / "log").open("a") as log:
        began = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-c", "from nibai.cli import main; main()", "run", "--config",
             str(config), "--listen", "127.0.0.1:0", "--ready-file", str(ready)],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            while not ready.exists():
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.02)
            yield Watched(ready.read_text(encoding="utf-8"), server.pid, began)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def feed(watched: Watched, names: list[str], stop: threading.Event) -> None:
    """A batch of spans every second, and every endpoint's histograms once a minute."""
    rng, parts, second = np.random.default_rng(1), 60, 0
    began = time.monotonic()
    while not stop.wait(max(began + second - time.monotonic(), 0)):
        some = names[second % parts :: parts]
        watched.post("/v1/traces", traces(some, PER_MINUTE, rng))
        watched.post("/v1/metrics", points(some, rng))
        second += 1


def watch(watched: Watched, names: list[str], minutes: float) -> None:
    """Scrape and open pages as clients do, and print a line a minute."""
    stop = threading.Event()
    feeder = threading.Thread(target=feed, args=(watched, names, stop))
    feeder.start()
    try:
        for number in range(round(minutes * 60 / SCRAPE_EVERY_SECONDS)):
            began = time.monotonic()
            sizes = [watched.timed(form, "/metrics", FORMS[form]) for form in FORMS]
            if number % 4 == 0:
                watched.timed("/audits", "/audits")
                watched.timed("/endpoints", f"/endpoints/{names[number % len(names)]}")
                now, peak = watched.resident()
                print(
                    f"  {number / 4:.0f} min: {now:.0f} MiB, peak {peak:.0f}, CPU "
                    f"{watched.cpu_seconds():.0f} s, native {sizes[0] / 2**20:.1f} MiB, text "
                    f"{sizes[1] / 2**20:.1f}, {watched.refused} of {watched.sent} refused",
                    flush=True,
                )
            time.sleep(max(began + SCRAPE_EVERY_SECONDS - time.monotonic(), 0))
    finally:
        stop.set()
        feeder.join()


def main() -> int:
    """Measure, print, and say whether the bars were met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endpoints", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--hours", type=float, default=2.0)
    given = parser.parse_args()
    names = [endpoint(e) for e in range(given.endpoints)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = (str(folder / "data" / "lake"), str(folder / "data" / "state.sqlite"))
        (folder / "data").mkdir()
        filling = get_context("spawn").Process(
            target=fill, args=(*arguments, given.endpoints, given.hours)
        )
        filling.start()
        filling.join()
        with running(folder) as first:
            print(f"ready after {first.wait_ready():.1f} s")
            watch(first, names, given.minutes)
            peaks = [first.resident()[1]]
        times = first.times
        with running(folder) as second:
            print(f"restarted: ready after {second.wait_ready():.1f} s")
            for form, accept in FORMS.items():
                second.timed(f"first {form}", "/metrics", accept)
            time.sleep(20)
            peaks.append(second.resident()[1])
        times |= second.times
        errors = [line for line in (folder / "log").read_text().splitlines() if '"ERROR"' in line]
    for what, found in times.items():
        ordered = sorted(found)
        print(
            f"{what:14s} median {np.median(ordered) * 1000:6.0f} ms, worst "
            f"{ordered[-1] * 1000:6.0f} ms of {len(ordered)}"
        )
    scrapes = [t for what, found in times.items() if not what.startswith("/") for t in found]
    met = max(peaks) < BAR_MIB and max(scrapes) < BAR_SECONDS and not errors
    print(
        f"peak {max(peaks):.0f} MiB (bar {BAR_MIB}), worst scrape {max(scrapes) * 1000:.0f} ms "
        f"(bar {BAR_SECONDS * 1000:.0f}), {len(errors)} errors logged: {'met' if met else 'MISSED'}"
    )
    for line in errors[:5]:
        print(line[:400])
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
