"""`nibai compare` answers for every kind of file and says what it assumed."""

import gc
import gzip
import io
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import inputs

import nibai
from nibai import cli
from nibai.errors import UsageError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *arguments):
    """(exit code, document)."""
    code = cli.invoke(["compare", *arguments, "--format", "json"])
    captured = capsys.readouterr()
    assert captured.out, captured.err
    return code, json.loads(captured.out)


def pair(folder, *, ratio=2.5, n=400):
    return (
        inputs.csv(folder / "before.csv", inputs.latencies(1, n, 0.2)),
        inputs.csv(folder / "after.csv", inputs.latencies(2, n, 0.2 / ratio)),
    )


def test_text_for_people(here, capsys, golden):
    pair(here)
    assert (
        cli.invoke(["compare", "-b", "before.csv", "-c", "after.csv", "--claim", "2x faster"]) == 3
    )
    golden("compare.txt", capsys.readouterr().out)


def test_markdown_for_pull_requests(here, capsys, golden):
    pair(here)
    arguments = ["compare", "-b", "before.csv", "-c", "after.csv", "--claim", "2x faster at p50"]
    assert cli.invoke([*arguments, "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    golden("compare.md", re.sub(r"audit `c[0-9a-f]+`", "audit `ID`", text))


def test_exit_codes_follow_the_verdict(here, capsys):
    before, after = pair(here)
    assert answer(capsys, "-b", before, "-c", after, "--claim", "2x faster at p50")[0] == 0
    assert answer(capsys, "-b", before, "-c", after, "--claim", "4x faster at p50")[0] == 1
    assert answer(capsys, "-b", before, "-c", after, "--claim", "2x faster at p99")[0] == 3
    code, document = answer(
        capsys, "-b", before, "-c", after, "--claim", "2x faster at p99", "--inconclusive-ok"
    )
    assert (code, document["verdict"]) == (0, "inconclusive")
    both = ("--claim", "2x faster at p50", "--claim", "4x faster at p50")
    code, document = answer(capsys, "-b", before, "-c", after, *both)
    assert (code, document["verdict"]) == (1, "partly")


def test_swapping_the_sides_inverts_every_raw_ratio(here, capsys):
    before, after = pair(here)
    one = answer(capsys, "-b", before, "-c", after)[1]["claims"]
    other = answer(capsys, "-b", after, "-c", before)[1]["claims"]
    for a, b in zip(one, other, strict=True):
        assert a["evidence"]["raw_ratio"] * b["evidence"]["raw_ratio"] == pytest.approx(
            1, rel=1e-12
        )


def test_the_same_file_on_both_sides_is_unchanged(here, capsys):
    before, _ = pair(here)
    code, document = answer(
        capsys, "-b", before, "-c", before, "--claim", "no more than 5% slower at p50"
    )
    assert document["claims"][0]["estimate"]["value"] == 1.0
    assert code in (0, 3)
    assert answer(capsys, "-b", before, "-c", before, "--claim", "2x faster at p50")[0] == 1


def test_one_file_cut_in_time_within_a_run_is_no_comparison(here, capsys):
    before, _ = pair(here)
    code, document = answer(capsys, before, "--at", str(inputs.START + 50))
    assert code == 3
    assert document["claims"][0]["reason_code"] == "time_halves"
    assert "parts of one run" in document["reason"]


def test_one_file_split_by_a_column(here, capsys):
    values = np.concatenate([inputs.latencies(1, 400, 0.2), inputs.latencies(2, 400, 0.08)])
    order = np.random.default_rng(0).permutation(800)
    names = np.array(["fp32"] * 400 + ["int8"] * 400)[order]
    inputs.csv(here / "both.csv", values[order], header="timestamp,latency_ms,variant", extra=names)
    claim = ("--claim", "2x faster at p50")
    code, document = answer(capsys, "both.csv", "--split", "variant=fp32,int8", *claim)
    assert code == 0
    assert document["baseline"]["label"] == "variant=fp32"
    code, document = answer(capsys, "both.csv", "--split", "variant=int8,fp32", *claim)
    assert code == 1


def test_live_windows_are_paired_by_the_clock(here, capsys):
    rng = np.random.default_rng(5)
    day = 86400.0
    for name, start, speed in (
        ("mon.csv", 1_750_032_000.0, 1.0),
        ("tue.csv", 1_750_118_400.0, 2.5),
    ):
        hours = np.linspace(0, 24, 5000)
        load = 1 + 0.5 * np.sin(hours / 24 * 2 * np.pi)
        values = 0.1 * load * np.exp(rng.normal(0, 0.3, 5000)) / speed
        inputs.csv(here / name, values, start=start, span=day - 1)
    code, document = answer(
        capsys, "-b", "mon.csv", "-c", "tue.csv", "--claim", "2x faster at p50 and p90"
    )
    assert code == 0, document["reason"]
    evidence = document["claims"][0]["evidence"]
    assert (evidence["scope"], evidence["unit"], evidence["blocks"]) == (
        "live window, these replicas only", "hour", 24,
    )  # fmt: skip
    code, document = answer(capsys, "mon.csv", "--at", str(1_750_032_000 + day / 2))
    assert document["claims"][0]["reason_code"] == "unmatched_clock"


def test_five_runs_per_side_decide_the_tail(here, capsys):
    for r in range(5):
        inputs.csv(here / f"b{r}.csv", inputs.latencies(r, 300, 0.2))
        inputs.csv(here / f"c{r}.csv", inputs.latencies(50 + r, 300, 0.08))
    code, document = answer(capsys, "-b", "b*.csv", "-c", "c*.csv", "--claim", "2x faster")
    assert code == 0
    assert document["claims"][2]["evidence"]["replicas"] == [5, 5]
    assert document["claims"][2]["evidence"]["unit"] == "run"


def test_the_mix_is_held_constant(here, capsys):
    """All segments 10 % slower, more short requests: the raw median looks faster."""
    rng = np.random.default_rng(3)
    for name, shares, slower in (("b.csv", (0.5, 0.5), 1.0), ("c.csv", (0.85, 0.15), 1.1)):
        kinds = rng.choice(2, 8000, p=shares)
        values = np.where(kinds == 0, 0.08, 0.9) * np.exp(rng.normal(0, 0.2, 8000)) * slower
        extra = np.array(["short", "long"])[kinds]
        inputs.csv(here / name, values, header="timestamp,latency_ms,length", extra=extra)
    common = ("-b", "b.csv", "-c", "c.csv", "--claim", "not slower at p50")
    code, document = answer(capsys, *common, "--segment", "length")
    found = document["claims"][0]
    assert code == 1
    assert found["estimate"]["value"] == pytest.approx(1 / 1.1, rel=0.03)
    assert found["evidence"]["raw_ratio"] > 1.3
    assert found["evidence"]["simpson"] is True
    terms = found["evidence"]["terms"]
    assert sum(terms.values()) == pytest.approx(np.log2(found["evidence"]["raw_ratio"]), abs=1e-12)
    assert answer(capsys, *common)[0] == 0, "without the segment nobody could know"


def test_failed_requests_count_as_slowest(here, capsys):
    status = ["200"] * 300 + ["503"] * 100
    values = inputs.latencies(1, 400, 0.2)
    inputs.csv(here / "b.csv", values, header="timestamp,latency_ms,status", extra=["200"] * 400)
    fast_failures = values / np.where(np.array(status) == "503", 100, 1)
    inputs.csv(here / "c.csv", fast_failures, header="timestamp,latency_ms,status", extra=status)
    code, document = answer(capsys, "-b", "b.csv", "-c", "c.csv", "--claim", "not slower at p50")
    assert code != 0
    assert document["claims"][0]["evidence"]["censored_share"] == [0.0, 0.25]
    claim = ("--claim", "errors up at most 1pp")
    code, document = answer(capsys, "-b", "b.csv", "-c", "c.csv", *claim)
    assert code == 1
    assert document["claims"][0]["estimate"]["value"] == pytest.approx(0.25)
    ok = ("--ok", "status < 400 OR status = 503")
    assert answer(capsys, "-b", "b.csv", "-c", "c.csv", *claim, *ok)[0] in (0, 3)


def test_survivors_are_not_called_faster_unless_the_number_sent_is_known(here, capsys):
    inputs.csv(here / "b.csv", inputs.latencies(1, 400, 0.2))
    inputs.csv(here / "c.csv", inputs.latencies(2, 160, 0.05), span=40)
    code, document = answer(capsys, "-b", "b.csv", "-c", "c.csv", "--claim", "2x faster at p50")
    assert (code, document["claims"][0]["reason_code"]) == (3, "survivors")
    assert "--offered N" in document["reason"]
    sent = ("--offered", "400", "--offered", "400")
    code, document = answer(
        capsys, "-b", "b.csv", "-c", "c.csv", "--claim", "2x faster at p50", *sent
    )
    assert code != 0
    assert document["claims"][0]["evidence"]["censored_share"] == [0.0, 0.6]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json", "csv.gz", "csv.zst", "tsv"])
def test_every_format_gives_the_same_answer(here, capsys, kind):
    before, after = pair(here)
    expected = answer(capsys, "-b", before, "-c", after)[1]["claims"][0]["estimate"]
    for name in ("before", "after"):
        frame = pd.read_csv(f"{name}.csv")
        target = f"{name}.{kind}"
        if kind == "parquet":
            frame.to_parquet(target)
        elif kind.startswith("csv."):
            data = (here / f"{name}.csv").read_bytes()
            codec = "gzip" if kind.endswith("gz") else "zstd"
            with pa.CompressedOutputStream(target, codec) as stream:
                stream.write(data)
        elif kind == "tsv":
            frame.to_csv(target, sep="\t", index=False)
        else:
            frame.to_json(target, orient="records", lines=kind == "jsonl")
    found = answer(capsys, "-b", f"before.{kind}", "-c", f"after.{kind}")[1]
    assert found["claims"][0]["estimate"] == pytest.approx(expected, rel=1e-9)


def test_standard_input(here, capsys, monkeypatch):
    before, after = pair(here)
    expected = answer(capsys, "-b", before, "-c", after)[1]["claims"][0]["estimate"]
    stdin = io.TextIOWrapper(io.BytesIO((here / "before.csv").read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    found = answer(capsys, "-b", "-", "-c", after)[1]
    assert found["claims"][0]["estimate"] == expected
    assert found["baseline"]["label"] == "standard input"
    gc.collect()
    assert not list(here.glob("nibai-*"))


def test_a_folder_holds_several_runs(here, capsys):
    (here / "before").mkdir()
    for r in range(3):
        inputs.csv(here / "before" / f"r{r}.csv", inputs.latencies(r, 200, 0.2))
    inputs.csv(here / "after.csv", inputs.latencies(9, 200, 0.08))
    document = answer(capsys, "-b", "before", "-c", "after.csv", "--claim", "2x faster at p50")[1]
    assert document["baseline"]["replicas"] == 3
    assert document["verdict"] == "confirmed"


def test_vllm_results(here, capsys, golden):
    inputs.vllm(here / "b.json", 1, 320)
    inputs.vllm(here / "c.json", 2, 320, speed=2.5, failed=3)
    claim = "ttft 2x faster at p50, tpot 2x faster at p50, errors up at most 5pp"
    assert cli.invoke(["compare", "-b", "b.json", "-c", "c.json", "--claim", claim]) == 0
    golden("compare_vllm.txt", capsys.readouterr().out)


def test_k6_results(here, capsys, golden):
    inputs.k6(here / "b.json", 1, 320)
    inputs.k6(here / "c.json", 2, 320, speed=2.5, failed=3)
    claim = "2x faster at p50, errors up at most 5pp"
    assert cli.invoke(["compare", "-b", "b.json", "-c", "c.json", "--claim", claim]) == 0
    golden("compare_k6.txt", capsys.readouterr().out)


def test_values_with_their_units_are_read_one_by_one(here, capsys):
    values = inputs.latencies(1, 200, 0.2)
    text = [f"{v:.6f}s" if i % 2 else f"{v * 1e3:.6f}ms" for i, v in enumerate(values)]
    (here / "b.csv").write_text("latency\n" + "\n".join(text) + "\n")
    (here / "c.csv").write_text("latency\n" + "\n".join(f"{v:.9f} s" for v in values) + "\n")
    document = answer(capsys, "-b", "b.csv", "-c", "c.csv", "--claim", "not slower at p50")[1]
    assert document["claims"][0]["estimate"]["value"] == pytest.approx(1, rel=1e-6)


def test_higher_is_better_inverts_the_ratio(here, capsys):
    rng = np.random.default_rng(1)
    for name, speed in (("b.csv", 1.0), ("c.csv", 1.5)):
        values = 1e6 * speed * np.exp(rng.normal(0, 0.05, 300))
        (here / name).write_text("value\n" + "\n".join(f"{v:.3f}" for v in values) + "\n")
    document = answer(
        capsys, "-b", "b.csv", "-c", "c.csv", "--unit", "1/s", "--claim", "1.4x faster at p50"
    )[1]
    assert document["verdict"] == "confirmed"
    assert re.search(r"1\.5\dx better|1\.49x better", document["reason"])


@pytest.mark.parametrize("rows", [0, 2])
def test_thin_data_is_a_verdict(here, capsys, rows):
    before, _ = pair(here)
    inputs.csv(here / "thin.csv", inputs.latencies(1, rows, 0.2))
    assert answer(capsys, "-b", before, "-c", "thin.csv")[0] == 3
    (here / "nothing.csv").write_text("")
    code, document = answer(capsys, "-b", before, "-c", "nothing.csv")
    assert code == 3
    assert document["claims"][0]["reason_code"] == "no_data"


def test_a_few_bad_values_are_left_out_and_counted(here, capsys):
    before, _ = pair(here)
    lines = (here / "before.csv").read_text().splitlines()
    lines[5] = lines[5].split(",")[0] + ",-3"
    lines[6] = lines[6].split(",")[0] + ",nan"
    (here / "bad.csv").write_text("\n".join(lines) + "\n")
    document = answer(capsys, "-b", before, "-c", "bad.csv")[1]
    assert "bad.csv: 2 of 400 rows without a usable value left out" in document["notes"]
    assert document["candidate"]["requests"] == 398


# -- from Python ------------------------------------------------------------------------------


def test_arrays_frames_and_paths_give_one_answer(here):
    before, after = pair(here)
    frames = [pd.read_csv(name) for name in (before, after)]
    tables = [pa.Table.from_pandas(frame) for frame in frames]
    arrays = [frame["latency_ms"].to_numpy() for frame in frames]
    values = {
        "paths": nibai.compare(before, after, "2x faster at p50"),
        "frames": nibai.compare(*frames, "2x faster at p50"),
        "tables": nibai.compare(*tables, "2x faster at p50"),
        "arrays": nibai.compare(*arrays, ["2x faster at p50"], unit="ms"),
        "parquet": nibai.compare(
            _parquet(tables[0], "one"), _parquet(tables[1], "two"), "2x faster at p50"
        ),
    }
    ratios = {name: audit.findings[0].estimate.value for name, audit in values.items()}
    assert len({round(ratio, 9) for ratio in ratios.values()}) == 1, ratios
    assert all(audit.verdict == "confirmed" for audit in values.values())


def _parquet(table, name):
    pq.write_table(table, f"{name}.parquet")
    return f"{name}.parquet"


def test_unknown_options_are_refused_by_name():
    with pytest.raises(UsageError, match="no option 'units'"):
        nibai.compare([1.0], [1.0], units="s")


def test_gzip_that_was_cut_is_noticed(here, capsys):
    before, _ = pair(here)
    packed = gzip.compress((here / "before.csv").read_bytes())
    (here / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert cli.invoke(["compare", "-b", before, "-c", "cut.csv.gz"]) == 5
    assert "cut.csv.gz cannot be read" in capsys.readouterr().err


def rhythm(path, *, rate, seed, start, effect=0.5):
    """A day of requests whose latency grows with the root of the load; some requests fail."""
    rng = np.random.default_rng(seed)
    level = rate * np.exp(1.5 * np.sin(np.arange(1440) / 1440 * 2 * np.pi))
    minute = np.repeat(np.arange(1440), rng.poisson(level))
    values = 0.1 * (level[minute] / 20) ** effect * np.exp(rng.normal(0, 0.3, len(minute)))
    table = pa.table(
        {
            "timestamp": start + 60 * (minute + rng.random(len(minute))),
            "latency_s": values,
            "status": np.where(rng.random(len(minute)) < 0.001, 500, 200),
        }
    )
    pq.write_table(table, path)


def test_live_windows_are_matched_on_load(capsys):
    """Three quarters of the load look faster; at the same load nothing changed."""
    rhythm("mon.parquet", rate=20, seed=1, start=1_750_032_000.0)
    rhythm("tue.parquet", rate=15, seed=2, start=1_750_118_400.0)
    rhythm("wed.parquet", rate=5, seed=3, start=1_750_204_800.0)
    claim = ("--claim", "no more than 8% slower at p50")
    code, document = answer(capsys, "-b", "mon.parquet", "-c", "tue.parquet", *claim)
    found = document["claims"][0]
    assert code == 0, document["reason"]
    assert found["estimate"]["low"] < 1.0 < found["estimate"]["high"]
    assert found["evidence"]["raw_ratio"] > 1.1
    assert 0.7 < found["evidence"]["load_overlap"] < 0.9
    terms = found["evidence"]["terms"]
    assert sum(terms.values()) == pytest.approx(np.log2(found["evidence"]["raw_ratio"]), abs=1e-12)
    assert terms["load"] > 0.1
    assert any(note.startswith("load: a median of ") for note in document["notes"])
    code, document = answer(capsys, "-b", "mon.parquet", "-c", "wed.parquet", *claim)
    assert code == 3
    assert document["claims"][0]["reason_code"] == "load_overlap"
    assert "compare windows of similar load" in document["reason"]


def test_rates_and_runs_are_not_matched_on_load(here, capsys):
    before, after = pair(here)
    document = answer(capsys, "-b", before, "-c", after)[1]
    assert "load: not matched between runs, each has its own" in document["notes"]
    assert document["claims"][0]["evidence"]["load_overlap"] is None
    rhythm("mon.parquet", rate=2, seed=1, start=1_750_032_000.0)
    rhythm("tue.parquet", rate=1, seed=2, start=1_750_118_400.0)
    document = answer(
        capsys, "-b", "mon.parquet", "-c", "tue.parquet", "--value", "latency_s", "--unit", "1/s"
    )[1]
    assert "load: not matched, rows are rates and not requests" in document["notes"]
