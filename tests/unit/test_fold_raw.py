"""Raw request logs folded to minute histograms: both ways of counting give the same rows."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET, bucket_index
from nibai.store import fold
from nibai.store.rows import numbers

KEYS = ("endpoint", "segment")
START_US = 1_767_225_600_000_000


def write(path, n=5_000, *, values=None, segments=("a", "b", "c"), groups=1_000):
    rng = np.random.default_rng(11)
    values = rng.lognormal(-2, 1, n) if values is None else np.asarray(values, dtype=np.float64)
    n = len(values)
    rows = pa.table(
        {
            "endpoint": [f"e{i % 2}" for i in range(n)],
            "segment": [segments[i % len(segments)] for i in rng.permutation(n)],
            "ts_us": START_US + np.sort(rng.integers(0, 600_000_000, n)),
            "value": values,
        }
    )
    pq.write_table(rows, path, row_group_size=groups)
    return rows


def expected(rows):
    buckets = bucket_index(np.asarray(rows.column("value").to_pylist()))
    minutes = [time // 60_000_000 for time in rows.column("ts_us").to_pylist()]
    keys = zip(*(rows.column(key).to_pylist() for key in KEYS), strict=True)
    return Counter(
        (*key, minute, int(bucket))
        for key, minute, bucket in zip(keys, minutes, buckets, strict=True)
    )


def counted(table):
    names = (*KEYS, "minute", "bucket")
    keys = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    return Counter(dict(zip(keys, numbers(table.column("count")).tolist(), strict=True)))


def folded(path):
    return fold.fold_raw(path, keys=KEYS, time_us="ts_us", value="value")


@pytest.mark.parametrize("counters", [fold.MAX_COUNTERS, 1], ids=["dense", "sparse"])
def test_every_request_is_counted_in_its_minute_and_bucket(tmp_path, monkeypatch, counters):
    monkeypatch.setattr(fold, "MAX_COUNTERS", counters)
    rows = write(tmp_path / "part.parquet")
    assert counted(folded(tmp_path / "part.parquet")) == expected(rows)


@pytest.mark.parametrize("counters", [fold.MAX_COUNTERS, 1], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "values", [[0.0, 0.1, np.inf, 0.2], [0.0, 0.0], [np.inf, np.inf], [0.0, 3.0], [np.inf, 1e-8]]
)
def test_zero_and_failed_keep_their_buckets(tmp_path, monkeypatch, counters, values):
    monkeypatch.setattr(fold, "MAX_COUNTERS", counters)
    rows = write(tmp_path / "part.parquet", values=values)
    found = counted(folded(tmp_path / "part.parquet"))
    assert found == expected(rows)
    assert {key[-1] for key in found} & {ZERO_BUCKET, OVERFLOW_BUCKET}


def test_a_missing_segment_is_a_segment_of_its_own(tmp_path):
    write(tmp_path / "part.parquet", segments=("a", None))
    found = counted(folded(tmp_path / "part.parquet"))
    assert {key[1] for key in found} == {"a", None}
    assert found.total() == 5_000


def test_an_empty_part_has_no_rows(tmp_path):
    write(tmp_path / "part.parquet", values=[])
    assert folded(tmp_path / "part.parquet").num_rows == 0
