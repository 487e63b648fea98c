"""Files as people really have them: what is left out is said, what can be understood is read."""

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import inputs

import nibai


def compared(baseline, candidate, claims="2x faster at p50", **options):
    return nibai.compare(str(baseline), str(candidate), claims, **options)


def requests(audit):
    return audit.baseline.requests, audit.candidate.requests


def notes(audit):
    return "\n".join(audit.notes)


def table(seed, median, n=600):
    start = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    at = [start + dt.timedelta(seconds=i / 2) for i in range(n)]
    return at, inputs.latencies(seed, n, median)


def text(path, values, header="ts,latency_ms"):
    lines = [f"{1_772_366_400 + i},{value}" for i, value in enumerate(values)]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_lines_that_do_not_fit_the_columns_are_counted_and_said(tmp_path):
    values = [f"{12 + i % 5}.5,ok" if i % 40 else "12.5" for i in range(400)]
    path = text(tmp_path / "short.csv", values, "ts,latency_ms,note")
    audit = compared(path, inputs.csv(tmp_path / "c.csv", inputs.latencies(2, 400, 0.005)))
    assert requests(audit) == (390, 400)
    assert "short.csv: 10 of 400 lines do not fit the columns; left out" in notes(audit)
    told = compared(path, path, ok="note = 'ok'")
    assert "short.csv: 10 of 400 lines do not fit the columns; left out" in notes(told)


@pytest.mark.parametrize("kind", ["ns", "us"])
def test_times_with_a_zone_are_read_at_every_precision(tmp_path, kind):
    for name, seed, median in (("b", 1, 0.2), ("c", 2, 0.05)):
        at, values = table(seed, median)
        when = pa.array(at, pa.timestamp(kind, "America/New_York"))
        pq.write_table(pa.table({"ts": when, "latency_s": values}), tmp_path / f"{name}.parquet")
    audit = compared(tmp_path / "b.parquet", tmp_path / "c.parquet")
    assert audit.verdict.value == "confirmed"
    assert audit.baseline.from_seconds == 1_772_366_400.0


def test_absent_and_endless_values_in_a_csv_file_are_what_they_are(tmp_path):
    values = ["N/A", "inf", "-", "NULL", *(f"{20 + i % 9}" for i in range(296))]
    audit = compared(text(tmp_path / "b.csv", values), text(tmp_path / "c.csv", values))
    assert requests(audit) == (297, 297)
    assert "b.csv: 3 of 300 rows without a usable value left out" in notes(audit)
    assert audit.findings[0].evidence.censored_share == pytest.approx((1 / 297, 1 / 297))


@pytest.mark.parametrize("unit", ["\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s"])
def test_both_signs_for_micro_are_read(tmp_path, unit):
    slow = text(tmp_path / "b.csv", [f"{9000 + i}{unit}" for i in range(300)], "ts,latency")
    fast = text(tmp_path / "c.csv", [f"{3 + i / 1000}ms" for i in range(300)], "ts,latency")
    (finding,) = compared(slow, fast).findings
    assert finding.estimate.value == pytest.approx(9.15 / 3.15, rel=0.01)


def test_durations_need_no_unit(tmp_path):
    slow = text(tmp_path / "b.csv", [f"0:00:01.{i:03d}" for i in range(300)], "ts,latency")
    fast = pa.table({"latency": pa.array([400_000_000] * 300, pa.duration("ns"))})
    (finding,) = nibai.compare(str(slow), fast, "2x faster at p50").findings
    assert finding.estimate.value == pytest.approx(1.15 / 0.4, rel=0.03)


def test_a_run_given_twice_is_one_run(tmp_path):
    """Five copies of one run would settle its tail: nothing differs between them."""
    slow = inputs.csv(tmp_path / "b.csv", inputs.latencies(1, 700, 0.2))
    fast = [inputs.csv(tmp_path / f"c{i}.csv", inputs.latencies(2, 700, 0.05)) for i in range(5)]
    audit = nibai.compare([slow] * 5, fast, "2x faster at p99", runs=True)
    assert (audit.baseline.replicas, audit.candidate.replicas) == (1, 1)
    assert audit.findings[0].reason.code.value == "one_run_per_side"
    assert f"{slow} is given twice on one side: it counts as one run" in notes(audit)
    assert f"{fast[4]} holds the same bytes as {fast[0]} on one side" in notes(audit)
    values = inputs.latencies(3, 700, 0.2)
    assert nibai.compare([values] * 5, [values] * 5, unit="s").baseline.replicas == 1


def test_replicas_that_alternate_without_times_are_cut_into_equal_parts(tmp_path):
    values = inputs.latencies(4, 1600, 0.2)
    values[1::2] = values[::2]  # both variants answer the same, row by row
    lines = [f"{value * 1e3:.6f},{'ab'[i % 2]}" for i, value in enumerate(values)]
    path = tmp_path / "both.csv"
    path.write_text("\n".join(["latency_ms,variant", *lines]) + "\n", encoding="utf-8")
    apart = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for i, one in enumerate(apart):
        one.write_text("\n".join(["latency_ms", *(s[:-2] for s in lines[i::2])]) + "\n")
    claim = "no more than 20% slower at p50"
    together = nibai.compare(str(path), claims=claim, split="variant").findings[0].estimate
    assert together == compared(*apart, claim).findings[0].estimate


def test_a_request_at_the_very_cut_counts_once(tmp_path):
    path = text(tmp_path / "all.csv", [20 + i % 7 for i in range(400)])
    audit = nibai.compare(str(path), claims="2x faster at p50", at=1_772_366_400.0 + 200)
    assert requests(audit) == (200, 200)


def parts(folder, seed, start):
    """One run of 800 s whose rows fill eight files."""
    folder.mkdir()
    values = inputs.latencies(seed, 1600, 0.2)
    for k in range(8):
        own = values[k * 200 : k * 200 + 200]
        inputs.csv(folder / f"part-{k}.csv", own, start=start + 100.5 * k, span=100.0)
    return folder


def test_a_run_that_fills_several_files_is_one_run(tmp_path):
    """Eight files of one run a side would settle its tail, as eight runs do."""
    b, c = parts(tmp_path / "b", 1, inputs.START), parts(tmp_path / "c", 2, inputs.START + 9000)
    audit = compared(b, c, "no more than 50% slower at p99")
    assert (audit.baseline.replicas, audit.candidate.replicas) == (1, 1)
    assert requests(audit) == (1600, 1600)
    assert audit.baseline.label == "8 files, part-0.csv to part-7.csv"
    assert audit.findings[0].reason.code.value == "one_run_per_side"
    assert "the 8 files of the baseline follow each other in time without a break" in notes(audit)
    said = compared(b, c, "no more than 50% slower at p99", runs=True)
    assert (said.baseline.replicas, said.verdict.value) == (8, "confirmed")
    whole = compared(b, c, "2x faster at p50", offered=[1600, 1700])
    assert requests(whole) == (1600, 1700)


def test_runs_with_a_break_between_them_stay_runs(tmp_path):
    for name, seed in (("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        for k in range(3):
            inputs.csv(tmp_path / name / f"{k}.csv", inputs.latencies(seed + k, 200, 0.2),
                       start=inputs.START + 130 * k)  # fmt: skip
    audit = compared(tmp_path / "b", tmp_path / "c")
    assert (audit.baseline.replicas, audit.candidate.replicas) == (3, 3)


@pytest.mark.parametrize(
    ("column", "bad"),
    [("failed", "true"), ("Status-Code", "500"), ("responseCode", "503"), ("timed_out", "1"),
     ("is_error", "yes"), ("isSuccess", "false")],
)  # fmt: skip
def test_failures_are_found_however_their_column_is_spelled(tmp_path, column, bad):
    good = {"true": "false", "1": "0", "yes": "no", "false": "true"}.get(bad, "200")
    values = [f"{20 + i % 9},{good if i % 10 else bad}" for i in range(300)]
    path = text(tmp_path / "b.csv", values, f"ts,latency_ms,{column}")
    (finding,) = compared(path, path).findings
    assert finding.evidence.censored_share == (0.1, 0.1)


def test_a_vllm_request_without_a_first_token_is_a_failure(tmp_path):
    """vLLM writes no error text where the server gave no reason; the time is then 0."""
    path = inputs.vllm(tmp_path / "b.json", 1, 300)
    document = json.loads((tmp_path / "b.json").read_text())
    document["ttfts"][:30], document["itls"][:30] = [0.0] * 30, [[]] * 30
    (tmp_path / "b.json").write_text(json.dumps(document))
    assert compared(path, path).findings[0].evidence.censored_share == (0.1, 0.1)
