"""Running totals of the lake: grown by what is appended, kept over restarts, never twice."""

import numpy as np
import pytest
from deltalake import write_deltalake
from support.spans import batch

from nibai.app.onwatch.lake_families import EXPORTED, histograms, lake_families
from nibai.exposition import Families
from nibai.histogram import BlockHistograms
from nibai.model import Observation, Provenance, SeriesKey
from nibai.store.lake.delta import Lake
from nibai.store.pulled.observations import Stored, difference
from nibai.store.series.totals import RECENT_SECONDS, Totals
from nibai.store.wal.ingest import Ingest, MemoryLedger

NOW = 28_000_000 * 60.0
RNG = np.random.default_rng(11)


class Writer:
    def __init__(self, folder):
        self.now, self.folder = NOW, folder
        self.ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: self.now)
        self.lake = Lake(folder / "lake")
        self.written = []

    def write(self, values, minute=28_000_000, **how):
        self.ingest.append(batch(values, minute=minute, **how))
        self.written.append(np.asarray(values))
        self.now += 60
        self.ingest.fold()

    def observe(self, counts, held):
        """A source read again: a minute holds `counts` by bucket where it held others."""
        key = SeriesKey("sagemaker/1.eu-west-1/chat", "blue", "", "", "latency")
        buckets, each = (np.array(one, dtype=np.int64) for one in zip(*counts.items(), strict=True))
        one = Observation(
            key, 28_000_000, buckets.astype(np.int32), each, int(each.sum()), float(each.sum()),
            1.0, 2.0, scale=3, provenance=Provenance.TC,
        )  # fmt: skip
        n = sum(held.values())
        known = {(Provenance.TC.value, 3, bucket): count for bucket, count in held.items()}
        stored = Stored({Provenance.TC.value: (n, float(n), 0, 0)}, known)
        rows = difference([one], {(key, one.minute): stored} if held else {}).rows
        self.ingest.append(rows)
        self.now += 60
        self.ingest.fold()

    def totals(self):
        return Totals(self.lake, self.folder / "totals", EXPORTED)


@pytest.fixture
def writer(tmp_path):
    made = Writer(tmp_path)
    yield made
    made.ingest.close()


def count(seen):
    return sum(seen.hist["count"].to_pylist())


def test_what_was_there_before_is_not_counted_and_everything_after_is(writer):
    writer.write([0.1] * 5)
    totals = writer.totals()
    assert count(totals.refresh(writer.now)) == 0
    writer.write([0.2, 0.3, np.inf])
    assert count(totals.refresh(writer.now)) == 3
    assert count(totals.refresh(writer.now)) == 3
    writer.write([0.2], minute=27_990_000)  # ten thousand minutes late
    assert count(totals.refresh(writer.now)) == 4


def test_a_restart_goes_on_where_the_process_stopped(writer):
    totals = writer.totals()
    assert totals.refresh(writer.now).number == 0
    writer.write([0.1] * 4)
    assert count(totals.refresh(writer.now)) == 4
    writer.write([0.1] * 3)  # while nobody looks
    again = writer.totals().refresh(writer.now)
    assert count(again) == 7
    assert again.cell["count"].to_pylist() == [7]


def test_compaction_and_overwrites_add_nothing(writer):
    totals = writer.totals()
    totals.refresh(writer.now)
    for _ in range(4):
        writer.write([0.1, 0.2])
    before = count(totals.refresh(writer.now))
    found = writer.lake.open("hist")
    found.optimize.compact()
    rows = found.to_pyarrow_table()
    write_deltalake(found, rows, mode="overwrite", partition_by=["day"])
    assert writer.lake.open("hist").version() > 4
    assert count(totals.refresh(writer.now)) == before == 8


def test_a_broken_file_of_totals_begins_anew(writer, tmp_path):
    totals = writer.totals()
    totals.refresh(writer.now)
    writer.write([0.1])
    totals.refresh(writer.now)
    (tmp_path / "totals" / "hist.parquet").write_bytes(b"no parquet")
    writer.write([0.1, 0.1])
    seen = writer.totals().refresh(writer.now)
    assert count(seen) == 0
    assert seen.cell["count"].to_pylist() == [3]


def test_a_source_that_takes_requests_back_lowers_nothing_that_is_shown(writer):
    totals = writer.totals()
    totals.refresh(writer.now)

    held = {}

    def read(counts):
        writer.observe(counts, held)
        held.update(counts)
        seen = totals.refresh(writer.now)
        hist = dict(zip(*(seen.hist[c].to_pylist() for c in ("bucket", "count")), strict=True))
        return hist, seen.cell["count"].to_pylist()

    assert read({3: 10, 5: 10}) == ({3: 10, 5: 10}, [20])
    assert read({3: 4, 5: 11}) == ({3: 10, 5: 11}, [20])
    assert read({3: 12, 5: 11}) == ({3: 12, 5: 11}, [23])
    assert count(writer.totals().refresh(writer.now)) == 23


def test_an_empty_lake_and_other_metrics_are_no_problem(writer):
    totals = writer.totals()
    assert count(totals.refresh(writer.now)) == 0
    writer.write([5.0], metric="tokens")
    writer.write([5.0], metric="latency_by_type")
    assert count(totals.refresh(writer.now)) == 0


def test_histograms_are_those_of_the_rows_and_quantiles_those_of_the_newest_minutes(writer):
    totals = writer.totals()
    totals.refresh(writer.now)
    old, new = RNG.lognormal(-2, 0.5, 400), RNG.lognormal(-1, 0.5, 300)
    writer.write(np.r_[old, np.inf], minute=28_000_000)
    writer.write(new, minute=28_000_010)
    writer.write(new, variant="int8", minute=28_000_003)
    seen = totals.refresh(writer.now)
    found = dict(histograms(seen.hist))
    expected = BlockHistograms.from_values(np.r_[old, new, np.inf])
    mine = found["onprem/tokyo/ocr", "fp32", "latency"]
    assert int(mine.n[0]) == 701
    assert mine.quantile([0.5, 0.99]).tolist() == expected.quantile([0.5, 0.99]).tolist()
    families = Families()
    lake_families(families, seen)
    by_name = {family.exported.name: family for family in families.done()}
    quantiles = {s.labels: s.value for s in by_name["nibai_latency_quantile_seconds"].samples}
    assert quantiles["onprem/tokyo/ocr", "fp32", "latency", "0.5"] == pytest.approx(
        float(BlockHistograms.from_values(new).quantile(0.5))
    )
    outcomes = {s.labels[1:]: s.value for s in by_name["nibai_requests_total"].samples}
    assert outcomes == {
        ("fp32", "success"): 700, ("fp32", "error"): 1, ("fp32", "timeout"): 0,
        ("int8", "success"): 300, ("int8", "error"): 0, ("int8", "timeout"): 0,
    }  # fmt: skip
    latency = {s.labels: s.value for s in by_name["nibai_latency_seconds"].samples}
    assert latency["onprem/tokyo/ocr", "fp32"].sum == pytest.approx(old.sum() + new.sum())


def test_how_busy_accelerators_are_is_a_mean_and_no_request(writer):
    totals = writer.totals()
    totals.refresh(writer.now)
    writer.write([0.1] * 3)
    writer.write([0.9], metric="accelerator_use", minute=28_000_000)
    writer.write([0.0, 0.2, 0.4, 1.0] * 5, metric="accelerator_use", minute=28_000_010)
    families = Families()
    lake_families(families, totals.refresh(writer.now))
    by_name = {family.exported.name: family for family in families.done()}
    (use,) = by_name["nibai_accelerator_use_ratio"].samples
    assert use.labels == ("onprem/tokyo/ocr", "fp32")
    assert use.value == pytest.approx(0.4, rel=0.015)
    outcomes = {s.labels[2]: s.value for s in by_name["nibai_requests_total"].samples}
    assert outcomes["success"] == 3
    metrics = {s.labels[2] for s in by_name["nibai_latency_quantile_seconds"].samples}
    assert metrics == {"latency"}


def test_a_series_that_went_silent_has_no_recent_quantile_any_more(writer):
    totals = writer.totals()
    totals.refresh(writer.now)
    writer.write([0.1] * 5)
    fresh = totals.refresh(writer.now)
    assert fresh.recent.num_rows == 1
    later = totals.refresh(writer.now + RECENT_SECONDS)
    assert (later.recent.num_rows, count(later)) == (0, 5)
    assert later.number > fresh.number


def test_a_series_of_two_scales_is_brought_to_the_coarser(writer):
    seen = writer.totals().refresh(writer.now)
    rows = {
        "endpoint": ["e"] * 2, "variant": ["v"] * 2, "metric": ["latency"] * 2,
        "scale": [3, 5], "bucket": [0, 4], "count": [2, 3],
    }  # fmt: skip
    table = type(seen.hist).from_pydict(rows, schema=seen.hist.schema)
    ((_, counts),) = histograms(table)
    assert (counts.scale, counts.offset, counts.counts.tolist()) == (3, 0, [[2, 3]])
