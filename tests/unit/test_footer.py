"""What a Parquet file's footer says must be what DuckDB would have said."""

import subprocess
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from nibai.store.files.footer import WORTH_BYTES, footer
from nibai.store.files.scan import open_file

KNOWN = {
    "flag": pa.bool_(),
    "i8": pa.int8(),
    "i16": pa.int16(),
    "i32": pa.int32(),
    "i64": pa.int64(),
    "u8": pa.uint8(),
    "u16": pa.uint16(),
    "u32": pa.uint32(),
    "u64": pa.uint64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
    "text": pa.string(),
    "long text": pa.large_string(),
    "day": pa.date32(),
    "in s": pa.timestamp("s"),
    "in ms": pa.timestamp("ms"),
    "in us": pa.timestamp("us"),
    "in ns": pa.timestamp("ns"),
    "utc": pa.timestamp("us", "UTC"),
    "tokyo": pa.timestamp("ms", "Asia/Tokyo"),
}
OTHERS = {
    "half": pa.float16(),
    "bytes": pa.binary(),
    "time": pa.time64("us"),
    "elapsed": pa.duration("us"),
    "money": pa.decimal128(9, 2),
    "codes": pa.dictionary(pa.int32(), pa.string()),
    "utc in ns": pa.timestamp("ns", "UTC"),
    "list": pa.list_(pa.int64()),
    "struct": pa.struct({"a": pa.int64()}),
    "nothing": pa.null(),
}


def written(tmp_path, kinds, name="a.parquet", **options):
    path = tmp_path / name
    table = pa.table({column: pa.nulls(3, kind) for column, kind in kinds.items()})
    parquet.write_table(table, path, **options)
    return path


def test_known_types_are_called_as_duckdb_calls_them(tmp_path):
    path = written(tmp_path, KNOWN)
    rows = duckdb.read_parquet(str(path))
    described = list(zip(rows.columns, map(str, rows.types), strict=True))
    found = footer(str(path))
    assert found is not None
    assert list(found.columns.items()) == described
    assert found.rows == 3


def test_types_are_known_without_the_schema_that_arrow_adds(tmp_path):
    path = written(tmp_path, KNOWN, store_schema=False)
    rows = duckdb.read_parquet(str(path))
    described = list(zip(rows.columns, map(str, rows.types), strict=True))
    assert list(footer(str(path)).columns.items()) == described


@pytest.mark.parametrize("column", OTHERS)
def test_every_other_type_is_left_to_duckdb(tmp_path, column):
    assert footer(str(written(tmp_path, {"a": pa.int64(), column: OTHERS[column]}))) is None


def test_what_duckdb_reads_otherwise_is_left_to_it(tmp_path):
    kinds = {"t": pa.timestamp("ns")}
    path = written(tmp_path, kinds, use_deprecated_int96_timestamps=True)
    assert footer(str(path)) is None  # a TIMESTAMP there, one of nanoseconds here
    assert footer(str(written(tmp_path, {"a": pa.int64(), "A": pa.int64()}))) is None
    (tmp_path / "variant=new").mkdir()
    assert footer(str(written(tmp_path / "variant=new", {"a": pa.int64()}))) is None
    assert footer(str(written(tmp_path, {"a": pa.int64()}, "a[1].parquet"))) is None


def test_the_largest_number_is_that_of_the_first_row_group(tmp_path):
    path = tmp_path / "a.parquet"
    rows = {"t": [1.0, -3.0, 9.0], "n": [1, 2, 3], "nan": [float("nan")] * 3, "text": ["a"] * 3}
    parquet.write_table(pa.table(rows), path, row_group_size=2)
    assert footer(str(path)).largest == {"t": 3.0, "n": 2.0}


def test_a_broken_file_is_left_to_duckdb_for_its_words(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    assert footer(str(path)) is None
    assert footer(str(tmp_path / "none.parquet")) is None


def test_a_table_of_a_large_file_is_the_same_with_and_without_duckdb(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    values = np.random.default_rng(3).lognormal(size=WORTH_BYTES // 8)
    parquet.write_table(pa.table({"t": np.arange(len(values)), "v": values}), path)
    known = open_file(path, "parquet", "a")
    monkeypatch.setattr("nibai.store.files.scan.WORTH_BYTES", path.stat().st_size + 1)
    described = open_file(path, "parquet", "a")
    assert (known.footer.rows, described.footer) == (len(values), None)
    assert known.times("t") == described.times("t")
    assert (known.columns, known.count()) == (described.columns, described.count())
    assert known.median("v") == described.median("v")


COMPARE = """
import sys
from nibai.cli import main
sys.argv = ["nibai", "compare", "-b", sys.argv[1], "-c", sys.argv[1]]
try:
    main()
except SystemExit:
    print("duckdb" in sys.modules)
"""


def test_large_parquet_files_are_compared_without_duckdb(tmp_path):
    path = tmp_path / "a.parquet"
    n = 1_000_000
    values = np.random.default_rng(3).lognormal(size=1 << 12)
    times = pa.array(np.arange(n) * 100_000, pa.timestamp("us"))
    rows = {"time": times, "latency_ms": np.resize(values, n)}
    parquet.write_table(pa.table(rows), path, row_group_size=1 << 17)
    assert path.stat().st_size > WORTH_BYTES
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
    assert "inconclusive" in done.stdout.lower() or "confirmed" in done.stdout.lower()
