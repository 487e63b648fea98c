"""`nibai compare --pairs`: what files of answers say, and what is said of them."""

import gzip
import io
import json
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import nibai
from collector.pairs.reader import FilesOfPairs
from nibai import cli
from nibai.errors import CollectError, UsageError
from nibai.model import ReasonCode, Verdict
from nibai.outputs import OutputKind
from nibai.predictions import (
    BEYOND_TOLERANCE,
    CORRECT,
    COSINE,
    INVALID,
    JSON_VALID,
    KL,
    RANK_OVERLAP,
    SCORE_DIFFERENCE,
    THRESHOLD_CROSSED,
    EvidenceLevel,
    SameInputs,
    Signal,
    total,
)
from nibai.protocols import PairsRequest
from nibai.store.engine.connection import connect
from nibai.store.files.scan import open_arrow

CLASSES = np.array(["cat", "dog", "cow", "emu"])


def pairs(seed=1, n=600, flips=0.05):
    """Pairs of classes with planted flips; every tenth input comes again."""
    rng = np.random.default_rng(seed)
    old = rng.integers(0, 4, n)
    new = np.where(rng.random(n) < flips, (old + 1) % 4, old)
    inputs = np.where(np.arange(n) % 10 == 9, np.arange(n) - 1, np.arange(n))
    old, new = old[inputs], new[inputs]
    return pa.table(
        {
            "request_id": [f"r{i}" for i in range(n)],
            "input_hash": [f"h{i}" for i in inputs],
            "baseline": CLASSES[old],
            "candidate": CLASSES[new],
            "label": CLASSES[rng.integers(0, 4, n)],
            "segment": np.array(["de", "en"])[inputs % 2],
            "margin": rng.random(n)[inputs].round(6),
        }
    )


def read(*sources, **options):
    return FilesOfPairs().read(PairsRequest(tuple(map(_source, sources)), **options))


def _source(source):
    return source if isinstance(source, pa.Table) else str(source)


def whole(samples):
    (sample,) = samples
    return total(sample.pairs.values())


def lines(table):
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist())


@pytest.fixture(params=["csv", "csv.gz", "jsonl", "jsonl.zst", "parquet", "stdin"])
def file(request, tmp_path, monkeypatch):
    table, path = pairs(), tmp_path / f"pairs.{request.param}"
    if request.param == "stdin":
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(table).encode())), raising=True
        )
        return "-"
    if request.param.startswith("csv"):
        stream = io.BytesIO()
        pc.write_csv(table, stream)
        data = stream.getvalue()
    elif request.param == "parquet":
        pq.write_table(table, path)
        return path
    else:
        data = lines(table).encode()
    packers = {"gz": gzip.compress, "zst": lambda data: pa.compress(data, "zstd", asbytes=True)}
    path.write_bytes(packers.get(path.suffix[1:], bytes)(data))
    return path


def test_every_format_says_the_same(file):
    expected = read(pairs())[0]
    found = read(file)[0]
    assert found.pairs == expected.pairs
    assert found.pairs.keys() == {"segment=de", "segment=en"}
    assert whole([found]).pairs == 540
    assert whole([found]).all_pairs == 600
    assert found.level is EvidenceLevel.REPLAY
    assert found.raw
    assert found.distinct_by == "input hash"
    assert found.join.match_rate == 1


def test_columns_are_renamed_and_what_was_used_is_said():
    table = pairs().rename_columns(["id", "h", "fp32", "int8", "y", "language", "m"])
    names = {"baseline": "fp32", "candidate": "int8", "input_hash": "h", "label": "y"}
    (found,) = read(table, columns=names, segments=("language",))
    assert whole([found]).pairs == 540
    assert whole([found]).signals[CORRECT].n == 540
    assert "language=de" in found.pairs
    assert any("baseline from 'fp32'" in note for note in found.notes)


def test_several_files_are_one_sample_and_an_input_counts_once():
    once, again = read(pairs()), read(pairs(), pairs())
    assert whole(again).pairs == whole(once).pairs
    assert whole(again).duplicates == 600  # the same request ids


def test_numbers_as_classes_are_alike_whatever_their_type(tmp_path):
    table = pa.table({"baseline": [1, 0, 1], "candidate": [1.0, 0.0, 0.0]})
    assert whole(read(table)).flips == 1
    path = tmp_path / "p.jsonl"
    path.write_text('{"baseline": 1, "candidate": 1.0}\n{"baseline": true, "candidate": "true"}\n')
    assert whole(read(path)).flips == 0


def test_missing_answers_are_no_pairs_and_lower_the_match_rate():
    table = pa.table({"baseline": ["a", None, "b", None], "candidate": ["a", "b", None, None]})
    (found,) = read(table)
    sketch = whole([found])
    assert (sketch.pairs, sketch.missing_baseline, sketch.missing_candidate) == (1, 2, 2)
    assert found.join.requests == (2, 2)
    assert found.join.match_rate == 0.5


def test_invalid_answers_that_the_file_names_are_flips_and_signals():
    table = pa.table(
        {
            "baseline": ["a", "b", "c", None],
            "candidate": ["a", None, None, None],
            "candidate_invalid": ["", "timeout", "timeout", "timeout"],
            "baseline_invalid": ["", "", "", "timeout"],
        }
    )
    sketch = whole(read(table))
    assert (sketch.pairs, sketch.flips) == (4, 2)
    assert sketch.signals["invalid:timeout"] == Signal(4, 0, 2, 1)
    assert sketch.confusion == {("b", "invalid:timeout"): 1, ("c", "invalid:timeout"): 1}


def test_scores_flip_at_the_threshold_or_beyond_the_tolerance():
    table = pa.table({"baseline": [0.1, 0.5, 0.9, 0.7], "candidate": [0.1, 0.61, 0.4, np.nan]})
    assert whole(read(table)).flips == 3
    by_threshold = whole(read(table, threshold=0.6))
    assert by_threshold.flips == 3
    assert by_threshold.events[THRESHOLD_CROSSED].hits == 2
    assert ("at most 0.6", "above 0.6") in by_threshold.confusion
    tolerant = whole(read(table, tolerance=0.2))
    assert tolerant.flips == 2
    assert tolerant.events[BEYOND_TOLERANCE].hits == 1
    assert tolerant.signals["invalid:NaN"] == Signal(4, 0, 1, 0)
    assert tolerant.moments[SCORE_DIFFERENCE].n == 3


def test_probabilities_embeddings_and_rankings_are_recognised(tmp_path):
    rows = [
        {"baseline": [0.7, 0.3], "candidate": [0.4, 0.6]},
        {"baseline": [1, 0], "candidate": [1, 0]},
    ]
    sketch = whole(read(pa.Table.from_pylist(rows)))
    assert sketch.flips == 1
    assert sketch.moments[KL].n == 2
    vectors = [
        {"baseline": [1.0, 2.0], "candidate": [2.0, 4.0]},
        {"baseline": [1, 0], "candidate": [0, 1]},
    ]
    sketch = whole(read(pa.Table.from_pylist(vectors)))
    assert (sketch.flips, sketch.moments[COSINE].min) == (1, 0)
    ranked = [
        {"baseline": ["a", "b"], "candidate": ["b", "a"]},
        {"baseline": ["a"], "candidate": ["a"]},
    ]
    path = tmp_path / "ranked.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ranked))
    sketch = whole(read(path))
    assert (sketch.flips, sketch.moments[RANK_OVERLAP].max) == (1, 1)


@pytest.mark.parametrize("kind", ["proba", "embedding"])
def test_columns_of_lists_say_what_the_same_lists_as_text_say(kind):
    rng = np.random.default_rng(11)
    rows = [rng.dirichlet(np.ones(5), 2).tolist() for _ in range(300)]
    rows[3][0], rows[4][1], rows[5] = [0.9, 0.9], [-0.5, 0.5], [[], []]
    rows[6][0], rows[7][1], rows[8] = [0.2, 0.3], [float("nan")] * 5, [[0.5], [0.25, 0.5]]
    rows[9][0], rows[10][0], rows[11] = None, [float("inf")], [[0.0] * 5, [0.1] * 5]
    sides = [pa.array([row[side] for row in rows], pa.list_(pa.float64())) for side in (0, 1)]
    others = {"label": [str(i % 5) for i in range(300)], "request_id": list(map(str, range(300)))}
    as_lists = pa.table({"baseline": sides[0], "candidate": sides[1], **others})
    said = [
        [None if one is None else json.dumps(one) for one in side.to_pylist()] for side in sides
    ]
    as_text = pa.table({"baseline": said[0], "candidate": said[1], **others})
    ours, theirs = (whole(read(table, output=kind)) for table in (as_lists, as_text))
    rounded = {"moments": {}, "worst": (), "histograms": {}}
    assert replace(ours, **rounded) == replace(theirs, **rounded)
    for name, moments in theirs.moments.items():
        assert ours.moments[name].n == moments.n, name
        assert ours.moments[name].sum == pytest.approx(moments.sum, abs=1e-12), name
    assert len(ours.worst) == len(theirs.worst)


def test_an_answer_inside_a_document_is_found_by_its_path(tmp_path):
    path = tmp_path / "p.jsonl"
    answers = [('{"out": [{"label": "a"}]}', '{"out": [{"label": "b"}]}'), ('{"out": []}', "oops")]
    path.write_text("".join(json.dumps({"baseline": a, "candidate": b}) + "\n" for a, b in answers))
    sketch = whole(read(path, output="class:out[0].label"))
    assert (sketch.pairs, sketch.flips) == (2, 2)
    assert sketch.signals["invalid:missing path"] == Signal(2, 1, 0, 0)
    assert sketch.signals["invalid:unparsable"] == Signal(2, 0, 1, 0)


@pytest.mark.parametrize("kind", list(OutputKind))
def test_every_kind_of_output_survives_hostile_answers(kind):
    hostile = [
        "", "NaN", "[NaN, 1]", "{", "[[]]", "[]", "1e999", "null", "\ufffd", '{"a": "b"}', "[{}]",
        "9" * 500, "-", "<script>", "a,b", "true", '[1, "a"]', "[2, -1]",
    ]  # fmt: skip
    table = pa.table({"baseline": hostile, "candidate": hostile[::-1]})
    (found,) = read(table, output=kind.value)
    sketch = whole([found])
    assert sketch.pairs + max(sketch.missing_baseline, sketch.missing_candidate) >= len(hostile) - 1
    assert sketch.signals[INVALID].n == sketch.pairs


def test_broken_lines_cost_those_lines_and_are_counted(tmp_path):
    good = '{"baseline": "a", "candidate": "a"}\n' * 50
    path = tmp_path / "p.jsonl"
    path.write_bytes(
        good.encode()
        + b'{"baseline": "a", "candidate"\n'  # truncated
        + b'[1, 2]\n"text"\n'
        + b'{"baseline": "caf\xe9", "candidate": "a"}\n'  # latin-1
        + b'{"baseline": "a", "candidate": "' + b"x" * (50 << 20) + b'"}\n'
        + good.encode()
        + b'{"baseline": "a", "candi'
    )  # fmt: skip
    (found,) = read(path)
    sketch = whole([found])
    assert (sketch.pairs, sketch.flips) == (101, 1)
    assert sketch.signals["invalid:wrong encoding"] == Signal(101, 1, 0, 0)
    assert found.join.quarantined == {"no JSON object": 5, "line longer than 16 MiB": 1}
    assert found.join.requests == (107, 107)
    assert (
        "p.jsonl: left out 1 (line longer than 16 MiB), the first in line 55 (52,428,835 bytes)"
    ) in found.notes


def test_csv_rows_of_another_width_are_left_out(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('baseline,candidate\na,a\na\na,b,c\n"a\nb","a\nb"\n')
    (found,) = read(path)
    assert whole([found]).pairs == 2
    assert found.join.quarantined == {"row with too many or too few cells": 2}


def test_two_columns_of_one_name_are_not_guessed_between(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("baseline,candidate,baseline\na,b,c\n")
    with pytest.raises(UsageError, match=r"p.csv: two columns are called 'baseline': rename one"):
        read(path)
    path.write_text(",baseline,candidate,\n0,a,a,\n")
    assert whole(read(path)).pairs == 1


def test_a_long_or_open_csv_line_costs_itself_and_is_counted(tmp_path):
    path = tmp_path / "p.csv"
    long = b'a,"' + b"x" * (17 << 20) + b'"\n'
    path.write_bytes(b"baseline,candidate\n" + b"a,a\n" * 3 + long + b"a,b\n" * 3)
    (found,) = read(path)
    assert (whole([found]).pairs, whole([found]).flips) == (6, 3)
    assert found.join.quarantined == {"line longer than 16 MiB": 1}
    path.write_bytes(b"baseline,candidate\n" + b"a,a\n" * 3 + b'a,"b\n' + b"a,b\n" * 3)
    (found,) = read(path)
    assert whole([found]).pairs == 3
    assert found.join.quarantined == {"no CSV row": 4}
    assert found.join.requests == (7, 7)


def test_batch_sizes_are_samples_of_their_own():
    table = pairs().append_column("batch", pa.array([1] * 200 + [32] * 400))
    first, second = read(table)
    assert (first.batch, second.batch) == (32, 1)
    assert total(first.pairs.values()).all_pairs == 400


def test_noise_pairs_are_the_floors_of_their_variant():
    noise = pa.table(
        {
            "variant": ["baseline"] * 4 + ["candidate"] * 4,
            "input_hash": list("wxyzwxyz"),
            "baseline": list("aaaabbbb"),
            "candidate": list("aaabbbcc"),
        }
    )
    (found,) = read(pairs(), noise=(noise,))
    assert (found.floor_old[""].pairs, found.floor_old[""].flips) == (4, 1)
    assert (found.floor_new[""].pairs, found.floor_new[""].flips) == (4, 2)
    (alone,) = read(pairs(), noise=(noise.drop_columns(["variant"]),))
    assert alone.floor_new is None
    split = noise.append_column("tongue", pa.array(["de", "en"] * 4))
    (by_segment,) = read(
        pairs().append_column("tongue", pairs()["segment"]), noise=(split,), segments=("tongue",)
    )
    assert by_segment.floor_old.keys() == by_segment.pairs.keys() == {"tongue=de", "tongue=en"}
    (stated,) = read(pairs(), noise_floor=0.0)
    assert (stated.floor_old, stated.stated_floor) == (None, 0.0)


@pytest.mark.parametrize("finish", ["finish_reason", "finish"], ids=["logged", "replayed"])
def test_texts_say_what_they_show(tmp_path, finish):
    chat = {"choices": [{"message": {"content": "It is 42."}, "finish_reason": "length"}]}
    rows = [
        ("The answer is 41 of course", "The answer  is 41 of course", "stop", "stop"),
        ("The answer is 41 of course", "The answer is 42 of course", "stop", "length"),
        ("The answer is, as ever, no", "", "stop", "stop"),
        (json.dumps(chat), json.dumps(chat), "", ""),
    ]
    names = ("baseline", "candidate", f"baseline_{finish}", f"candidate_{finish}")
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    (found,) = read(path, output="text")
    sketch = whole([found])
    assert (sketch.pairs, sketch.flips) == (4, 2)  # white space is no difference
    assert sketch.events["number_changed"].hits == 1
    assert sketch.signals["empty"] == Signal(4, 0, 1, 0)
    assert sketch.signals["finish:length"] == Signal(4, 0, 1, 1)
    assert sketch.moments["edit_distance"].n == 4
    assert not sketch.confusion
    assert all(pair.baseline == "" for pair in sketch.worst)


def test_json_answers_are_compared_as_values_and_validity_is_a_signal():
    table = pa.table(
        {
            "baseline": ['{"a": 1, "b": 2}', '{"a": 1}', '{"a": 1}', "{oops"],
            "candidate": ['{"b": 2.0, "a": 1}', '{"a": 2}', '{"a": ', "{oops"],
            "label": ['{"a":1,"b":2}', '{"a": 1}', None, None],
        }
    )
    sketch = whole(read(table))
    assert (sketch.pairs, sketch.flips) == (4, 2)
    assert sketch.signals[JSON_VALID] == Signal(4, 2 - 1, 0, 2)
    assert sketch.signals["invalid:unparsable"] == Signal(4, 0, 1, 1)
    assert sketch.signals[CORRECT] == Signal(2, 1, 0, 1)


def test_the_same_inputs_tell_the_excess_at_a_fixed_n():
    keys = [f"h{i}" for i in range(6)]
    ours = pa.table({"input_hash": keys, "baseline": list("aaaaaa"), "candidate": list("aaabbb")})
    noise = pa.table(
        {"input_hash": keys[:5], "baseline": list("aaaaa"), "candidate": list("abbba")}
    )
    (found,) = read(ours, noise=(noise,))
    assert found.same_inputs == SameInputs(5, only_ab=1, only_aa=2)


def test_shadow_pairs_are_level_a_and_repeats_are_traffic():
    table = pa.table(
        {
            "request_id": ["1", "1", "1"],
            "repeat": [0, 1, 1],
            "baseline": ["a"] * 3,
            "candidate": ["a"] * 3,
        }
    )
    (found,) = read(table, shadow=True)
    assert found.level is EvidenceLevel.SHADOW
    sketch = whole([found])
    assert (sketch.pairs, sketch.all_pairs, sketch.duplicates) == (1, 2, 1)


def test_nothing_but_the_document_goes_to_standard_output():
    for connection in (connect(), open_arrow(pairs(), "pairs").connection):
        setting = connection.execute("SELECT current_setting('enable_progress_bar')")
        assert setting.fetchone() == (False,)


# -- parts counted elsewhere ----------------------------------------------------------------


def parted(table, parts):
    """All pairs of an input in one part, as Spark's partitioning by input hash has them."""
    part = np.array([int(one.as_py()[1:]) % parts for one in table["input_hash"]])
    return [table.filter(pa.array(part == i)) for i in range(parts)]


def test_parts_counted_elsewhere_give_the_same_audit(tmp_path):
    table = pairs(n=1700)
    for i, part in enumerate(reversed(parted(table, 4))):
        pq.write_table(nibai.sketch_pairs(part, output="class"), tmp_path / f"{i}.parquet")
    (merged,), (whole_,) = read(tmp_path), read(table)
    assert merged.pairs == whole_.pairs
    assert merged.join == whole_.join
    claim = "same predictions within 2%"
    ours, theirs = (nibai.compare(pairs=one, claims=claim) for one in (tmp_path, table))
    assert ours.findings[0].estimate == theirs.findings[0].estimate
    assert ours.reason == theirs.reason


def test_sketches_of_scores_add_up_to_the_last_digits_but_three():
    rng = np.random.default_rng(5)
    n = 2000
    table = pa.table(
        {
            "input_hash": [f"h{i}" for i in range(n)],
            "baseline": rng.normal(size=n),
            "candidate": rng.normal(size=n),
        }
    )
    options = {"threshold": 0.5, "tolerance": 0.1}
    parts = [nibai.sketch_pairs(one, output="score", **options) for one in parted(table, 3)]
    (merged,), (once,) = read(*parts), read(table, output="score", **options)
    ours, theirs = whole([merged]), whole([once])
    assert replace(ours, moments={}) == replace(theirs, moments={})
    ours, theirs = ours.moments[SCORE_DIFFERENCE], theirs.moments[SCORE_DIFFERENCE]
    assert ours.sum == pytest.approx(theirs.sum, abs=1e-12 * n)
    assert ours.sum_of_squares == pytest.approx(theirs.sum_of_squares, rel=1e-12)


def test_what_is_no_sketch_is_told():
    rows = nibai.sketch_pairs(pairs(), output="class")
    broken = rows.set_column(3, "key", pa.array(["{"] * len(rows)))
    with pytest.raises(CollectError, match="no sketches"):
        read(broken)
    with pytest.raises(UsageError, match="no option 'noise'"):
        nibai.sketch_pairs(pairs(), output="class", noise=1)


# -- the audit ------------------------------------------------------------------------------


def test_pairs_alone_are_an_audit():
    audit = nibai.compare(pairs=pairs(n=3400, flips=0.05), claims="same predictions within 2%")
    (finding,) = audit.findings
    assert audit.verdict is Verdict.REFUTED
    assert finding.estimate.value == pytest.approx(0.05, abs=0.012)
    assert "noise floor not measured" in finding.reason.text
    assert audit.baseline.requests == 3400


def test_the_default_claim_wants_a_margin_and_a_kind_gives_it():
    table = pairs(n=3400, flips=0.0)
    unknown = nibai.compare(pairs=table)
    assert unknown.findings[0].reason.code is ReasonCode.MARGIN_NOT_STATED
    assert nibai.compare(pairs=table, kinds="int8").verdict is Verdict.CONFIRMED


def test_speed_and_predictions_are_one_sentence():
    rng = np.random.default_rng(3)
    slow, fast = rng.lognormal(-2, 0.3, 4000), rng.lognormal(-3, 0.3, 4000)
    claim = "2x faster at p50, same predictions within 2%"
    audit = nibai.compare(slow, fast, claim, unit="s", pairs=pairs(n=3400, flips=0.0))
    assert [finding.verdict for finding in audit.findings] == [Verdict.CONFIRMED] * 2
    assert audit.verdict is Verdict.CONFIRMED


def test_the_command_line_reads_every_option(tmp_path, capsys):
    path, noise = tmp_path / "p.parquet", tmp_path / "n.csv"
    pq.write_table(pairs(n=2000, flips=0.0), path)
    noise.write_text("baseline,candidate\n" + "a,a\n" * 2000)
    options = ["--columns", "baseline=baseline,candidate=candidate", "--segment", "segment"]
    arguments = ["compare", "--pairs", str(path), "--noise-pairs", str(noise), *options]
    assert cli.invoke([*arguments, "--kind", "int8", "--labels", "cat,dog,cow,emu"]) in (0, 3)
    assert "Traceback" not in capsys.readouterr().err


def test_wrong_options_are_told():
    table = pairs()
    for options, word in (
        ({"columns": {"baselin": "x"}}, "knows no 'baselin'"),
        ({"columns": {"baseline": "x"}}, "no column 'x'"),
        ({"output": "classes"}, "knows no 'classes'"),
        ({"segments": ("tenant",)}, "no column 'tenant'"),
        ({"kinds": ["int9"]}, "called 'int9'"),
        ({"margin": 1}, "no option 'margin'"),
    ):
        with pytest.raises(UsageError, match=word):
            nibai.compare(pairs=table, **options)
    with pytest.raises(UsageError, match="no column of baseline answers"):
        nibai.compare(pairs=table.drop_columns(["baseline"]))


def test_a_cut_file_is_an_error_and_an_empty_one_a_verdict(tmp_path):
    cut = tmp_path / "cut.jsonl.gz"
    data = gzip.compress(lines(pairs()).encode())
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(CollectError, match="complete"):
        nibai.compare(pairs=str(cut))
    empty = tmp_path / "empty.csv"
    empty.touch()
    audit = nibai.compare(pairs=str(empty), claims="same predictions within 2%")
    assert audit.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
