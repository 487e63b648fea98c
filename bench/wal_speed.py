"""Durable appends of 5,000 spans to the write-ahead log beside the disk's own fdatasync.

Bar: p95 of at most 25 ms. The floor writes as many bytes to a plain file and syncs it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from nibai.histogram import bucket_index
from nibai.store.lake.rows import WAL_SCHEMA
from nibai.store.wal.ingest import Ingest, MemoryLedger

SPANS = 5_000
ROUNDS = 200
BAR_MS = 25.0
MINUTE = 29_000_000
SEGMENTS = 6


def batch(rng: np.random.Generator) -> pa.RecordBatch:
    """One batch as the receiver makes it: a row per span."""
    values = rng.lognormal(-2.5, 0.5, SPANS)
    texts = {
        "endpoint": ["onprem/tokyo/ocr"], "variant": ["fp32", "int8"], "replica": ["host-1"],
        "segment": [f"size={i}" for i in range(SEGMENTS)], "metric": ["latency"],
        "provenance": ["exact"],
    }  # fmt: skip
    numbers = {
        "minute": MINUTE, "scale": 5, "bucket": bucket_index(values), "count": 1, "value": values,
        "min": values, "max": values, "errors": 0, "timeouts": 0,
    }  # fmt: skip
    arrays = []
    for field in WAL_SCHEMA:
        if field.name in texts:
            names = texts[field.name]
            codes = pa.array(rng.integers(0, len(names), SPANS).astype(np.int32))
            array = pa.DictionaryArray.from_arrays(codes, pa.array(names))
        else:
            array = pa.array(np.broadcast_to(numbers[field.name], SPANS)).cast(field.type)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=WAL_SCHEMA)


def percentiles(times: list[float]) -> tuple[float, float]:
    """(median, p95) in milliseconds."""
    cuts = statistics.quantiles(times, n=20)
    return 1000 * statistics.median(times), 1000 * cuts[-1]


def synced(path: Path, size: int) -> list[float]:
    """Times of writing and syncing as many bytes to a plain file."""
    block, times = os.urandom(size), []
    with path.open("wb", buffering=0) as file:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(1)
    batches = [batch(rng) for _ in range(20)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ingest = Ingest(folder, "bench", MemoryLedger(), clock=lambda: MINUTE * 60.0)
        times = []
        for i in range(ROUNDS):
            start = time.perf_counter()
            ingest.append(batches[i % len(batches)])
            times.append(time.perf_counter() - start)
        size = ingest.stats().waiting_bytes // ROUNDS
        floor = percentiles(synced(folder / "plain", size))
        start = time.perf_counter()
        ingest.close()
        folded = time.perf_counter() - start
    median, high = percentiles(times)
    print(
        f"append of {SPANS:,} spans ({size / SPANS:.0f} B each): median {median:.1f} ms, "
        f"p95 {high:.1f} ms; plain write and sync {floor[0]:.1f} and {floor[1]:.1f} ms; "
        f"bar p95 {BAR_MS:.0f} ms: {'met' if high <= BAR_MS else 'MISSED'}"
    )
    print(f"fold and commit of {ROUNDS * SPANS:,} spans of one minute: {folded:.2f} s")


if __name__ == "__main__":
    main()
