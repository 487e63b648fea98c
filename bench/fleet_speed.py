"""1,000 endpoints audited in one run: wall time, processor time and peak memory.

Bar: 60 s on two cores, from opening the lake to the finished document, for "2x faster at p50, p90
and p99". Two lakes: one day before and after in minutes (the tables of a change that is a day old),
and seven days before and after in hours. Beside each stands the time DuckDB takes to sum the count
column of the same files, the least any reader has to do. Traffic: one segment, 20 requests a
minute, hours that wander; 60 % of the endpoints got 2.2x, 30 % 1.8x, 10 % nothing.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from nibai.app.audit import Desk
from nibai.app.fleet import Selection, audit_fleet
from nibai.fleet import FleetAudit
from nibai.histogram import SCALE
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import ROLL_UP
from nibai.store.lake.rows import TABLES
from nibai.store.state.database import open_state

FIRST = date(2026, 3, 2)  # a Monday
MINUTES = 1440
TOGETHER = 100
BAR_SECONDS = 60.0
CLAIM = "2x faster at p50, p90 and p99"
SHARES = {1 / 2.2: 0.6, 1 / 1.8: 0.3, 1.0: 0.1}
MEDIAN_LOG2, SIGMA_LOG2, WANDER_LOG2 = -3.3, 0.6, 0.05


def fill(lake: Lake, endpoints: int, days: int, per_minute: int, *, hourly: bool) -> int:
    """Write days before and days after, each as files sorted by endpoint; rows of `hist`."""
    rng = np.random.default_rng(4)
    factors = rng.choice(list(SHARES), endpoints, p=list(SHARES.values()))
    rows = 0
    for day in range(2 * days):
        for first in range(0, endpoints, TOGETHER):
            some = factors[first : first + TOGETHER] ** (day >= days)
            hist, cell = _day(rng, FIRST + timedelta(days=day), first, some, per_minute, hourly)
            suffix = "_hour" if hourly else ""
            lake.commit(f"hist{suffix}", hist, f"bench-{first}", day + 1)
            lake.commit(f"cell{suffix}", cell, f"bench-{first}", day + 1)
            if hourly:
                # Which series there are is read from the minutes: their cells of the two ends do.
                at = 59 if day else 0
                minute = pa.array(cell["minute"].to_numpy() + at, pa.int32())
                ends = cell.set_column(cell.column_names.index("minute"), "minute", minute)
                lake.commit("cell", ends, f"bench-{first}", day + 1)
            rows += hist.num_rows
    return rows


def _day(  # noqa: PLR0917 - one day of some endpoints is as much as that
    rng: np.random.Generator,
    day: date,
    first: int,
    factors: np.ndarray,
    per_minute: int,
    hourly: bool,
) -> tuple[pa.Table, pa.Table]:
    """Rows of some endpoints, sorted by endpoint, minute and bucket."""
    step = 60 if hourly else 1
    slots, n = MINUTES // step, per_minute * step
    level = np.repeat(WANDER_LOG2 * rng.normal(size=(len(factors), 24)), slots // 24, axis=1)
    centre = MEDIAN_LOG2 + np.log2(factors)[:, None] + level
    values = centre[:, :, None] + SIGMA_LOG2 * rng.normal(size=(len(factors), slots, n))
    bucket = np.ceil(values * 2.0**SCALE).astype(np.int64) - 1
    cell = np.arange(len(factors) * slots).reshape(len(factors), slots, 1)
    key, count = np.unique(cell * 4096 + bucket + 2048, return_counts=True)
    minute = (day - date(1970, 1, 1)).days * MINUTES
    cells = np.arange(len(factors) * slots)
    seconds = np.exp2(values)
    hist = {"scale": SCALE, "bucket": key % 4096 - 2048, "count": count}
    sums = {
        "count": n, "sum": seconds.sum(2).ravel(), "min": seconds.min(2).ravel(),
        "max": seconds.max(2).ravel(), "errors": 0, "timeouts": 0,
    }  # fmt: skip
    found = []
    for name, at, columns in (("hist", key // 4096, hist), ("cell", cells, sums)):
        shared = {
            "day": day, "variant": "prod", "replica": "host-1", "segment": "", "metric": "latency",
            "provenance": "exact", "minute": minute + at % slots * step,
        }  # fmt: skip
        found.append(_table(name, first + at // slots, {**shared, **columns}))
    return found[0], found[1]


def _table(name: str, endpoint: np.ndarray, columns: dict[str, object]) -> pa.Table:
    names = pa.array([f"onprem/tokyo/e{i:04d}" for i in range(int(endpoint.max()) + 1)])
    arrays = {
        "endpoint": pa.DictionaryArray.from_arrays(pa.array(endpoint.astype(np.int32)), names),
        **{
            key: pa.array(value)
            if isinstance(value, np.ndarray)
            else pa.repeat(value, len(endpoint))
            for key, value in columns.items()
        },
    }
    schema = TABLES[name]
    return pa.table({field.name: arrays[field.name].cast(field.type) for field in schema})


def audit(lake: Lake, folder: Path, days: int, processes: int | None) -> tuple[FleetAudit, float]:
    """What `nibai audit fleet --at TIME --claim ...` does after its imports, and how long."""
    moved = (FIRST + timedelta(days=days) - date(1970, 1, 1)).days * 86400.0
    state = open_state(folder / "state.sqlite")
    start = time.perf_counter()
    found = audit_fleet(
        Desk(state, lake, time.time), Selection(at=moved), [CLAIM], processes=processes
    )
    took = time.perf_counter() - start
    state.close()
    return found, took


def floor(lake: Lake, table: str) -> float:
    """Time of one sum over a table's counts."""
    uris = [uri.removeprefix("file://") for uri in lake.file_uris(table, date.min, date.max)]
    start = time.perf_counter()
    duckdb.connect().execute("SELECT sum(count) FROM read_parquet(?)", [uris]).fetchone()
    return time.perf_counter() - start


def report(
    endpoints: int, days: int, per_minute: int, processes: int | None, *, hourly: bool
) -> bool:
    """Fill one lake, audit it, print one paragraph; whether the bar was met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = Lake(folder / "lake")
        rows = fill(lake, endpoints, days, per_minute, hourly=hourly)
        if hourly:
            state = open_state(folder / "state.sqlite")
            state.set_watermark(ROLL_UP, (FIRST + timedelta(days=2 * days)).isoformat())
            state.close()
        before = _cpu()
        found, took = audit(lake, folder, days, processes)
        used = _cpu() - before
        table = "hist_hour" if hourly else "hist"
        met = took < BAR_SECONDS
        print(
            f"{endpoints:,} endpoints, {days} + {days} days of {'hours' if hourly else 'minutes'}, "
            f"{rows:,} rows: {took:.1f} s wall, {used:.1f} s of processors, DuckDB sum of {table} "
            f"{floor(lake, table):.2f} s; peak memory {_peak():.0f} MiB; bar {BAR_SECONDS:.0f} s: "
            f"{'met' if met else 'MISSED'}\n  "
            f"{found.reason}\n  really got it: {found.true_endpoints.low:.1%} to "
            f"{found.true_endpoints.high:.1%} of endpoints",
            flush=True,
        )
    return met


def _cpu() -> float:
    """Processor seconds of this process and of those that ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in both)


def _peak() -> float:
    """MiB of the largest process that judged (this one also made the data)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (children or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def main() -> int:
    """Measure both lakes and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--per-minute", type=int, default=20, help="requests a minute")
    parser.add_argument("--processes", type=int, default=None)
    given = parser.parse_args()
    met = True
    for days, hourly in ((1, False), (7, True)):
        met &= report(given.endpoints, days, given.per_minute, given.processes, hourly=hourly)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
