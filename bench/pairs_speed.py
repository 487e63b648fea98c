"""`nibai compare --pairs` of one Parquet file beside DuckDB's count of flips over the same file.

Bars: a million pairs judged in under 5 s, end to end in a fresh process, and in under 1 GiB. Then
the same file cut by input hash into parts, counted apart (`nibai.sketch_pairs`, as Spark would) and
merged: the numbers must be equal. Wall time on a shared machine says little; CPU time stands beside
it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

import nibai

SECONDS, GIBIBYTES = 5.0, 1.0
PARTS = 8
RUN = "from nibai.cli import main; import sys; sys.argv = ['nibai', *sys.argv[1:]]; main()"
CLAIM = ["--claim", "same predictions within 5%", "--format", "json"]
COUNT = """
import duckdb, sys, time
duckdb.execute("SET enable_progress_bar = false")
start = time.perf_counter()
row = duckdb.execute(
    "SELECT count(*), count(*) FILTER (WHERE baseline <> candidate), count(DISTINCT input_hash) "
    "FROM read_parquet(" + repr(sys.argv[1]) + ")"
).fetchone()
print(time.perf_counter() - start)
"""


def make(path: Path, rows: int) -> None:
    """Pairs of 16 classes, 4 % flips where the margin is small, a tenth of the inputs twice."""
    duckdb.execute("SELECT setseed(0.25)")
    duckdb.execute(
        f"COPY (WITH drawn AS (SELECT i, (random() * {rows * 9 // 10})::BIGINT AS input, "
        f"(i % 3)::INTEGER AS s FROM range({rows}) t(i)), "
        "answered AS (SELECT *, (hash(input) % 16)::INTEGER AS old, "
        "(hash(input + 1) % 10000)::DOUBLE / 10000 AS margin FROM drawn) "
        "SELECT 'request-' || i AS request_id, md5(input::VARCHAR) AS input_hash, "
        "'class ' || old AS baseline, "
        "'class ' || (CASE WHEN hash(input + 2) % 1000 < 160 * pow(1 - margin, 3) "
        "THEN (old + 1) % 16 ELSE old END) AS candidate, "
        "'class ' || (hash(input + 3) % 16) AS label, ['de', 'en', 'fr'][1 + s] AS segment, "
        "margin, 0.5 + margin / 2 AS baseline_score, "
        "0.5 + margin / 2 + (random() - 0.5) / 50 AS candidate_score "
        f"FROM answered) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    )


def judged(*paths: Path) -> tuple[dict[str, object], float, float, float]:
    """The finding, wall and CPU seconds and the peak of memory in GiB of a fresh process."""
    sources = [word for path in paths for word in ("--pairs", str(path))]
    command = [sys.executable, "-c", RUN, "compare", *sources, *CLAIM]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode not in (0, 1, 3):
        raise SystemExit(f"{command} ended with {process.returncode}")
    finding = json.loads(said)["claims"][0]
    return finding, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / (1 << 20)


def counted(path: Path) -> float:
    """Seconds of DuckDB's count in a fresh process, without its start-up."""
    command = [sys.executable, "-c", COUNT, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cut(path: Path, folder: Path) -> list[Path]:
    """Sketches of parts that hold all pairs of their inputs."""
    duckdb.execute("SET enable_progress_bar = false")
    made = []
    for part in range(PARTS):
        rows = duckdb.sql(
            f"SELECT * FROM '{path}' WHERE hash(input_hash) % {PARTS} = {part}"
        ).to_arrow_table()
        made.append(folder / f"part-{part}.parquet")
        sketch = nibai.sketch_pairs(rows, output="class")
        duckdb.execute(f"COPY (SELECT * FROM sketch) TO '{made[-1]}' (FORMAT parquet)")
        assert sketch.num_rows
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="pairs in the file")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "pairs.parquet"
        make(path, rows)
        floor = counted(path)
        finding, wall, cpu, memory = judged(path)
        met = wall < SECONDS and memory < GIBIBYTES
        print(
            f"compare --pairs of {rows:,} pairs ({path.stat().st_size / 1e6:.0f} MB): {wall:.2f} s "
            f"wall, {cpu:.2f} s CPU, {memory:.2f} GiB; DuckDB's counts alone {floor:.2f} s; "
            f"bars {SECONDS:.0f} s and {GIBIBYTES:.0f} GiB: {'met' if met else 'MISSED'}"
        )
        merged, wall, cpu, memory = judged(*cut(path, folder))
        same = {key: merged[key] for key in ("verdict", "estimate")} == {
            key: finding[key] for key in ("verdict", "estimate")
        }
        print(
            f"the same from {PARTS} merged sketches: {wall:.2f} s wall, {cpu:.2f} s CPU, "
            f"{memory:.2f} GiB; numbers {'equal' if same else 'DIFFER'}"
        )
        if not same:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
