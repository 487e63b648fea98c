"""Folding raw Parquet to minute histograms beside the time to decode the same columns.

Bars: at least 0.6 of DuckDB's rate for decoding the five columns, and memory that does not grow
from 10M to 50M rows. One thread each, in turns; judged by processor time, which is the wall time of
a machine that does nothing else. Data: parts of 1M requests, 8 endpoints x 2 variants x 6 segments,
lognormal with a slow share, sorted by time. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from nibai.store.fold import fold_raw
from nibai.store.rows import numbers

PART_ROWS = 1_000_000
SMALL, LARGE = 10, 50
BAR, GROWTH = 0.6, 1.15
KEYS = ("endpoint", "variant", "segment")
COLUMNS = (*KEYS, "ts_us", "value")
FIRST_US = 1_767_225_600_000_000
HOUR_US = 3_600_000_000


def make(folder: Path, parts: int) -> None:
    """Parts of an hour each."""
    for part in range(parts):
        target = folder / f"part-{part:03}.parquet"
        duckdb.execute(f"SELECT setseed({part / 1000})")
        duckdb.execute(
            "COPY (SELECT 'onprem/tokyo/e' || (random() * 8)::INTEGER % 8 AS endpoint, "
            "CASE WHEN random() < 0.5 THEN 'fp32' ELSE 'int8' END AS variant, "
            "'size=' || (random() * 6)::INTEGER % 6 AS segment, "
            f"({FIRST_US} + {part} * {HOUR_US} + i * {HOUR_US} // {PART_ROWS})::BIGINT AS ts_us, "
            "exp(-2.5 + 0.5 * sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random())) "
            "* (CASE WHEN random() < 0.02 THEN 5 ELSE 1 END) AS value "
            f"FROM range({PART_ROWS}) t(i)) TO '{target}' "
            "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 250000)"
        )


def parts_of(folder: Path, parts: int) -> list[Path]:
    """The first parts of a folder."""
    return sorted(folder.glob("part-*.parquet"))[:parts]


def decode(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Touch every value of the five columns."""
    touched = ", ".join(
        f"max({column})" if column in ("ts_us", "value") else f"max(strlen({column}))"
        for column in COLUMNS
    )
    connection.execute(f"SELECT {touched} FROM read_parquet('{path}')").fetchone()


def fold(path: Path) -> int:
    """Fold a part; the requests counted."""
    rows = fold_raw(path, keys=KEYS, time_us="ts_us", value="value")
    return int(numbers(rows.column("count")).sum())


def one_size(folder: Path, parts: int) -> None:
    """Print: processor and wall seconds to decode and to fold, requests, peak memory in MiB.

    Part by part in turns, so that what else the machine does befalls both.
    """
    connection = duckdb.connect(config={"threads": 1})
    paths = parts_of(folder, parts)
    decode(connection, paths[0])
    fold(paths[0])  # imports
    spent = [0.0] * 4
    requests = 0
    for path in paths:
        cpu, wall = time.process_time(), time.perf_counter()
        decode(connection, path)
        cpu_between, wall_between = time.process_time(), time.perf_counter()
        requests += fold(path)
        cpu_end, wall_end = time.process_time(), time.perf_counter()
        for i, seconds in enumerate(
            (cpu_between - cpu, wall_between - wall, cpu_end - cpu_between, wall_end - wall_between)
        ):
            spent[i] += seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(*spent, requests, peak)


def measured(folder: Path, parts: int) -> tuple[float, float]:
    """Run one size in a fresh process and print it; (share of the decode rate, peak MiB)."""
    done = subprocess.run(
        [sys.executable, __file__, "--folder", str(folder), "--parts", str(parts)],
        check=True,
        capture_output=True,
        text=True,
    )
    floor, floor_wall, seconds, wall, requests, peak = map(float, done.stdout.split())
    rows = parts * PART_ROWS
    if requests != rows:
        raise SystemExit(f"{requests:.0f} requests counted of {rows}")
    print(
        f"{parts:3}M rows: fold {rows / seconds / 1e6:.1f} M/s, decode {rows / floor / 1e6:.1f} "
        f"M/s of processor time: {floor / seconds:.2f} of it (of wall time {floor_wall / wall:.2f})"
        f"; peak memory {peak:.0f} MiB"
    )
    return floor / seconds, peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="measure the parts there (used by itself)")
    parser.add_argument("--parts", type=int, default=LARGE, help="parts of 1M rows")
    given = parser.parse_args()
    if given.folder is not None:
        one_size(given.folder, given.parts)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, given.parts)
        small, large = measured(folder, SMALL), measured(folder, given.parts)
    share, growth = min(small[0], large[0]), large[1] / small[1]
    print(f"bar {BAR} of the decode rate: {'met' if share >= BAR else 'MISSED'}")
    print(
        f"memory grows {growth:.2f}x from {SMALL}M to {given.parts}M rows, at most {GROWTH}: "
        f"{'met' if growth <= GROWTH else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
