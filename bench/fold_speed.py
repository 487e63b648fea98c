"""Folding raw Parquet to minute histograms beside the time to decode the same columns.

Bars: at least 0.6 of DuckDB's rate for decoding the five columns, and memory that does not grow
from 10M to 50M rows. One thread each, in turns part by part, so that what else the machine does
befalls both; judged by processor time, which is the wall time of a machine that does nothing else.
Each has a process of its own: DuckDB gives what the whole process let go of back to the system, and
getting it again would be charged to the fold. Data: parts of 1M requests, 8 endpoints x 2 variants
x 6 segments, lognormal with a slow share, sorted by time.
"""

from __future__ import annotations

import argparse
import functools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np

from nibai.store.wal.fold import fold_raw

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
    return sum(int(np.from_dlpack(chunk).sum()) for chunk in rows.column("count").chunks)


class Spent(NamedTuple):
    """Seconds of processor and of wall time for a part, and the requests counted."""

    cpu: float
    wall: float
    requests: float


def work(kind: str, warm: Path) -> None:
    """Decode or fold the parts that standard input names, a line of what was spent for each.

    At the end the peak memory in MiB.
    """
    connection = duckdb.connect(config={"threads": 1})
    one = fold if kind == "fold" else functools.partial(decode, connection)
    one(warm)  # imports
    for line in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        requests = one(Path(line.strip()))
        print(time.process_time() - cpu, time.perf_counter() - wall, requests or 0, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Worker:
    """A process that decodes or folds."""

    def __init__(self, kind: str, warm: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", kind, "--part", str(warm)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise SystemExit("no pipes")
        self._ask, self._answer = self._process.stdin, self._process.stdout

    def spent(self, path: Path) -> Spent:
        """What a part cost."""
        self._ask.write(f"{path}\n")
        self._ask.flush()
        return Spent(*map(float, self._answer.readline().split()))

    def peak(self) -> float:
        """Ends the process; its peak memory in MiB."""
        self._ask.close()
        return float(self._answer.readline())


def measured(folder: Path, parts: int) -> tuple[float, float]:
    """Decode and fold in turns and print it; (share of the decode rate, peak MiB of the fold)."""
    paths = parts_of(folder, parts)
    decoding, folding = Worker("decode", paths[0]), Worker("fold", paths[0])
    turns = [(decoding.spent(path), folding.spent(path)) for path in paths]
    decoding.peak()
    peak = folding.peak()
    rows, requests = parts * PART_ROWS, sum(fold.requests for _, fold in turns)
    if requests != rows:
        raise SystemExit(f"{requests:.0f} requests counted of {rows}")
    each = statistics.quantiles((decode.cpu / fold.cpu for decode, fold in turns), n=4)
    decode, fold = (Spent(*map(sum, zip(*of, strict=True))) for of in zip(*turns, strict=True))
    print(
        f"{parts:3}M rows: fold {rows / fold.cpu / 1e6:.1f} M/s, decode "
        f"{rows / decode.cpu / 1e6:.1f} M/s of processor time: {decode.cpu / fold.cpu:.2f} of it "
        f"(half of the parts {each[0]:.2f} to {each[2]:.2f}; of wall time "
        f"{decode.wall / fold.wall:.2f}); peak memory {peak:.0f} MiB"
    )
    return decode.cpu / fold.cpu, peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=["decode", "fold"], help="used by itself")
    parser.add_argument("--part", type=Path, help="used by itself: a part to begin with")
    parser.add_argument("--parts", type=int, default=LARGE, help="parts of 1M rows")
    given = parser.parse_args()
    if given.work is not None:
        work(given.work, given.part)
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
