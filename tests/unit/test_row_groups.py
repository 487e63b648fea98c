"""Large Parquet files by their statistics: the same answer as row by row, and never a wrong one."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nibai
from nibai.document import to_document
from nibai.errors import UsageError
from nibai.store.files import cells as cells_of_rows
from nibai.store.files import row_groups

GROUP = 2048
ROWS = 6 * GROUP


@pytest.fixture
def by_statistics(monkeypatch):
    """Every file counts as large; returns the spans that statistics have proven, by file name."""
    found = {}

    class Seen(row_groups.RowGroups):
        def __init__(self, path, layout, failed):
            found.setdefault(Path(path).stem)
            super().__init__(path, layout, failed)
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
    monkeypatch.setattr(cells_of_rows, "MAX_CELLS", cells)  # of one block, and of some at once
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
    monkeypatch.setattr(cells_of_rows, "MAX_COUNTERS", 1000)
    again, _ = audits(
        tmp_path, columns(1, model=model), columns(2, model=model), monkeypatch, segments=["model"]
    )
    assert again == slow


def test_missing_values_are_counted_and_said(tmp_path, by_statistics, monkeypatch):
    values = pa.array([None, *columns(1)["latency_ms"][1:].tolist()])
    fast, slow = audits(tmp_path, columns(1, latency_ms=values), columns(2), monkeypatch)
    assert by_statistics["0"].proven
    assert fast == slow
    assert "0.parquet: 1 of 12,288 rows without a usable value left out" in fast["notes"]


def test_too_many_unusable_rows_are_refused_in_the_same_words(tmp_path, monkeypatch):
    values = columns(1)["latency_ms"]
    values[::10] = np.nan
    path = write(tmp_path / "a.parquet", columns(1, latency_ms=values))
    said = []
    for worth in (1, 1 << 60):
        monkeypatch.setattr("nibai.store.files.scan.WORTH_ROWS", worth)
        with pytest.raises(UsageError) as refused:
            nibai.compare(path, path)
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert "1,229 of 12,288 rows (10.0%) have no usable latency" in said[0]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_whole_numbers_of_any_sign_are_counted_the_same(tmp_path, by_statistics, monkeypatch, unit):
    whole = [np.random.default_rng(i).integers(-1, 40, ROWS) for i in (1, 2)]
    tables = [columns(0, latency=np.maximum(one, -(i % 2))) for i, one in enumerate(whole)]
    for table in tables:
        del table["latency_ms"]
    fast, slow = audits(tmp_path, *tables, monkeypatch, unit=unit)
    assert by_statistics["0"].proven
    assert fast == slow


def test_row_groups_out_of_order_are_counted_and_said(tmp_path, by_statistics, monkeypatch):
    time = np.roll(columns(1)["time"], GROUP)
    fast, slow = audits(tmp_path, columns(1, time=time), columns(2), monkeypatch)
    assert by_statistics["0"].proven
    assert fast == slow
    assert "0.parquet: 1 rows were not in order of time; sorted" in fast["notes"]


def test_rows_in_any_order_are_counted_the_same(tmp_path, by_statistics, monkeypatch):
    order = np.random.default_rng(4).permutation(ROWS)
    shuffled = {name: column[order] for name, column in columns(1).items()}
    fast, slow = audits(tmp_path, shuffled, columns(2), monkeypatch, segments=["model"])
    assert by_statistics["0"].proven
    assert fast == slow
    disorder = int((np.diff(shuffled["time"]) < 0).sum())
    assert f"0.parquet: {disorder:,} rows were not in order of time; sorted" in fast["notes"]


def test_the_halves_of_one_file_count_its_strays_once(tmp_path, by_statistics, monkeypatch):
    values, times = columns(1)["latency_ms"], columns(1)["time"]
    values[::100] = np.nan
    times[3:-3:50] -= 20.0
    path = write(tmp_path / "both.parquet", columns(1, latency_ms=values, time=times))
    made = []
    for worth in (1, 1 << 60):
        monkeypatch.setattr("nibai.store.files.scan.WORTH_ROWS", worth)
        audit = to_document(nibai.compare(path, None, at=1.7e9 + ROWS // 2 * 7.0 - 3.5))
        made.append({k: v for k, v in audit.items() if k not in {"id", "created_at"}})
    assert by_statistics["both"].proven
    assert made[0] == made[1]
    assert "both.parquet: 123 of 12,288 rows without a usable value left out" in made[0]["notes"]


def test_without_times_the_rows_are_cut_into_equal_parts(tmp_path, by_statistics, monkeypatch):
    tables = [{"latency_ms": columns(i)["latency_ms"][:-5]} for i in (1, 2)]
    fast, slow = audits(tmp_path, *tables, monkeypatch)
    assert by_statistics["0"].proven
    assert fast == slow


STATUS = np.random.default_rng(9).choice(4, ROWS, p=[0.97, 0.01, 0.01, 0.01])
FAILURES = {
    "status": np.array([200, 404, 503, 0])[STATUS],
    "status_code": pa.array(np.array([200, 429, 500, 201])[STATUS], mask=STATUS == 3),
    "outcome": np.array(["ok", "timeout", "Failed ", "SUCCESS"])[STATUS],
    "result": pa.array(np.array(["ok", "error", "", "done"])[STATUS], mask=STATUS == 2),
    "success": STATUS < 2,
    "ok": pa.array(STATUS < 2, mask=STATUS == 3),
    "error": pa.array(np.array(["", "boom", "none", "x"])[STATUS], mask=STATUS == 0),
    "error_code": np.array([0, 7, 3000, 9], dtype=np.int16)[STATUS],
    "exception": pa.array(np.where(STATUS == 1, "lost", "")).dictionary_encode(),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failed_requests_are_counted_the_same(tmp_path, by_statistics, monkeypatch, name):
    values = columns(1)["latency_ms"]
    values[(STATUS == 1) & (np.arange(ROWS) % 2 == 0)] = np.nan
    table = columns(1, latency_ms=values) | {name: FAILURES[name]}
    fast, slow = audits(tmp_path, table, table, monkeypatch, segments=["model"])
    assert by_statistics["0"].proven
    assert fast == slow
    failed = [one["evidence"]["censored_share"] for one in fast["claims"]]
    assert 0.005 < failed[0][0] < 0.04


def test_codes_that_are_none_are_left_to_a_query(tmp_path, by_statistics, monkeypatch):
    table = columns(1) | {"error_code": np.where(STATUS == 1, 1 << 20, 0)}
    fast, slow = audits(tmp_path, table, table, monkeypatch)
    assert by_statistics["0"].proven  # by what statistics say, until its rows are met
    assert fast == slow


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
