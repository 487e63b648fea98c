import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from support.outputs import CLASSES, START, judge, more_of, two_days

import nibai
from collector.before_after import BeforeAfterReader
from nibai.cli import invoke
from nibai.errors import UsageError
from nibai.model import Verdict
from nibai.predictions import EvidenceLevel
from nibai.protocols import FileRequest, OutputsRequest


def table(seed, n=800, *, start=START, shift=0.0, **columns):
    rng = np.random.default_rng(seed)
    length = rng.normal(100 + 20 * shift, 20, n)
    lang = rng.choice(["en", "ja", "de"], n)
    positive = rng.random(n) < 1 / (1 + np.exp(-(length - 100) / 20))
    made = {
        "timestamp": start + np.arange(n) * 60.0,
        "label": np.where(positive, "yes", "no"),
        "length": length,
        "lang": lang,
    }
    return pa.table(made | columns)


def read(before, after=None, *, prediction="label", inputs=(), output=None, **files):
    sides = (before,), () if after is None else (after,)
    request = OutputsRequest(FileRequest(*sides, **files), prediction, inputs, output)
    (found,) = BeforeAfterReader().read(request)
    return found


def test_inputs_and_segments_make_level_c_outputs_alone_level_d():
    one, two = table(1), table(2, start=START + 86_400)
    assert read(one, two).level is EvidenceLevel.OUTPUTS_ONLY
    found = read(one, two, inputs=("length", "lang"))
    assert found.level is EvidenceLevel.ADJUSTED
    assert set(found.unpaired.features) == {"length", "lang=en", "lang=ja", "lang=de"}
    assert found.unpaired.classes == ("no", "yes")
    assert found.unpaired.before.n == found.unpaired.after.n == 800
    assert found.notes == (
        "time from column 'timestamp' (seconds since 1970)",
        "prediction from column 'label', a class",
    )
    split = read(one, two, segments=("lang",))
    assert split.level is EvidenceLevel.ADJUSTED
    assert split.unpaired.segments == ("lang=de", "lang=en", "lang=ja")
    assert split.unpaired.features == ()


def test_one_file_is_cut_by_time_or_by_a_column():
    one = table(3, 1600)
    at = read(one, inputs=("length",), at=START + 600 * 60.0).unpaired
    assert (at.before.n, at.after.n) == (600, 1000)
    assert at.before.times[-1] < START + 600 * 60.0 <= at.after.times[0]
    version = one.append_column("model", pa.array(["old", "new"] * 800))
    cut = read(version, inputs=("length",), split="model=old,new").unpaired
    assert (cut.before.n, cut.after.n) == (800, 800)
    assert cut.before.times[0] == START
    swapped = read(version, inputs=("length",), split="model").unpaired  # in order of the alphabet
    assert swapped.after.times[0] == START
    with pytest.raises(UsageError, match=r"has the values 'old', 'new': say which two"):
        read(version, split="model=old,newer")


def test_missing_answers_are_a_class_and_missing_inputs_are_marked():
    labels = ["yes", None, "", "no"] * 200
    lengths = [1.0, None, float("nan"), 2.0] * 200
    one = table(4, label=pa.array(labels), length=pa.array(lengths))
    found = read(one, table(5), inputs=("length",))
    assert found.unpaired.classes == ("no", "yes", "(invalid)")
    assert (found.unpaired.before.codes == 2).sum() == 400
    assert found.unpaired.features == ("length", "length missing")
    assert np.isfinite(found.unpaired.before.features).all()
    assert "400 of 1,600 answers are missing or invalid" in found.notes
    assert "input 'length': 400 of 1,600 values missing" in found.notes


def test_scores_are_judged_by_the_fifths_they_had_before():
    rng = np.random.default_rng(6)
    one = table(6, score=rng.random(800))
    two = table(7, score=np.where(np.arange(800) % 100 == 0, np.nan, rng.random(800) ** 2))
    found = read(one, two, prediction="score", inputs=("length",))
    assert len(found.unpaired.classes) == 6
    assert found.unpaired.classes[-1] == "(invalid)"
    shares = np.bincount(found.unpaired.before.codes, minlength=6) / 800
    assert shares == pytest.approx([0.2] * 5 + [0], abs=0.002)
    assert found.unpaired.scores == pytest.approx((0.5, 0.33), abs=0.03)
    notes = judge(found, "same output mix within 5%").evidence.notes
    assert any(note.startswith("mean score 0.") for note in notes)
    few = table(8, score=[0.0, 1.0] * 400)
    assert read(few, few, prediction="score").unpaired.classes == ("0", "1")
    said = read(few, few, prediction="score", output="score").unpaired.classes
    assert said == ("score below 0", "score 0 to 1", "score from 1")


def test_vectors_are_inputs_of_many_columns():
    rng = np.random.default_rng(9)
    made = [table(i, vector=list(rng.normal(size=(800, 40)))) for i in (1, 2)]
    found = read(*made, inputs=("vector",))
    assert len(found.unpaired.features) == 40
    assert judge(found, "same output mix within 9%").evidence.predictions.inputs_moved.auc.low < 0.5
    ragged = table(3, vector=[[1.0], [1.0, 2.0]] * 400)
    with pytest.raises(UsageError, match="lists of different lengths"):
        read(ragged, made[1], inputs=("vector",))


def test_rows_without_times_are_taken_in_their_order():
    one = table(1).drop_columns(["timestamp"])
    found = read(one, table(2), inputs=("length",))
    assert found.unpaired.before.times is None
    assert "no time column: the order of the rows is taken as the order of time" in found.notes


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prediction": "nothing"}, "--prediction"),
        ({"inputs": ("nothing",)}, "--input"),
        ({"output": "text"}, "needs pairs"),
        ({"output": "score"}, "does not hold numbers"),
        ({"at": 5.0}, "give exactly one"),
    ],
)
def test_wrong_columns_are_named(given, said):
    with pytest.raises(UsageError, match=said):
        read(table(1), table(2), **given)


def test_times_that_are_missing_are_counted_and_refused_when_many():
    gaps = [None if i % 40 == 0 else START + i for i in range(800)]
    found = read(table(1, timestamp=gaps), table(2), inputs=("length",))
    assert found.unpaired.before.n == 780
    assert any("20 of 800 rows without a time left out" in note for note in found.notes)
    many = [None if i % 4 == 0 else START + i for i in range(800)]
    with pytest.raises(UsageError, match="200 of 800 rows have no time"):
        read(table(1, timestamp=many), table(2))


def test_files_are_read_like_tables(tmp_path):
    one, two = table(1), table(2, start=START + 86_400)
    pa.parquet.write_table(one, tmp_path / "before.parquet")
    pa.csv.write_csv(two, tmp_path / "after.csv")
    paths = str(tmp_path / "before.parquet"), str(tmp_path / "after.csv")
    from_files, from_tables = (
        read(*sides, inputs=("length", "lang")).unpaired for sides in (paths, (one, two))
    )
    assert from_files.classes == ("false", "true")  # DuckDB reads yes and no of CSV as truth values
    for side in ("before", "after"):
        there, here = getattr(from_files, side), getattr(from_tables, side)
        assert (there.codes == here.codes).all()
        assert there.features == pytest.approx(here.features)


def test_many_answers_are_thinned_and_it_is_said(monkeypatch):
    monkeypatch.setattr("collector.before_after.MAX_ROWS", 300)
    found = read(table(1), table(2), inputs=("length",))
    assert found.unpaired.before.n == 267
    assert "800 answers before: every 3th is looked at" in found.notes


def test_empty_files_are_no_answers():
    found = read(table(1).slice(0, 0), table(2), inputs=("length",))
    assert judge(found).reason.text == "no answers before, or none after"


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def week(tmp_path):
    """A file with 6,000 answers, the inputs moved and 5 points of the model's answers with them."""
    one = two_days(2, 3000, shift=0.3, change=lambda codes, rng: more_of(codes, 0.08, rng))
    sides = (one.unpaired.before, one.unpaired.after)
    columns = {
        "ts": np.concatenate([side.times for side in sides]),
        "label": np.array(CLASSES)[np.concatenate([side.codes for side in sides])],
        **{
            f"x{i}": np.concatenate([side.features[:, i] for side in sides])
            for i in range(sides[0].features.shape[1])
        },
    }
    path = tmp_path / "week.parquet"
    pa.parquet.write_table(pa.table(columns), path)
    return str(path)


INPUTS = [word for i in range(6) for word in ("--input", f"x{i}")]
CUT = ["--at", str(START + 86_400), "--prediction", "label"]


def test_the_command_judges_answers_of_two_periods(week, capsys):
    claim = ["--claim", "same predictions within 2%", "--format", "json"]
    assert invoke(["compare", week, *CUT, *INPUTS, *claim]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "refuted"
    assert (document["baseline"]["requests"], document["candidate"]["requests"]) == (3000, 3000)
    evidence = document["claims"][0]["evidence"]["predictions"]
    assert evidence["level"] == "C"
    moved = evidence["inputs_moved"]
    assert moved["total"] == pytest.approx(moved["input_part"] + moved["model_part"]["value"])
    assert moved["model_part"]["value"] == pytest.approx(0.08, abs=0.03)


def test_the_command_says_what_outputs_alone_are_worth(week, capsys):
    assert invoke(["compare", week, *CUT]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "outputs only; capture inputs, or replay" in said
    assert "“same output mix”" in said  # the claim where nothing is said


def test_kinds_of_change_give_the_margin(week, capsys):
    assert invoke(["compare", week, *CUT, *INPUTS, "--kind", "int8"]) == 1
    assert "default for precision int8" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "x0"], "--input describes answers: name their column (--prediction COL)"),
        (["--pairs", "p.csv", "--prediction", "label"], "give one of them"),
        (["--prediction", "label", "--output", "text"], "needs pairs"),
        (["--prediction", "lable"], "lable"),
    ],
)
def test_wrong_options_are_said(week, capsys, words, said):
    assert invoke(["compare", week, "--at", str(START + 86_400), *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_python_reads_the_same(week):
    options = {"prediction": "label", "inputs": [f"x{i}" for i in range(6)], "at": START + 86_400}
    audit = nibai.compare(week, claims="same predictions within 2%", **options)
    assert audit.verdict is Verdict.REFUTED
    with pytest.raises(UsageError, match="give one of them"):
        nibai.compare(week, pairs=pa.table({"baseline": ["a"], "candidate": ["a"]}), **options)


def test_speed_and_answers_of_one_file_are_judged_together(week):
    rows = pa.parquet.read_table(week)
    rows = rows.append_column("latency_ms", pa.array(np.full(6000, 20.0)))
    audit = nibai.compare(
        rows, claims=["not slower at p50", "same output mix within 2%"], prediction="label",
        inputs=["x0", "x1"], at=START + 86_400,
    )  # fmt: skip
    metrics = [finding.claim.promise.value for finding in audit.findings]
    assert metrics == ["no_slower", "same_output_mix"]
    assert audit.findings[1].evidence.predictions.inputs_moved is not None
