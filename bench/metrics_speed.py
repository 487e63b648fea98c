"""`/metrics` of a large fleet: time and memory of a scrape, and of renewing what it says.

    python bench/metrics_speed.py [--endpoints 500] [--metrics 4] [--variants 2]

One minute of traffic of every series is appended to a lake, totals grow by it, and both forms are
encoded: what a scrape waits for is the last line of each. The limit beside it is prometheus-client
alone, writing as many ready-made gauge lines as the classic form has.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest

from nibai.app.audit import Desk
from nibai.app.onwatch.exporter import Exporter
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.store.lake.delta import Lake
from nibai.store.lake.rows import TABLES
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import IngestStats

METRICS = ("latency", "model_latency", "ttft", "tpot")
BUCKETS = 60
PROMETHEUS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
STATS = IngestStats(0, 0, 0, 0, 0, None)


def minute(lake: Lake, sequence: int, series: list[tuple[str, str, str]], at: int) -> None:
    """One minute of every series, as a collector commits it."""
    rng = np.random.default_rng(sequence)
    n, day = len(series), np.datetime64(at // 1440, "D")
    keys = {
        "endpoint": [e for e, _, _ in series], "variant": [v for _, v, _ in series],
        "replica": ["r1"] * n, "segment": [""] * n, "metric": [m for _, _, m in series],
        "provenance": ["exact"] * n,
    }  # fmt: skip
    counts = rng.integers(1, 40, (n, BUCKETS))
    rows = {name: np.repeat(np.array(column, object), BUCKETS) for name, column in keys.items()}
    rows |= {
        "day": np.full(n * BUCKETS, day), "minute": np.full(n * BUCKETS, at, np.int32),
        "scale": np.full(n * BUCKETS, 5, np.int8), "count": counts.ravel().astype(np.int32),
        "bucket": (np.tile(np.arange(BUCKETS), n) - 120).astype(np.int16),
    }  # fmt: skip
    lake.commit("hist", _table("hist", rows), "bench", sequence)
    total = counts.sum(axis=1)
    cells = {name: np.array(column, object) for name, column in keys.items()} | {
        "day": np.full(n, day), "minute": np.full(n, at, np.int32), "count": total,
        "sum": total * 0.1, "min": np.full(n, 0.07), "max": np.full(n, 0.3),
        "errors": np.zeros(n, np.int64), "timeouts": np.zeros(n, np.int64),
    }  # fmt: skip
    lake.commit("cell", _table("cell", cells), "bench", sequence)


def apart(root: str, sequences: range, series: list[tuple[str, str, str]], at: int) -> None:
    """Append minutes in a process of its own: its memory is not that of the server."""
    work = multiprocessing.get_context("spawn").Process(
        target=_minutes, args=(root, sequences, series, at)
    )
    work.start()
    work.join()


def _minutes(root: str, sequences: range, series: list[tuple[str, str, str]], at: int) -> None:
    for sequence in sequences:
        minute(Lake(root), sequence, series, at + sequence)


def _table(name: str, columns: dict[str, np.ndarray]) -> pa.Table:
    schema = TABLES[name]
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema})


def timed(what: str, call: object) -> object:
    """Run and print wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()  # type: ignore[operator]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:48s} {wall * 1000:8.0f} ms wall {cpu * 1000:8.0f} ms CPU")
    return found


def main() -> int:
    """Print the times, the sizes and the memory."""
    parser = argparse.ArgumentParser()
    for name, default in (("endpoints", 500), ("metrics", 4), ("variants", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    series = [
        (f"onprem/tokyo/endpoint-{e}", f"v{v}", metric)
        for e in range(given.endpoints)
        for v in range(given.variants)
        for metric in METRICS[: given.metrics]
    ]
    now = 28_000_000
    with tempfile.TemporaryDirectory() as folder:
        lake, state = Lake(Path(folder) / "lake"), open_state(Path(folder) / "state.sqlite")
        clock = [now * 60.0]
        config = Config.model_validate({"data": folder})
        desk = Desk(state, lake, lambda: clock[0])
        exporter = Exporter(
            config, desk, board=Board(900.0, clock[0]), tally=Tally(), stats=lambda: STATS
        )
        exporter.renew()
        apart(lake.root, range(1, 7), series, now)
        print(f"{len(series)} series × {BUCKETS} buckets")
        clock[0] += 400
        timed("renew (six minutes are new)", exporter.renew)
        apart(lake.root, range(7, 8), series, now)
        timed("renew (one minute is new)", exporter.renew)
        for form, accept in (("protobuf, native", PROMETHEUS), ("text, classic", "")):
            body = timed(f"{form}: first scrape, encodes", lambda a=accept: exporter.scrape(a))
            print(f"{form}: {len(body[1]) / 2**20:.1f} MiB")  # type: ignore[index]
            timed(f"{form}: scrape", lambda a=accept: exporter.scrape(a))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory of the process {peak:.0f} MiB")
        lines = 71 * len(series)
        gauges = GaugeMetricFamily("limit", "", labels=("endpoint", "variant", "le"))
        for i in range(lines):
            gauges.add_metric((f"onprem/tokyo/endpoint-{i % 500}", "v0", "0.1"), float(i))

        class Ready:
            def collect(self) -> list[GaugeMetricFamily]:
                return [gauges]

        timed(f"limit: prometheus-client, {lines} lines", lambda: generate_latest(Ready()))
        state.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
