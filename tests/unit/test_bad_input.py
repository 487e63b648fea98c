"""Every kind of bad input gets one clear message and its exit code, never a traceback."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import inputs

from nibai import cli


def _good(folder):
    inputs.csv(folder / "good.csv", inputs.latencies(1, 40, 0.2))


def _write(name, text):
    def make(folder):
        (folder / name).write_text(text)

    return make


def _truncated_gzip(folder):
    data = gzip.compress(b"latency_ms\n" + b"12.5\n" * 5000)
    (folder / "cut.csv.gz").write_bytes(data[: len(data) // 2])


def _corrupt_parquet(folder):
    (folder / "bad.parquet").write_bytes(b"PAR1" + b"\x00" * 200 + b"PAR1")


def _negative(folder):
    values = inputs.latencies(1, 40, 0.2)
    values[::8] = -1
    inputs.csv(folder / "negative.csv", values)


def _three(folder):
    inputs.csv(
        folder / "three.csv", inputs.latencies(1, 60, 0.2),
        header="timestamp,latency_ms,variant", extra=np.array(["a", "b", "c"])[np.arange(60) % 3],
    )  # fmt: skip


def _vllm_summary(folder):
    inputs.vllm(folder / "summary.json", 1, 10, detailed=False)


def _vllm_runs(folder):
    inputs.vllm(folder / "one.json", 1, 10)
    (folder / "runs.json").write_text((folder / "one.json").read_text() * 2)


def _vllm_torn(folder):
    inputs.vllm(folder / "torn.json", 1, 10)
    document = json.loads((folder / "torn.json").read_text())
    (folder / "torn.json").write_text(json.dumps(document | {"itls": document["itls"][:-1]}))


def _utf16(folder):
    (folder / "wide.csv").write_text("baseline,candidate\na,a\n", encoding="utf-16")


def _pairs(folder):
    (folder / "pairs.csv").write_text("request_id,baseline,candidate\n1,a,a\n2,b,c\n")


def _strange_noise(folder):
    _pairs(folder)
    (folder / "noise.csv").write_text("variant,baseline,candidate\nshadow,a,a\n")


def _empty_folder(folder):
    (folder / "empty").mkdir()


def _truncated_zstd(folder):
    path = folder / "cut.csv.zst"
    rows = "".join(f"{i},{i * 7919 % 1009}.5\n" for i in range(300_000))
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(b"timestamp,latency_ms\n" + rows.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _bytes(name, data):
    def make(folder):
        (folder / name).write_bytes(data)

    return make


def _short_lines(folder):
    rows = [f"{i},{12.5 + i % 7},ok" if i % 10 else f"{i},12.5" for i in range(100)]
    (folder / "short.csv").write_text("\n".join(["ts,latency_ms,note", *rows]) + "\n")


def _many(folder):
    inputs.csv(
        folder / "many.csv", inputs.latencies(1, 60, 0.2),
        header="timestamp,latency_ms,id", extra=np.arange(60),
    )  # fmt: skip


def _thousands(folder):
    inputs.csv(
        folder / "rows.csv", inputs.latencies(1, 1001, 0.2),
        header="timestamp,latency_ms,id", extra=np.arange(1001),
    )  # fmt: skip


def _typed(name, column, values):
    def make(folder):
        pq.write_table(pa.table({"latency_ms": np.arange(1.0, 41.0)} | {column: values}),
                       folder / name)  # fmt: skip

    return make


G = ("-b", "good.csv")
P = ("--pairs", "pairs.csv")
CASES = {
    "missing file": (None, ("-b", "absent.csv", "-c", "good.csv"), 2),
    "no name": (None, (*G, "-c", ""), 2),
    "a replica a row": (_thousands, ("-b", "rows.csv", "-c", "rows.csv", "--replica", "id"), 2),
    "no match": (None, (*G, "-c", "nothing-*.csv"), 2),
    "empty folder": (_empty_folder, (*G, "-c", "empty"), 2),
    "nothing to compare with": (None, G, 2),
    "unknown value column": (None, (*G, "-c", "good.csv", "--value", "latnecy"), 2),
    "unknown time column": (None, (*G, "-c", "good.csv", "--time", "when"), 2),
    "unknown segment column": (None, (*G, "-c", "good.csv", "--segment", "model"), 2),
    "unknown metric": (None, (*G, "-c", "good.csv", "--metric", "ttft"), 2),
    "no value column": (_write("x.csv", "a,b\n1,2\n"), (*G, "-c", "x.csv"), 2),
    "text in the value column": (
        _write("text.csv", "latency_ms\n12.5\nfast\n13\n"), (*G, "-c", "text.csv"), 2,
    ),
    "no unit": (_write("bare.csv", "latency\n12.5\n14.0\n13.0\n"), (*G, "-c", "bare.csv"), 2),
    "some values without unit": (
        _write("mixed.csv", "latency\n12ms\n0.3s\n14\n"), (*G, "-c", "mixed.csv"), 2,
    ),
    "bad time": (
        _write("time.csv", "timestamp,latency_ms\nnoon,12.5\n"), (*G, "-c", "time.csv"), 2,
    ),
    "truncated gzip": (_truncated_gzip, (*G, "-c", "cut.csv.gz"), 5),
    "truncated zstd": (_truncated_zstd, (*G, "-c", "cut.csv.zst"), 5),
    "gzip by another name": (
        _bytes("packed.csv", gzip.compress(b"latency_ms\n1\n")), (*G, "-c", "packed.csv"), 2,
    ),
    "an Excel workbook": (_bytes("book.csv", b"PK\x03\x04" + bytes(60)), (*G, "-c", "book.csv"), 2),
    "UTF-16": (
        _bytes("wide.csv", "latency_ms\n12.5\n".encode("utf-16")), (*G, "-c", "wide.csv"), 2,
    ),
    "too many short lines": (_short_lines, (*G, "-c", "short.csv"), 2),
    "thousands separators": (
        _write("big.csv", 'latency_ms\n"1,234.5"\n'), (*G, "-c", "big.csv"), 2,
    ),
    "lists in the value column": (
        _typed("lists.parquet", "latency_ms", [[1.0, 2.0]] * 40), (*G, "-c", "lists.parquet"), 2,
    ),
    "times of day": (
        _typed("day.parquet", "time", pa.array(range(40), pa.time32("s"))),
        (*G, "-c", "day.parquet"), 2,
    ),
    "corrupt parquet": (_corrupt_parquet, (*G, "-c", "bad.parquet"), 5),
    "no json": (_write("x.json", '{"latency_ms": 1}\n{"latency_ms": '), (*G, "-c", "x.json"), 5),
    "negative values": (_negative, (*G, "-c", "negative.csv"), 2),
    "three values to split": (_three, ("three.csv", "--split", "variant"), 2),
    "absent value to split": (_three, ("three.csv", "--split", "variant=a,z"), 2),
    "too many values to split": (_many, ("many.csv", "--split", "id"), 2),
    "split and time": (None, ("good.csv", "--split", "variant", "--at", "2026-03-01"), 2),
    "split and two files": (None, (*G, "-c", "good.csv", "--split", "variant"), 2),
    "file and sides": (None, ("good.csv", *G), 2),
    "time outside": (None, ("good.csv", "--at", "2026-03-01T12:00Z"), 2),
    "no time": (None, ("good.csv", "--at", "yesterday"), 2),
    "bad condition": (None, (*G, "-c", "good.csv", "--ok", "status <"), 2),
    "unknown column in condition": (None, (*G, "-c", "good.csv", "--ok", "status < 400"), 2),
    "a condition that reads files": (
        None, (*G, "-c", "good.csv", "--ok", "(SELECT count(*) FROM read_csv('good.csv')) > 0"), 2,
    ),
    "offered once for two": (None, (*G, "-c", "good.csv", "--offered", "40"), 2),
    "one run twice with numbers sent": (
        None, (*G, *G, "-c", "good.csv", "--offered", "40", "--offered", "40"), 2,
    ),
    "offered too few": (
        None, (*G, "-c", "good.csv", "--offered", "40", "--offered", "10"), 2,
    ),
    "averages only": (_vllm_summary, (*G, "-c", "summary.json"), 2),
    "several runs of vLLM": (_vllm_runs, (*G, "-c", "runs.json"), 2),
    "vLLM results that lack gaps": (_vllm_torn, (*G, "-c", "torn.json"), 5),
    "a summary of k6": (
        _write("k6.json", '{"metrics": {"http_reqs": {}}, "root_group": {}}'),
        (*G, "-c", "k6.json"), 2,
    ),
    "k6 as CSV": (
        _write("k6.csv", "metric_name,timestamp,metric_value\nhttp_reqs,1,1\n"),
        (*G, "-c", "k6.csv"), 2,
    ),
    "bad claim": (None, (*G, "-c", "good.csv", "--claim", "2x fastr"), 2),
    "report in no folder": (None, (*G, "-c", "good.csv", "--html", "absent/r.html"), 2),
    "unknown option": (None, (*G, "-c", "good.csv", "--clam", "2x faster"), 2),
    "pairs that are not there": (None, ("--pairs", "absent.parquet"), 2),
    "pairs without sides": (_write("p.csv", "id,answer\n1,a\n"), ("--pairs", "p.csv"), 2),
    "pairs of an unknown role": (_pairs, (*P, "--columns", "old=baseline"), 2),
    "pairs of a role without column": (_pairs, (*P, "--columns", "baseline"), 2),
    "pairs of a column that is not there": (_pairs, (*P, "--columns", "label=truth"), 2),
    "pairs by a segment that is not there": (_pairs, (*P, "--segment", "tenant"), 2),
    "pairs of an unknown kind of output": (_pairs, (*P, "--output", "classes"), 2),
    "pairs of an unknown kind of change": (_pairs, (*P, "--kind", "int9"), 2),
    "a noise floor that is none": (_pairs, (*P, "--noise-floor", "2"), 2),
    "noise pairs of a third variant": (_strange_noise, (*P, "--noise-pairs", "noise.csv"), 2),
    "noise without pairs": (None, (*G, "-c", "good.csv", "--noise-floor", "0"), 2),
    "pairs in UTF-16": (_utf16, ("--pairs", "wide.csv"), 2),
    "pairs cut off": (_truncated_gzip, ("--pairs", "cut.csv.gz"), 5),
    "corrupt pairs": (_corrupt_parquet, ("--pairs", "bad.parquet"), 5),
    "unknown unit": (None, (*G, "-c", "good.csv", "--unit", "weeks"), 2),
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _good(tmp_path)
    return tmp_path


def complaint(here, capsys, name):
    """What is said; the exit code tells what kind of problem it is."""
    make, arguments, code = CASES[name]
    if make is not None:
        make(here)
    assert cli.invoke(["compare", *arguments]) == code, (name, capsys.readouterr())
    said = capsys.readouterr().err
    assert said.strip(), name
    assert "Traceback" not in said
    assert "nibai: unexpected" not in said
    return said


def test_every_message_and_exit_code_is_the_expected_one(here, capsys, golden):
    texts = [f"--- {name}\n{complaint(here, capsys, name)}" for name in CASES]
    golden("bad_input.txt", "\n".join(texts))


@pytest.mark.parametrize("column", ['a"b', "a'b", "a;drop", "<script>", "ü 語"])
def test_hostile_column_names_are_only_names(here, capsys, column):
    table = pa.table({"latency_ms": np.arange(1.0, 60.0), column: np.arange(59) % 2})
    pq.write_table(table, here / "odd.parquet")
    arguments = ["-b", "odd.parquet", "-c", "odd.parquet", "--segment", column]
    assert cli.invoke(["compare", *arguments]) in (0, 3), capsys.readouterr().err
