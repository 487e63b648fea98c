"""Reading files: what stays out of the process, and how rows become blocks."""

import os
import subprocess
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET
from nibai.store.engine import connection
from nibai.store.files.layout import Blocks, Layout
from nibai.store.files.scan import open_arrow, open_file

COMPARE = """
import sys
from nibai.cli import main
sys.argv = ["nibai", "compare", "-b", sys.argv[1], "-c", sys.argv[1]]
try:
    main()
except SystemExit:
    pass
print([name for name in ("pandas", "evidently", "boto3") if name in sys.modules])
"""


def test_comparing_files_imports_no_data_frames(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("latency_ms\n" + "\n".join(str(100 + i % 7) for i in range(200)))
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def table(times, values):
    return open_arrow(pa.table({"t": times, "v": values}), "given")


def test_the_survey_counts_rows_disorder_and_bad_values():
    opened = table([3.0, 1.0, 2.0, 5.0, None], [1.0, -1.0, np.nan, 2.0, 1.0])
    (span,), disorder = opened.survey(Layout("v", "t"))
    assert (span.rows, span.bad, span.start, span.end) == (5, 3, 1.0, 5.0)
    assert disorder == 1


def test_without_time_nothing_is_out_of_order():
    (span,), disorder = table([2.0, 1.0], [1.0, 1.0]).survey(Layout("v"))
    assert (span.rows, span.start, disorder) == (2, None, 0)


def test_rows_outside_the_blocks_are_left_out_and_the_end_belongs_to_the_last():
    opened = table([-1.0, 0.0, 1.0, 3.999, 4.0, 4.001], [1.0] * 6)
    (span,), _ = opened.survey(Layout("v", "t"))
    (bins,) = opened.bins(Layout("v", "t"), Blocks(0.0, 2.0, 2), span).bins
    counts = np.bincount(bins.block, weights=bins.count, minlength=2)
    assert counts.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(1.0, -1), (1.0001, 0), (2.0, 31), (0.5, -33), (0.0, ZERO_BUCKET), (np.inf, OVERFLOW_BUCKET)],
)
def test_buckets_exclude_their_lower_bound(value, bucket):
    opened = table([0.0], [value])
    (span,), _ = opened.survey(Layout("v", "t"))
    (bins,) = opened.bins(Layout("v", "t"), Blocks(0.0, 1.0, 1), span).bins
    assert bins.bucket.tolist() == [bucket]


def test_a_failed_request_is_slower_than_any_and_adds_nothing_to_the_sum():
    opened = table([0.0, 0.5], [1.0, None])
    layout = Layout("v", "t", failed="v IS NULL")
    (span,), _ = opened.survey(layout)
    (bins,) = opened.bins(layout, Blocks(0.0, 1.0, 1), span).bins
    assert sorted(bins.bucket.tolist()) == [-1, OVERFLOW_BUCKET]
    assert bins.sums.tolist() == [1.0]


def test_sums_are_of_blocks_without_infinite_requests():
    opened = table([0.0, 0.5, 1.0, 1.5, 3.0], [1.0, 2.0, np.inf, 0.5, 4.0])
    (span,), _ = opened.survey(Layout("v", "t"))
    (bins,) = opened.bins(Layout("v", "t"), Blocks(0.0, 1.0, 4), span).bins
    assert bins.sums.tolist() == [3.0, 0.5, 0.0, 4.0]


@pytest.mark.parametrize("machine", ["America/New_York", "Asia/Tokyo"])
def test_times_do_not_depend_on_where_the_machine_stands(machine, monkeypatch):
    monkeypatch.setenv("TZ", machine)
    texts = ["2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00"]
    zoned = pa.array([1767225600], pa.int64()).cast(pa.timestamp("s", tz="Asia/Tokyo"))
    for column in [*([text] for text in texts), zoned]:
        opened = table(column, [1.0])
        (span,), _ = opened.survey(Layout("v", opened.times("t").sql))
        assert span.start == 1767225600.0


def test_files_that_are_open_at_once_keep_their_rejected_lines_and_rows_apart(tmp_path):
    tables = []
    for bad in (3, 0, 1):
        path = tmp_path / f"{bad}.csv"
        rows = [f"{i},{i}" if i % 10 or i >= 10 * bad else f"x{i}" for i in range(100)]
        path.write_text("\n".join(["a,b", *rows]) + "\n", encoding="utf-8")
        tables.append((bad, open_file(path, "csv", path.name)))
    given = [open_arrow(pa.table({"a": [1] * rows}), "rows") for rows in (2, 5)]
    for bad, table in tables:
        assert (table.count(), table.rejected()) == (100 - bad, bad)
    assert [table.count() for table in given] == [2, 5]


def test_what_breaks_duckdb_itself_ends_with_its_file(monkeypatch):
    real, broken = connection._for_files, connection._files_database(os.getpid())

    def once(cursor):
        if connection._files_database(os.getpid()) is broken:
            raise duckdb.FatalException("database has been invalidated")
        return real(cursor)

    monkeypatch.setattr(connection, "_for_files", once)
    assert open_arrow(pa.table({"a": [1]}), "rows").count() == 1
    assert connection._files_database(os.getpid()) is not broken
