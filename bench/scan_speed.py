"""`nibai changes find` over 1,000 endpoints and 14 days of hours, every twentieth changed.

Beside the processor time of the scan stands that of DuckDB summing the counts of the same files,
the least any reader has to do. Printed too: the peak of memory, and what was found.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from analyzers.regression import Regression
from nibai.histogram import Float64Array
from nibai.store.lake.delta import Lake
from nibai.store.lake.rows import TABLES
from nibai.store.series.blocks import Engine
from nibai.store.series.history import LakeHistory, scope_of

DAYS, HOURS = 14, 24
FIRST = date(2026, 3, 2)  # a Monday
BUCKETS = np.arange(-140, -60)  # 48 to 280 ms
PER_HOUR = 3600
CHANGED = 20
CHANGE_DAY = 9
FACTOR_BUCKETS = 3  # 2^(3/32): 7 % slower


def levels(rng: np.random.Generator, series: int) -> Float64Array:
    """Level of every series and hour in buckets: noise with correlation 0.5, and the changes."""
    hours = DAYS * HOURS
    level = rng.normal(0, 1, (series, hours))
    for hour in range(1, hours):
        level[:, hour] += 0.5 * level[:, hour - 1]
    level[::CHANGED, CHANGE_DAY * HOURS :] += FACTOR_BUCKETS
    return level


def fill(lake: Lake, series: int) -> int:
    """One file of hours a day, and the first and last minute; rows of hours."""
    rng = np.random.default_rng(20261126)
    level, rows = levels(rng, series), 0
    names = pa.array([f"onprem/tokyo/e{i:05}" for i in range(series)])
    for day in range(DAYS):
        part = level[:, day * HOURS : (day + 1) * HOURS]
        share = np.exp(-0.5 * ((BUCKETS - (-100 + part[..., None])) / 14) ** 2)
        counts = rng.poisson(PER_HOUR * share / share.sum(axis=-1, keepdims=True))
        which, hour, bucket = np.nonzero(counts)
        when = FIRST + timedelta(days=day)
        minute = (when - date(1970, 1, 1)).days * 1440 + 60 * hour
        more = {"scale": 5, "bucket": BUCKETS[bucket], "count": counts[which, hour, bucket]}
        lake.commit("hist_hour", _table(names, which, when, minute, more), "bench", day + 1)
        rows += len(which)
    which = np.repeat(np.arange(series), 2)
    cell = dict.fromkeys(("sum", "min", "max"), 0.0) | {"count": 1, "errors": 0, "timeouts": 0}
    ends = np.tile([minute.max() + 59 - DAYS * 1440 + 1, minute.max() + 59], series)
    lake.commit("cell", _table(names, which, when, ends, cell), "bench", 1)
    return rows


def _table(
    names: pa.Array, which: np.ndarray, day: date, minute: np.ndarray, more: dict[str, object]
) -> pa.Table:
    columns: dict[str, object] = {
        "day": day, "endpoint": names.take(pa.array(which)), "variant": "prod", "replica": "h1",
        "segment": "", "metric": "latency", "minute": pa.array(minute), "provenance": "exact",
    } | {k: pa.array(v) if isinstance(v, np.ndarray) else v for k, v in more.items()}  # fmt: skip
    return pa.table(
        {
            name: values if isinstance(values, pa.Array) else pa.repeat(values, len(which))
            for name, values in columns.items()
        }
    ).select(TABLES["cell" if "sum" in more else "hist_hour"].names)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=1000)
    series = parser.parse_args().series
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        rows = fill(lake, series)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        uris = [u.removeprefix("file://") for u in lake.file_uris("hist_hour", date.min, date.max)]
        start = time.process_time()
        duckdb.connect().execute("SELECT sum(count) FROM read_parquet(?)", [uris]).fetchone()
        floor = time.process_time() - start
        engine = Engine(lake, FIRST + timedelta(days=DAYS - 1))
        start, wall = time.process_time(), time.perf_counter()
        scope = scope_of(engine, block_seconds=3600.0)
        assert scope is not None
        scan = Regression().scan(LakeHistory(engine, scope), [])
        took, wall = time.process_time() - start, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    at = sum(abs(c.at - scope.window.start - CHANGE_DAY * 86400) <= 3 * 3600 for c in scan.changes)
    print(
        f"{scan.series:,} series, {rows:,} rows of {DAYS} days: {took:.1f} s of processor time "
        f"({wall:.1f} s), DuckDB sum {floor:.2f} s; peak {peak / 1024:.0f} MiB "
        f"({before / 1024:.0f} MiB before); {len(scan.changes)} changes found, {at} within 3 h of "
        f"the {-(-series // CHANGED)} that were made"
    )


if __name__ == "__main__":
    main()
