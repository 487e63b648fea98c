"""A verdict from the lake: 7 days of minutes a side, 6 segments, 4 quantiles.

Bar: under 1 s after imports, from opening the tables to the finished audit. Beside it stands the
time DuckDB takes to sum the count column of the same files, the least any reader has to do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

import nibai
from nibai.app.compare import load_analyzers
from nibai.audit import run_audit
from nibai.claims import parse
from nibai.histogram import bucket_index
from nibai.model import Audit, Change
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import ROLL_UP, maintain
from nibai.store.lake.rows import TABLES
from nibai.store.series.blocks import Engine
from nibai.store.state.database import State, open_state
from nibai.store.windows.sides import LakeWindows

DAYS = 7
SEGMENTS = 6
FIRST = date(2026, 3, 2)  # a Monday
MINUTES = 1440
ROUNDS = 5
BAR_SECONDS = 1.0
ENDPOINT = "onprem/tokyo/ocr"
CLAIM = "1.5x faster at p50, p90, p99 and p99.9"


def fill(lake: Lake, per_minute: int) -> int:
    """Write every day as one compacted file, as the maintainer leaves it; rows of `hist`."""
    rng = np.random.default_rng(3)
    rows = 0
    for day in range(2 * DAYS):
        factor = 1.0 if day < DAYS else 0.6
        hist, cell = _day(rng, FIRST + timedelta(days=day), factor, per_minute)
        rows += hist.num_rows
        for table, found in (("hist", hist), ("cell", cell)):
            lake.commit(table, found.cast(TABLES[table]), "bench", day + 1)
    return rows


def _day(
    rng: np.random.Generator, day: date, factor: float, per_minute: int
) -> tuple[pa.Table, pa.Table]:
    first = (day - date(1970, 1, 1)).days * MINUTES
    n = MINUTES * SEGMENTS * per_minute
    cell_of = np.repeat(np.arange(MINUTES * SEGMENTS), per_minute)
    slow = 1 + 3 * (rng.random(n) < 0.02)  # noqa: PLR2004 - a slow share
    medians = 0.05 * 2.0 ** (cell_of % SEGMENTS)
    values = factor * medians * rng.lognormal(0, 0.4, n) * slow
    key, counts = np.unique(
        cell_of * 65536 + bucket_index(values).astype(np.int64) + 32768, return_counts=True
    )
    cells = np.arange(MINUTES * SEGMENTS)
    hist = {"scale": 5, "bucket": key % 65536 - 32768, "count": counts}
    by_cell = values.reshape(-1, per_minute)
    cell = {
        "count": per_minute, "sum": by_cell.sum(1), "min": by_cell.min(1), "max": by_cell.max(1),
        "errors": 0, "timeouts": 0,
    }  # fmt: skip
    return _table(first, day, key // 65536, hist), _table(first, day, cells, cell)


def _table(first: int, day: date, cells: np.ndarray, more: dict[str, object]) -> pa.Table:
    cells = np.asarray(cells, dtype=np.int64)
    order = np.lexsort((cells // SEGMENTS, cells % SEGMENTS))
    names = np.array([f"size={i}" for i in range(SEGMENTS)], dtype=object)
    columns: dict[str, object] = {
        "day": day, "endpoint": ENDPOINT, "variant": "prod", "replica": "host-1",
        "segment": names[cells % SEGMENTS][order], "metric": "latency",
        "minute": (first + cells // SEGMENTS)[order], "provenance": "exact",
    }  # fmt: skip
    for name, values in more.items():
        columns[name] = values[order] if isinstance(values, np.ndarray) else values
    return pa.table(
        {
            name: pa.array(values)
            if isinstance(values, np.ndarray)
            else pa.repeat(values, len(cells))
            for name, values in columns.items()
        }
    )


def verdict(lake: Lake, rolled: str | None) -> Audit:
    """What `nibai audit` does between its imports and the report."""
    moved = (FIRST + timedelta(days=DAYS) - date(1970, 1, 1)).days * 86400.0
    change = Change("bench", ENDPOINT, effective_at=moved, sentences=(parse(CLAIM),))
    engine = Engine(lake, date.fromisoformat(rolled) if rolled else None)
    return run_audit(
        change,
        LakeWindows(engine, change),
        load_analyzers(0.95),
        audit_id="bench",
        created_at=0.0,
        version=nibai.__version__,
    )


def floor(lake: Lake, table: str) -> float:
    """Best time of one sum over a table's counts."""
    uris = [uri.removeprefix("file://") for uri in lake.file_uris(table, date.min, date.max)]
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        duckdb.connect().execute("SELECT sum(count) FROM read_parquet(?)", [uris]).fetchone()
        times.append(time.perf_counter() - start)
    return min(times)


def report(lake: Lake, state: State, table: str) -> bool:
    """Measure one resolution and print it."""
    rolled = state.watermark(ROLL_UP)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        audit = verdict(lake, rolled)
        times.append(time.perf_counter() - start)
    first, typical = times[0], statistics.median(times)
    met = typical < BAR_SECONDS
    estimates = ", ".join(
        f"{f.estimate.value:.3f}" for f in audit.findings if f.estimate and f.estimate.value
    )
    print(
        f"verdict over {DAYS} + {DAYS} days from {'hours' if rolled else 'minutes'}: "
        f"{typical:.2f} s (first {first:.2f} s), DuckDB sum of {table} {floor(lake, table):.3f} s; "
        f"{audit.verdict.value} at {estimates}; bar {BAR_SECONDS:.0f} s: "
        f"{'met' if met else 'MISSED'}"
    )
    return met


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-minute", type=int, default=60, help="requests a minute and segment")
    per_minute = parser.parse_args().per_minute
    with tempfile.TemporaryDirectory() as folder:
        lake, state = Lake(Path(folder) / "lake"), open_state(Path(folder) / "state.sqlite")
        rows = fill(lake, per_minute)
        print(f"{rows:,} rows of minutes, {2 * DAYS} days, {SEGMENTS} segments")
        verdict(lake, None)  # imports
        report(lake, state, "hist")
        now = (FIRST + timedelta(days=2 * DAYS + 1) - date(1970, 1, 1)).days * 86400.0
        start = time.perf_counter()
        maintain(lake, state, now, retention_seconds=60 * 86400.0)
        print(f"hour roll-up of {2 * DAYS} days: {time.perf_counter() - start:.2f} s")
        report(lake, state, "hist_hour")
        state.close()


if __name__ == "__main__":
    main()
