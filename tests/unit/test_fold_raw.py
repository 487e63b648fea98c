"""Raw request logs folded to minute histograms: both ways of counting give the same rows."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET, bucket_index
from nibai.store.engine.columns import numbers
from nibai.store.wal import dense, fold

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


@pytest.mark.parametrize("lacking", ["ts_us", "value"])
def test_a_row_without_time_or_value_is_refused(tmp_path, lacking):
    rows = {"endpoint": ["e", "e"], "segment": ["s", "s"], "ts_us": [START_US] * 2}
    table = rows | {"value": [0.1, 0.2]} | {lacking: [None, START_US]}
    pq.write_table(pa.table(table), tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="remove rows without time or value first"):
        folded(tmp_path / "part.parquet")


def test_an_empty_part_has_no_rows(tmp_path):
    write(tmp_path / "part.parquet", values=[])
    assert folded(tmp_path / "part.parquet").num_rows == 0


def test_row_groups_may_spell_their_keys_in_any_order(tmp_path):
    n = 4_000
    rng = np.random.default_rng(5)
    segments = [f"s{i // 1000}" if i % 3 else "common" for i in range(n)]  # new ones in every group
    rows = pa.table(
        {
            "endpoint": [f"e{(i + i // 1000) % 2}" for i in range(n)],
            "segment": segments,
            "ts_us": START_US + np.sort(rng.integers(0, 600_000_000, n)),
            "value": rng.lognormal(-2, 1, n),
        }
    )
    pq.write_table(rows, tmp_path / "part.parquet", row_group_size=1_000)
    assert counted(folded(tmp_path / "part.parquet")) == expected(rows)


def test_times_in_no_order_and_far_apart_are_counted_the_same(tmp_path, monkeypatch):
    n = 3_000
    rng = np.random.default_rng(6)
    rows = pa.table(
        {
            "endpoint": ["e"] * n,
            "segment": [f"s{i % 3}" for i in range(n)],
            "ts_us": START_US + rng.integers(0, 86_400_000_000, n),
            "value": rng.lognormal(-2, 1, n),
        }
    )
    pq.write_table(rows, tmp_path / "part.parquet")
    by_counters = counted(folded(tmp_path / "part.parquet"))
    assert by_counters == expected(rows)
    monkeypatch.setattr(dense, "BATCH_ROWS", 100)
    assert counted(folded(tmp_path / "part.parquet")) == by_counters


def test_keys_that_are_no_text_and_very_many_series_are_left_to_duckdb(tmp_path, monkeypatch):
    n = 2_000
    rows = pa.table(
        {
            "endpoint": ["e"] * n,
            "segment": np.arange(n) % 4,
            "ts_us": np.full(n, START_US),
            "value": np.full(n, 0.1),
        }
    )
    pq.write_table(rows, tmp_path / "part.parquet")
    assert sorted(counted(folded(tmp_path / "part.parquet")).values()) == [500] * 4
    many = write(tmp_path / "many.parquet")
    monkeypatch.setattr(dense, "MAX_SERIES", 2)
    assert counted(folded(tmp_path / "many.parquet")) == expected(many)


def test_rows_are_sorted_by_minute(tmp_path):
    write(tmp_path / "part.parquet")
    minutes = numbers(folded(tmp_path / "part.parquet").column("minute"))
    assert (np.diff(minutes) >= 0).all()


def test_without_keys_there_is_one_series(tmp_path):
    rows = write(tmp_path / "part.parquet")
    found = fold.fold_raw(tmp_path / "part.parquet", keys=(), time_us="ts_us", value="value")
    assert found.column_names == ["minute", "bucket", "count"]
    assert numbers(found.column("count")).sum() == rows.num_rows
