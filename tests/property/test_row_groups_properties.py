"""A large Parquet file is counted as a query would count it, whatever its columns hold."""

from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from collector.columns import find_failures
from nibai.store.files import cells, row_groups, scan
from nibai.store.files.layout import Blocks, Layout, PlainColumns, strays_together
from nibai.store.files.row_groups import StatisticsError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("rows") / "a.parquet"


def some(rng, share, n):
    """A mask of so many rows, in half of all cases of none."""
    return rng.random(n) < share if rng.random() < 0.5 else np.zeros(n, dtype=bool)


def values(rng, n):
    kind = rng.choice(["f8", "f4", "i8", "i4", "i2", "u2"])
    found = np.minimum(rng.lognormal(3.0, 1.5, n), 30_000).astype(kind)
    if kind.startswith("f"):
        found[some(rng, 0.02, n)] = np.nan
    if not kind.startswith("u"):
        found[some(rng, 0.02, n)] = -3
    found[some(rng, 0.02, n)] = 0
    return pa.array(found, mask=some(rng, 0.03, n))


def times(rng, n):
    """None where the file has no times; in order, almost, or not at all."""
    found = 1.7e9 + np.sort(rng.uniform(0.0, 20_000.0, n))
    order = rng.choice(["kept", "jittered", "rolled", "shuffled"])
    if order == "jittered":
        found += rng.normal(scale=5.0, size=n)
    elif order != "kept":
        found = np.roll(found, n // 3) if order == "rolled" else rng.permutation(found)
    kind = rng.choice(["none", "float", "whole", "us", "ms"])
    if kind == "none":
        return None
    if kind in {"us", "ms"}:
        zone = rng.choice(["", "UTC", "Asia/Tokyo"])
        ticks = (found * {"us": 1e6, "ms": 1e3}[kind]).astype("i8")
        return pa.array(ticks, pa.timestamp(kind, zone or None))
    return pa.array(found if kind == "float" else found.astype("i8"))


def failures(rng, n):
    odds, unknown = [0.94, 0.03, 0.03], some(rng, 0.02, n)
    columns = {
        "none": {},
        "status": {"status": pa.array(rng.choice([200, 500, 0], n, p=odds), mask=unknown)},
        "outcome": {"outcome": pa.array(rng.choice(["ok", "lost", " Done"], n, p=odds))},
        "result": {"result": pa.array(rng.choice(["ok", "error", ""], n, p=odds), mask=unknown)},
        "success": {"success": pa.array(rng.random(n) < odds[0], mask=unknown)},
        "error": {"error": pa.array(rng.choice(["", "boom", "x"], n, p=odds), mask=unknown)},
    }  # fmt: skip
    return columns[str(rng.choice(list(columns)))]


def table(rng):
    n = int(rng.integers(1, 3000))
    found = {"v": values(rng, n), "t": times(rng, n)} | failures(rng, n)
    if rng.random() < 0.5:
        found["m"] = pa.array(rng.choice(["a", "b", "ü c"], n), mask=some(rng, 0.1, n))
    return pa.table({name: column for name, column in found.items() if column is not None})


def layout(opened, factor):
    failed = find_failures(opened)
    time = opened.times("t") if "t" in opened.columns else None
    plain = PlainColumns(
        "v",
        factor,
        None if time is None else "t",
        1.0 if time is None else time.per_second,
        None if failed is None else failed.column,
    )
    return Layout(
        opened.value_sql("v", factor),
        None if time is None else time.sql,
        "false" if failed is None else failed.sql,
        ("m",) if "m" in opened.columns else (),
        plain=plain,
    )


def blocks(rng, span):
    """All of the span, some of it, or stretches with gaps between them; and whether it is all.

    In powers of two, so that no edge is rounded.
    """
    if span.start is None:
        return Blocks(0.0, 0.0, 8), True
    start, seconds = float(np.floor(span.start)), 2.0 ** int(rng.integers(9, 12))
    count = int(np.ceil((span.end - start + 1.0) / seconds))
    kind = rng.choice(["all", "some", "stretches"])
    if kind == "some" and count > 1:
        return Blocks(start + seconds, seconds, max(count // 2, 1)), False
    if kind == "stretches":
        return Blocks(start, seconds / 16.0, 5, count, seconds), False
    return Blocks(start, seconds, count), True


def counted(binned):
    """Requests by (segment, block, bucket), and sums by segment."""
    counts = {
        (one.segment, *cell): count
        for one in binned.bins
        for *cell, count in zip(
            one.block.tolist(), one.bucket.tolist(), one.count.tolist(), strict=True
        )
    }
    return counts, {one.segment: one.sums for one in binned.bins}


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_row_groups_count_what_a_query_counts(path, seed):
    rng = np.random.default_rng(seed)
    rows = table(rng)
    pq.write_table(rows, path, row_group_size=int(rng.integers(50, 1500)))
    opened = scan.open_file(Path(path), "parquet", "a")
    read = layout(opened, float(rng.choice([1.0, 1e-3, 1e-9])))
    (span,), disorder = opened.survey(read, by_statistics=False)
    with (
        mock.patch.object(scan, "WORTH_ROWS", 1),
        mock.patch.object(row_groups, "BATCH_ROWS", int(rng.choice([64, 300, 1 << 17]))),
        mock.patch.object(cells, "MAX_CELLS", int(rng.choice([1, 5000, 1 << 17]))),
    ):
        (known,), _ = opened.survey(read)
        cut, whole = blocks(rng, span)
        if not known.proven:
            return  # a group without a single value
        assert (known.rows, known.start, known.end) == (span.rows, span.start, span.end)
        try:
            fast = opened.bins(read, cut, known)
        except StatisticsError:
            return  # what statistics hid; then the rows are surveyed
    slow = opened.bins(read, cut, span)
    counts, sums = counted(fast)
    assert counts == counted(slow)[0]
    for segment, total in counted(slow)[1].items():
        np.testing.assert_allclose(sums[segment], total, rtol=1e-9, atol=1e-12)
    strays = strays_together([fast.strays])
    assert not whole or strays.bad == span.bad
    assert strays.disorder <= disorder
