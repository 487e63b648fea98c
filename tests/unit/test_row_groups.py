"""Large Parquet files by their statistics: the same answer as row by row, and never a wrong one."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nibai
from nibai.document import to_document
from nibai.store.files import row_groups

GROUP = 2048
ROWS = 6 * GROUP


@pytest.fixture
def by_statistics(monkeypatch):
    """Every file counts as large; returns the spans that statistics have proven, by file name."""
    found = {}

    class Seen(row_groups.RowGroups):
        def __init__(self, path, layout):
            found.setdefault(Path(path).stem)
            super().__init__(path, layout)
            found[Path(path).stem] = self.span()

    monkeypatch.setattr("nibai.store.files.scan.WORTH_ROWS", 1)
    monkeypatch.setattr("nibai.store.files.scan.RowGroups", Seen)
    return found


def columns(seed, **changed):
    rng = np.random.default_rng(seed)
    return {
        "time": 1.7e9 + np.arange(ROWS) * 7.0,
        "latency_ms": rng.lognormal(4, 0.5, ROWS),
        "model": np.where(rng.random(ROWS) < 0.3, "large", "small"),
    } | changed


def write(path, data):
    pq.write_table(pa.table(data), path, row_group_size=GROUP)
    return str(path)


def audits(tmp_path, baseline, candidate, monkeypatch, **options):
    """The audit by statistics and the one row by row, as documents without their times."""
    paths = [write(tmp_path / f"{i}.parquet", data) for i, data in enumerate((baseline, candidate))]
    made = []
    for worth in (1, 1 << 60):
        monkeypatch.setattr("nibai.store.files.scan.WORTH_ROWS", worth)
        document = to_document(nibai.compare(*paths, "1.1x faster at p50", **options))
        made.append({k: v for k, v in document.items() if k not in {"id", "created_at"}})
    return made


@pytest.mark.parametrize("kind", ["seconds", "milliseconds", "timestamp", "timestamp with zone"])
def test_statistics_and_rows_give_the_same_audit(tmp_path, by_statistics, monkeypatch, kind):
    seconds = columns(0)["time"]
    micro = (seconds * 1e6).astype("int64")
    time = {
        "seconds": seconds,
        "milliseconds": (seconds * 1e3).astype("int64"),
        "timestamp": pa.array(micro, pa.timestamp("us")),
        "timestamp with zone": pa.array(micro, pa.timestamp("us", tz="America/New_York")),
    }[kind]
    fast, slow = audits(tmp_path, columns(1, time=time), columns(2, time=time), monkeypatch)
    assert all(span is not None and span.proven for span in by_statistics.values())
    assert by_statistics["0"].start == pytest.approx(1.7e9)
    assert fast == slow


def test_floats_of_half_the_width_are_counted_the_same(tmp_path, by_statistics, monkeypatch):
    narrow = [columns(i, latency_ms=columns(i)["latency_ms"].astype(np.float32)) for i in (1, 2)]
    fast, slow = audits(tmp_path, *narrow, monkeypatch)
    assert by_statistics["0"].proven
    assert fast == slow


@pytest.mark.parametrize("cells", [1, 3000])
def test_segments_are_counted_the_same(tmp_path, by_statistics, monkeypatch, cells):
    monkeypatch.setattr(row_groups, "MAX_CELLS", cells)  # of one block, and of some at once
    fast, slow = audits(tmp_path, columns(1), columns(2), monkeypatch, segments=["model"])
    assert by_statistics["0"].proven
    assert fast == slow


@pytest.mark.usefixtures("by_statistics")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_values_that_statistics_hide_are_found_and_said(tmp_path, monkeypatch, bad):
    values = columns(1)["latency_ms"]
    values[[5, 4000]] = bad
    fast, slow = audits(tmp_path, columns(1, latency_ms=values), columns(2), monkeypatch)
    assert fast == slow
    if not bad >= 0:
        assert any("2 of 12,288 rows without a usable value" in note for note in fast["notes"])


@pytest.mark.usefixtures("by_statistics")
def test_times_that_statistics_hide_are_found_and_said(tmp_path, monkeypatch):
    times = columns(1)["time"]
    times[[5, 4000]] = np.nan
    fast, slow = audits(tmp_path, columns(1, time=times), columns(2), monkeypatch)
    assert fast == slow
    assert any("2 of 12,288 rows without a usable value" in note for note in fast["notes"])


def test_times_may_be_out_of_order_within_a_row_group(tmp_path, by_statistics, monkeypatch):
    order = np.arange(ROWS).reshape(-1, GROUP)[:, ::-1].ravel()
    shuffled = {name: column[order] for name, column in columns(1).items()}
    plain, _ = audits(tmp_path, columns(1), columns(2), monkeypatch)
    found, _ = audits(tmp_path, shuffled, columns(2), monkeypatch)
    assert by_statistics["0"].proven
    assert found["claims"] == plain["claims"]


def test_one_file_cut_in_time(tmp_path, by_statistics):
    values = columns(1)["latency_ms"] * np.where(np.arange(ROWS) < ROWS // 2, 2.0, 1.0)
    path = write(tmp_path / "both.parquet", columns(1, latency_ms=values))
    cut = 1.7e9 + ROWS // 2 * 7.0 - 3.5
    audit = nibai.compare(path, None, "1.5x faster at p50", at=cut)
    assert by_statistics["both"].rows == ROWS
    assert audit.findings[0].estimate.value == pytest.approx(2.0, rel=0.05)
    assert abs(audit.baseline.requests - audit.candidate.requests) < 520  # an hour
    assert audit.baseline.requests + audit.candidate.requests <= ROWS


def test_missing_and_too_many_segments(tmp_path, by_statistics, monkeypatch):
    model = pa.array(["a", None] * (ROWS // 2))
    fast, slow = audits(
        tmp_path, columns(1, model=model), columns(2, model=model), monkeypatch, segments=["model"]
    )
    assert by_statistics["0"].proven
    assert fast == slow
    monkeypatch.setattr(row_groups, "MAX_COUNTERS", 1000)
    again, _ = audits(
        tmp_path, columns(1, model=model), columns(2, model=model), monkeypatch, segments=["model"]
    )
    assert again == slow


def test_missing_values_are_not_taken_on_trust(tmp_path, by_statistics, monkeypatch):
    values = pa.array([None, *columns(1)["latency_ms"][1:].tolist()])
    fast, slow = audits(tmp_path, columns(1, latency_ms=values), columns(2), monkeypatch)
    assert by_statistics["0"] is None
    assert fast == slow


def test_row_groups_out_of_order_are_counted_row_by_row(tmp_path, by_statistics, monkeypatch):
    time = np.roll(columns(1)["time"], GROUP)
    fast, slow = audits(tmp_path, columns(1, time=time), columns(2), monkeypatch)
    assert by_statistics["0"] is None
    assert fast == slow
    assert any("1 rows were not in order of time" in note for note in fast["notes"])


def test_a_column_name_with_quotes_and_a_file_by_duckdb(tmp_path, by_statistics):
    path = tmp_path / "it's.parquet"
    rows = duckdb.sql(
        'SELECT (1.7e9 + i)::DOUBLE AS "t""x", (1.0 + i % 7)::DOUBLE AS "latency\'s" '
        "FROM range(9000) r(i)"
    )
    rows.write_parquet(str(path), row_group_size=2048)
    audit = nibai.compare(
        str(path), str(path), "not slower", value="latency's", unit="ms", time='t"x'
    )
    assert by_statistics["it's"].rows == 9000
    assert audit.findings[0].estimate.value == pytest.approx(1.0)
