"""The report of answers where Evidently is missing or is not asked; with it: tests/e2e."""

import sys

import pytest
from support.answer_rows import answer_rows, finding
from support.pairs_audited import audited, pairs_table

import nibai
from analyzers import evidently_bridge as bridge
from nibai import plugins
from nibai.app.artifact import ONLY_COUNTS
from nibai.artifacts import Artifact, ArtifactMaker
from nibai.errors import UsageError


def test_without_evidently_there_is_a_note(monkeypatch):
    monkeypatch.setitem(sys.modules, "evidently", None)
    monkeypatch.setattr(bridge, "evidently", bridge.evidently.__wrapped__)
    made = bridge.build({}).make(answer_rows(n=30), [finding()])
    assert (made.html, made.snapshot, made.scores) == (None, None, ())
    (note,) = made.notes
    assert note.startswith("no report by Evidently (ModuleNotFoundError: import of evidently")


def test_it_is_a_plug_in():
    assert isinstance(plugins.load("nibai.artifacts", "evidently"), ArtifactMaker)


def test_without_evidently_the_report_is_our_own_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "evidently", None)
    monkeypatch.setattr(bridge, "evidently", bridge.evidently.__wrapped__)
    path = tmp_path / "pairs.html"
    audit = audited(path)
    assert audit.verdict is audited(None).verdict
    assert audit.findings[0].evidence.predictions.artifact is None
    why, what = audit.notes[-2:]
    assert why.startswith("no report by Evidently (ModuleNotFoundError: ")
    assert what == "pairs.html is nibai's own report"
    assert why.split(":")[0] in path.read_text("utf-8")


def test_of_counts_alone_there_is_no_evidently_report(tmp_path):
    sketches = nibai.sketch_pairs(pairs_table(), output="class")
    audit = audited(tmp_path / "pairs.html", sketches)
    assert audit.notes[-2:] == (ONLY_COUNTS, "pairs.html is nibai's own report")
    assert (tmp_path / "pairs.html").exists()


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setattr(bridge.EvidentlyReport, "make", lambda *_: Artifact("x", "{}"))
    with pytest.raises(UsageError, match="the report cannot be written"):
        audited(tmp_path / "nowhere" / "pairs.html")
