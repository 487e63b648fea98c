"""`nibai compare` of two Parquet files beside one DuckDB `count, sum` over the same files.

Bar: under three times the scan plus start-up, all in fresh processes with a warm disk. Start-up is
the same command on two files of 1,000 rows.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROUNDS = 5
BAR = 3.0
SMALL = 1_000
RUN = "from nibai.cli import main; import sys; sys.argv = ['nibai', *sys.argv[1:]]; main()"
SCAN = """
import duckdb, sys, time
connection = duckdb.connect()
start = time.perf_counter()
row = connection.execute(
    "SELECT count(*), sum(latency_ms) FROM read_parquet(" + repr(sys.argv[1:]) + ")"
).fetchone()
print(time.perf_counter() - start)
"""


def make(path: Path, rows: int, *, day: int, factor: float) -> None:
    """One day of lognormal latencies with a slow share, sorted by time, three models."""
    duckdb.execute("SELECT setseed(0.5)")
    duckdb.execute(
        f"COPY (SELECT (TIMESTAMP '2026-01-0{day}' + to_microseconds("
        f"(i * 86400000000 // {rows})::BIGINT)) AS time, "
        f"{factor} * exp(4.4 + 0.5 * sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random())) "
        "* (CASE WHEN random() < 0.02 THEN 4 ELSE 1 END) AS latency_ms, "
        "['small', 'medium', 'large'][1 + (random() * 3)::INTEGER % 3] AS model "
        f"FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    )


def seconds(arguments: list[str]) -> float:
    """Median wall time of a fresh process; a verdict may be any."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run(arguments, check=False, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
        if done.returncode not in (0, 1, 3):
            raise SystemExit(f"{arguments} ended with {done.returncode}")
    return statistics.median(times)


def scan(paths: list[str]) -> float:
    """Median time of DuckDB's count and sum inside a fresh process, without its start-up."""
    times = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", SCAN, *paths], check=True, capture_output=True, text=True
        )
        times.append(float(done.stdout))
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of each file")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        sides = {}
        for name, size in (("big", rows), ("small", SMALL)):
            sides[name] = [str(Path(folder) / f"{name}-{side}.parquet") for side in "bc"]
            for i, path in enumerate(sides[name]):
                make(Path(path), size, day=i + 1, factor=1.0 - 0.5 * i)
        floor = scan(sides["big"])
        for title, more in (("", []), (", by segment", ["--segment", "model"])):
            whole, start = (
                seconds([sys.executable, "-c", RUN, "compare", "-b", b, "-c", c, *more])
                for b, c in (sides["big"], sides["small"])
            )
            bar = BAR * floor + start
            print(
                f"compare of 2 x {rows:,} rows{title}: {whole:.2f} s, of which start-up {start:.2f}"
                f" s; DuckDB count and sum {floor:.3f} s: {(whole - start) / floor:.1f}x; "
                f"bar {BAR:.0f}x + start-up = {bar:.2f} s: {'met' if whole < bar else 'MISSED'}"
            )


if __name__ == "__main__":
    main()
