"""`nibai compare` of two Parquet files beside one DuckDB `count, sum` over the same files.

Bar: the wall time under three times the scan plus start-up, all in fresh processes with a warm disk
and compiled bytecode. Start-up is the same command on two files of 1,000 rows; it holds the start
of DuckDB (some 80 ms), which large Parquet files do without. Beside the wall time stands the
processor time, which says the same on a machine that others use too, and the scan that also reads
the times: a comparison cannot do without them. All take turns; medians of the rounds, and in
brackets the least and greatest ratio of a round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import duckdb

ROUNDS = 7
BAR = 3.0
SMALL = 1_000
RUN = "from nibai.cli import main; import sys; sys.argv = ['nibai', *sys.argv[1:]]; main()"
SCAN = """
import duckdb, sys, time
connection = duckdb.connect()
wall, cpu = time.perf_counter(), time.process_time()
row = connection.execute(
    "SELECT " + sys.argv[1] + " FROM read_parquet(" + repr(sys.argv[2:]) + ")"
).fetchone()
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


class Spent(NamedTuple):
    """Seconds of wall time and of processor time."""

    wall: float
    cpu: float


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


def compare(environment: dict[str, str], arguments: list[str]) -> Spent:
    """One fresh process; a verdict may be any."""
    command = [sys.executable, "-c", RUN, "compare", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 3):
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return Spent(wall, used.ru_utime + used.ru_stime)


def scan(select: str, paths: list[str]) -> Spent:
    """DuckDB in a fresh process, without its start-up."""
    command = [sys.executable, "-c", SCAN, select, *paths]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Spent(*(float(text) for text in done.stdout.split()))


def say(title: str, rows: int, rounds: list[dict[str, Spent]]) -> None:
    """One line with the wall time and the bar, one with the processor time."""
    for kind in Spent._fields:
        spent = {name: [getattr(one[name], kind) for one in rounds] for name in rounds[0]}
        whole, start, floor, both = (
            statistics.median(spent[name]) for name in ("whole", "start", "floor", "both")
        )
        each = [
            (w - s) / f
            for w, s, f in zip(spent["whole"], spent["start"], spent["floor"], strict=True)
        ]
        bar = BAR * floor + start
        verdict = f"; bar {BAR:.0f}x + start-up = {bar:.2f} s: {'met' if whole < bar else 'MISSED'}"
        print(
            f"compare of 2 x {rows:,} rows{title}, {kind} time: {whole:.2f} s, of which start-up "
            f"{start:.2f} s; DuckDB count and sum {floor:.3f} s: {(whole - start) / floor:.1f}x "
            f"[{min(each):.1f} to {max(each):.1f}], with the times {both:.3f} s: "
            f"{(whole - start) / both:.1f}x{verdict if kind == 'wall' else ''}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of each file")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # An installation has compiled bytecode; a checkout, or a setting, may have none.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        sides = {}
        for name, size in (("big", given.rows), ("small", SMALL)):
            sides[name] = [str(Path(folder) / f"{name}-{side}.parquet") for side in "bc"]
            for i, path in enumerate(sides[name]):
                make(Path(path), size, day=i + 1, factor=1.0 - 0.5 * i)
        arguments = {name: ["-b", paths[0], "-c", paths[1]] for name, paths in sides.items()}
        compare(environment, arguments["big"])
        for title, more in (("", []), (", by segment", ["--segment", "model"])):
            rounds = [
                {
                    "floor": scan("count(*), sum(latency_ms)", sides["big"]),
                    "start": compare(environment, [*arguments["small"], *more]),
                    "whole": compare(environment, [*arguments["big"], *more]),
                    "both": scan("count(*), sum(latency_ms), max(time)", sides["big"]),
                }
                for _ in range(given.rounds)
            ]
            say(title, given.rows, rounds)


if __name__ == "__main__":
    main()
