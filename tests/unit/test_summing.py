"""Rows of the log summed to rows of the lake: equal to adding them up one by one, in any order."""

import math
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET
from nibai.store.lake.rows import TABLES, WAL_SCHEMA
from nibai.store.wal import summing
from nibai.store.wal.fold import fold

TEXTS = ("endpoint", "variant", "replica", "segment", "metric")
FIRST = 29_400_470  # half an hour before midnight


def rows(n, rng, *, nulls=False):
    """Signed rows of a few series over midnight, with single requests and base statistics."""
    counts = rng.choice([-2, -1, 0, 1, 1, 1, 3], n)
    texts = {name: rng.choice(["", "b", "a", "ü"], n).tolist() for name in TEXTS}
    if nulls:
        texts["segment"] = [one or None for one in texts["segment"]]
    columns = {
        **texts,
        "minute": rng.integers(FIRST, FIRST + 60, n),
        "scale": rng.choice([3, 5], n),
        "bucket": rng.choice([ZERO_BUCKET, -3, -2, 7, OVERFLOW_BUCKET], n),
        "count": counts,
        "value": np.where(counts == 1, rng.integers(1, 9, n) / 4, 0.0),
        "min": np.where(rng.random(n) < 0.5, rng.integers(1, 9, n) / 4, np.nan),
        "max": np.where(rng.random(n) < 0.5, rng.integers(1, 9, n) / 4, np.nan),
        "errors": rng.integers(0, 2, n),
        "timeouts": rng.integers(0, 2, n),
        "provenance": rng.choice(["exact", "scalar", "tc"], n).tolist(),
    }
    return pa.table([pa.array(columns[f.name]).cast(f.type) for f in WAL_SCHEMA], WAL_SCHEMA)


def one_by_one(table):
    """The same sums, a row at a time."""
    hist, cell = defaultdict(int), {}
    for row in table.to_pylist():
        key = (*(row[name] or "" for name in TEXTS), row["minute"], row["provenance"])
        if row["provenance"] != "scalar":
            hist[*key, row["scale"], row["bucket"]] += row["count"]
        single = row["count"] == 1 and row["bucket"] != OVERFLOW_BUCKET
        low, high = (row["value"],) * 2 if single else (row["min"], row["max"])
        told = (row["count"], row["value"], row["errors"], row["timeouts"])
        known = cell.get(key, ((0, 0.0, 0, 0), math.nan, math.nan))
        sums = tuple(a + b for a, b in zip(known[0], told, strict=True))
        cell[key] = (sums, float(np.fmin(known[1], low)), float(np.fmax(known[2], high)))
    return {key: n for key, n in hist.items() if n}, cell


def told(folded):
    """Both tables as dictionaries."""
    hist, cell = {}, {}
    for row in folded.tables["hist"].to_pylist():
        key = (*(row[name] for name in TEXTS), row["minute"], row["provenance"])
        hist[*key, row["scale"], row["bucket"]] = row["count"]
    for row in folded.tables["cell"].to_pylist():
        key = (*(row[name] for name in TEXTS), row["minute"], row["provenance"])
        sums = (row["count"], row["sum"], row["errors"], row["timeouts"])
        cell[key] = (sums, row["min"], row["max"])
    return hist, cell


def same(one, other):
    """Equal, NaN too: all values are quarters, whose sums are exact."""
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    assert all(np.array_equal(np.hstack(one[1][k]), np.hstack(other[1][k]), equal_nan=True)
               for k in one[1])  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dense", [1 << 20, 2])
def test_sums_are_those_of_single_rows(seed, dense, monkeypatch):
    monkeypatch.setattr(summing, "_DENSE", dense)
    table = rows(3_000, np.random.default_rng(seed), nulls=seed == 1)
    folded = fold(table)
    same(told(folded), one_by_one(table))
    for name, found in folded.tables.items():
        assert found.schema.equals(TABLES[name])
        keys = [tuple(row.values()) for row in found.to_pylist()]
        order = [key[: 8 if name == "cell" else 10] for key in keys]
        assert order == sorted(order), "files are sorted by day, series, minute and bucket"


def test_parts_with_dictionaries_of_their_own_are_the_same_series():
    rng = np.random.default_rng(9)
    parts = [rows(200, rng) for _ in range(4)]
    table = pa.concat_tables(parts)
    assert table["endpoint"].num_chunks == 4
    same(told(fold(table)), one_by_one(table))


def test_rows_that_cancel_leave_a_cell_and_no_bucket():
    table = rows(1, np.random.default_rng(1)).to_pylist()
    more = [{**table[0], "count": n, "provenance": "exact"} for n in (2, -2)]
    schema = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
                        for f in WAL_SCHEMA])  # fmt: skip
    folded = fold(pa.Table.from_pylist(more, schema).cast(WAL_SCHEMA))
    assert list(folded.tables) == ["cell"]
    assert folded.tables["cell"]["count"].to_pylist() == [0]
