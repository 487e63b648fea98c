"""A sample of single pairs, kept while all are counted."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

import nibai
from collector.pairs.reader import build
from nibai import plugins
from nibai.answer_rows import RowKind
from nibai.protocols import PairsRequest


def rows(table, most=50, **options):
    (sample,) = build({}).read(PairsRequest((pa.table(table),), keep_rows=most, **options))
    return sample.rows


def test_classes_are_labels_and_scores_beside_them_numbers():
    found = rows(
        {
            "baseline": ["a", "b", None],
            "candidate": ["a", "c", "d"],
            "baseline_score": [0.5, 0.6, 0.7],
            "candidate_score": [0.5, 0.1, 0.7],
        }
    )
    answer, score = found.columns
    assert (answer.kind, answer.baseline, answer.candidate) == (
        RowKind.LABEL, ["a", "b"], ["a", "c"]
    )  # fmt: skip
    assert (score.name, score.kind, score.candidate.tolist()) == (
        "score", RowKind.NUMBER, [0.5, 0.1]
    )  # fmt: skip


def test_scores_texts_and_probabilities():
    (score,) = rows({"baseline": [0.1, 0.25], "candidate": [0.5, 0.4]}, output="score").columns
    assert (score.kind, score.baseline.tolist()) == (RowKind.NUMBER, [0.1, 0.25])
    (text,) = rows({"baseline": ["a  b"], "candidate": ["c"]}, output="text").columns
    assert (text.kind, text.baseline, text.candidate) == (RowKind.TEXT, ["a  b"], ["c"])
    given = {"baseline": ["[0.9, 0.1]", "x"], "candidate": ["[0.2, 0.8]", "[1, 0]"]}
    largest, label = rows(given, output="proba").columns
    assert largest.candidate.tolist() == [0.8, 1.0]
    assert np.isnan(largest.baseline[1])
    assert label.baseline == ["0", "invalid: unparsable"]


def test_embeddings_have_no_column_to_show():
    assert rows({"baseline": ["[1, 2]"], "candidate": ["[1, 3]"]}, output="embedding") is None


def test_many_pairs_are_sampled_evenly_and_stay_pairs_in_order():
    n = 2_000
    names = [f"{i:04d}" for i in range(n)]
    table = {"baseline": names, "candidate": names}
    (column,) = rows(table, most=400, output="class").columns
    assert column.baseline == column.candidate == sorted(column.baseline)
    assert len(column.baseline) == 400
    # The mean of 400 of 2000 numbers: standard error 26.
    assert abs(np.mean([int(name) for name in column.baseline]) - n / 2) < 100


def test_nothing_is_kept_unless_asked(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"baseline": "a", "candidate": "b"}) + "\n", encoding="utf-8")
    (sample,) = build({}).read(PairsRequest((str(path),)))
    assert sample.rows is None


def test_log_probabilities_of_the_old_answer_are_compared():
    table = {
        "baseline": ["a b", "c d", "e f"],
        "candidate": ["a b", "c d", "e f"],
        "baseline_logprob": [-1.0, -2.0, None],
        "candidate_logprob": [-1.5, -2.0, -3.0],
    }
    (sample,) = build({}).read(PairsRequest((pa.table(table),), output="text"))
    moments = sample.pairs[""].moments["logprob_difference"]
    assert (moments.n, moments.sum) == (2, -0.5)


def test_labels_are_escaped_in_our_own_report():
    hostile = "<script>alert(1)</script>"
    old = ["cat", hostile] * 200
    table = pa.table(
        {"baseline": old, "candidate": [hostile] * 400, "request_id": list(map(str, range(400)))}
    )
    audit = nibai.compare(pairs=table, noise_floor=0.0, claims="same predictions within 2%")
    html = plugins.load("nibai.renderers", "html").render(audit)
    assert hostile not in html
    assert "&lt;script&gt;alert(1)" in html
