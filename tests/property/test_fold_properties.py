"""A folded raw part holds every request where the plain definition of a bucket puts it."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from nibai.buckets import mantissa_bounds
from nibai.histogram import OVERFLOW_BUCKET, SCALE, ZERO_BUCKET, ZERO_THRESHOLD
from nibai.store.engine.columns import numbers
from nibai.store.wal import dense, fold

MINUTE_US = 60_000_000
NEVER_REGULAR = (0.0, 5e-324, 2.0**-1022, ZERO_THRESHOLD, math.inf)
ENDS = (math.nextafter(ZERO_THRESHOLD, 1), 2.0**-29.875, np.finfo(np.float64).max)


def plain(x):
    """Bucket i holds x when 2**(i/32) < x <= 2**((i+1)/32); the definition, without rounding."""
    if x <= ZERO_THRESHOLD:
        return ZERO_BUCKET
    if x == math.inf:
        return OVERFLOW_BUCKET

    def at_most(index):
        return Fraction(x) ** 2**SCALE <= Fraction(2) ** (index + 1)

    near = math.ceil(math.log2(x) * 2**SCALE) - 1
    return next(index for index in (near - 1, near, near + 1) if at_most(index))


def edges(exponent):
    """The doubles at, below and above every bound of one doubling."""
    at = np.array(mantissa_bounds(SCALE), dtype=np.int64) + ((exponent + 1023) << 52)
    return np.concatenate([at - 1, at, at + 1]).view(np.float64).tolist()


values = (
    st.sampled_from([*edges(-4), *edges(0), *edges(9)])
    | st.sampled_from([*NEVER_REGULAR, *ENDS])
    | st.floats(1e-3, 1e3)
)
requests = st.tuples(st.sampled_from("abc"), st.integers(-3, 200), values)


def folded(rows, path, **options):
    keys, minutes, seconds = zip(*rows, strict=True)
    table = {
        "k": pa.array(keys, pa.string()),
        "t": np.array(minutes) * MINUTE_US + MINUTE_US - 1,
        "v": np.array(seconds, dtype=np.float64),
    }
    pq.write_table(pa.table(table), path, **options)
    found = fold.fold_raw(path, keys=("k",), time_us="t", value="v")
    names = [
        found.column("k").to_pylist(),
        *(numbers(found.column(n)) for n in ("minute", "bucket")),
    ]
    return list(zip(*names, strict=True)), numbers(found.column("count")).tolist()


@settings(max_examples=25)
@given(st.lists(requests, min_size=1, max_size=60), st.integers(1, 60), st.booleans())
def test_every_request_is_in_its_minute_and_bucket(tmp_path_factory, rows, group, told):
    path = tmp_path_factory.getbasetemp() / "fold_properties.parquet"
    cells, counts = folded(rows, path, row_group_size=group, write_statistics=told)
    assert len(set(cells)) == len(cells)
    expected = Counter((key, minute, plain(value)) for key, minute, value in rows)
    assert Counter(dict(zip(cells, counts, strict=True))) == expected


@pytest.mark.parametrize("counters", [fold.MAX_COUNTERS, 1], ids=["dense", "sparse"])
@pytest.mark.parametrize("exponent", [-29, -1, 9])
def test_all_bounds_of_a_doubling(tmp_path, monkeypatch, exponent, counters):
    monkeypatch.setattr(fold, "MAX_COUNTERS", counters)
    rows = [("a", 0, value) for value in edges(exponent)]
    cells, counts = folded(rows, tmp_path / "part.parquet")
    expected = Counter(("a", 0, plain(value)) for _, _, value in rows)
    assert Counter(dict(zip(cells, counts, strict=True))) == expected


@pytest.mark.parametrize("bad", [math.nan, -0.1, -math.inf])
@pytest.mark.parametrize(("position", "counters"), [(0, 1), (6, 1), (0, 1 << 24), (6, 1 << 24)])
def test_what_no_histogram_takes_is_refused(tmp_path, monkeypatch, bad, position, counters):
    monkeypatch.setattr(fold, "MAX_COUNTERS", counters)
    monkeypatch.setattr(dense, "BATCH_ROWS", 4)
    rows = [("a", 0, 0.1)] * 7
    rows[position] = ("a", 0, bad)
    with pytest.raises(ValueError, match="remove negative and NaN values first"):
        folded(rows, tmp_path / "part.parquet")


def test_the_lowest_bucket_does_not_take_what_lies_below_the_threshold(tmp_path, monkeypatch):
    monkeypatch.setattr(dense, "BATCH_ROWS", 1)
    cells, _ = folded([("a", 0, ENDS[0]), ("a", 0, ZERO_THRESHOLD)], tmp_path / "part.parquet")
    assert [bucket for _, _, bucket in cells] == [ZERO_BUCKET, plain(ENDS[0])]


def test_counters_grow_where_statistics_say_too_little(tmp_path, monkeypatch):
    monkeypatch.setattr(
        dense, "column_range", lambda _metadata, name: {"t": (0, 1), "v": (1.0, 1.0)}[name]
    )
    monkeypatch.setattr(dense, "BATCH_ROWS", 2)
    rows = [("a", 5, 0.5), ("b", -2, 0.0), ("a", 0, math.inf), ("c", 9, 3.0), ("a", 5, 0.5)]
    cells, counts = folded(rows, tmp_path / "part.parquet")
    expected = Counter((key, minute, plain(value)) for key, minute, value in rows)
    assert Counter(dict(zip(cells, counts, strict=True))) == expected
