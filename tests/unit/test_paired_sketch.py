"""Sketches of pairs: what they count, and that parts add up to the whole."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest

from nibai.paired.build import SketchBuilder
from nibai.paired.columns import PairColumns, of_records, text_codes, texts
from nibai.paired.distances import cosine, divergences, rank_overlap, top_overlap
from nibai.paired.rows import from_rows, to_rows
from nibai.paired.shown import shown_confusion
from nibai.paired.sightings import Sightings
from nibai.predictions import (
    BEYOND_TOLERANCE,
    CORRECT,
    INVALID,
    JSD,
    KL,
    MAX_WORST_PAIRS,
    SAME_TOP,
    SCORE_DIFFERENCE,
    THRESHOLD_CROSSED,
    Hits,
    PairedSketch,
    PredictionRecord,
    Signal,
    total,
)

CLASSES = ("cat", "dog", "cow", "emu")


def columns(seed, n, inputs=None, segments=("",)):
    """n pairs with 10 % flips, repeated inputs, scores, probabilities, truth and invalid answers.

    Every input's answers are its own: its pairs agree, whichever is met first.
    """
    rng = np.random.default_rng(seed)
    inputs = inputs or n
    old = rng.integers(0, 4, inputs)
    new = np.where(rng.random(inputs) < 0.1, rng.integers(0, 4, inputs), old)
    truth = rng.integers(0, 4, inputs)
    score = rng.normal(0, 1, (2, inputs))
    probabilities = rng.dirichlet(np.ones(4), (2, inputs))
    probabilities[:, rng.random(inputs) < 0.05] = np.nan
    invalid = (rng.random((2, inputs)) < 0.02) * rng.integers(1, 3, (2, inputs))
    at = rng.integers(0, inputs, n) if inputs < n else np.arange(n)
    names = np.array(CLASSES)
    labels = [names[side[at]].tolist() for side in (old, new)]
    return PairColumns(
        baseline=text_codes(labels[0]),
        candidate=text_codes(labels[1]),
        key=text_codes(f"input {i}" for i in at.tolist()),
        segment=(at % len(segments)).astype(np.int64),
        segments=segments,
        request_id=texts([f"input {i}" for i in at.tolist()]),
        input_hash=texts([f"{i:x}" for i in at.tolist()]),
        baseline_label=texts(labels[0]),
        candidate_label=texts(labels[1]),
        margin=rng.random(inputs)[at],
        baseline_score=score[0, at],
        candidate_score=score[1, at],
        baseline_probabilities=probabilities[0, at],
        candidate_probabilities=probabilities[1, at],
        baseline_correct=(old == truth)[at].astype(np.int8),
        candidate_correct=(new == truth)[at].astype(np.int8),
        baseline_invalid=invalid[0, at].astype(np.int64),
        candidate_invalid=invalid[1, at].astype(np.int64),
        invalid_kinds=("missing path", "NaN"),
        signals={"empty": ((at % 3 == 0).astype(np.int8), (at % 5 == 0).astype(np.int8) - 1)},
        events={"same first word": (at % 7 == 0).astype(np.int8)},
        moments={"length_ratio": rng.gamma(2, 1, inputs)[at]},
    )


def built(*parts, **options):
    builder = SketchBuilder(**options)
    for part in parts:
        builder.add(part)
    return builder.sketches


def assert_equal(one, other):
    """Counts bit for bit, sums of numbers to 1e-12."""
    for name in (field.name for field in fields(PairedSketch)):
        if name != "moments":
            assert getattr(one, name) == getattr(other, name), name
    assert one.moments.keys() == other.moments.keys()
    for name, moments in one.moments.items():
        ours, theirs = moments, other.moments[name]
        assert (ours.n, ours.min, ours.max) == (theirs.n, theirs.min, theirs.max), name
        assert ours.sum == pytest.approx(theirs.sum, rel=1e-12, abs=1e-12 * ours.n)
        assert ours.sum_of_squares == pytest.approx(theirs.sum_of_squares, rel=1e-12)


def test_a_flip_is_another_label_and_an_invalid_answer_is_one_too():
    valid = PairColumns(text_codes(["a", "a", "b"]), text_codes(["a", "b", "b"]))
    assert built(valid)[""].flips == 1
    invalid = replace(
        valid,
        baseline_invalid=np.array([1, 0, 2]),
        candidate_invalid=np.array([0, 0, 2]),
        invalid_kinds=("NaN", "missing path"),
    )
    found = built(invalid)[""]
    assert (found.pairs, found.flips) == (3, 2)  # the third is invalid in the same way
    assert found.signals[INVALID] == Signal(3, 1, 0, 1)
    assert found.signals["invalid:NaN"] == Signal(3, 1, 0, 0)
    assert found.signals["invalid:missing path"] == Signal(3, 0, 0, 1)


def test_kinds_of_invalid_answers_are_no_classes_of_the_same_number():
    names = ["a", "b"]
    given = PairColumns(
        np.array([1, 1], dtype=np.uint64),
        np.array([0, 0], dtype=np.uint64),
        baseline_label=texts(names),
        candidate_label=texts(names),
        baseline_invalid=np.array([0, 1]),
        candidate_invalid=np.array([0, 0]),
        invalid_kinds=("NaN",),
    )
    assert built(given)[""].confusion == {("a", "a"): 1, ("invalid:NaN", "b"): 1}


def test_repeated_inputs_count_once_and_traffic_is_shown_beside():
    given = PairColumns(text_codes("aaab"), text_codes("bbbb"), key=text_codes(["x", "x", "y", ""]))
    found = built(given)[""]
    assert (found.pairs, found.flips, found.all_pairs, found.all_flips) == (3, 2, 4, 3)
    again = built(given, given)[""]  # the input without a name is another one every time
    assert (again.pairs, again.flips, again.all_pairs, again.all_flips) == (4, 2, 8, 6)


def test_a_request_id_met_before_is_a_duplicate_and_not_traffic():
    given = PairColumns(
        text_codes("aab"), text_codes("bbb"), key=text_codes("xyz"), request=text_codes("112")
    )
    found = built(given, given)[""]
    assert (found.pairs, found.all_pairs, found.duplicates) == (2, 2, 4)


def test_truth_margins_scores_and_probabilities_are_counted():
    given = columns(1, 4000)
    found = built(given, threshold=0.5, tolerance=1.0)[""]
    flips = given.flips()
    right, then = given.baseline_correct > 0, given.candidate_correct > 0
    assert found.signals[CORRECT] == Signal(
        4000, (right & ~then).sum(), (then & ~right).sum(), (right & then).sum()
    )
    assert found.margins[3] == Hits(
        np.sum(np.floor(given.margin * 100) == 3),
        np.sum((np.floor(given.margin * 100) == 3) & flips),
    )
    assert sum(hits.n for hits in found.margins.values()) == 4000
    difference = given.candidate_score - given.baseline_score
    assert found.moments[SCORE_DIFFERENCE].mean == pytest.approx(difference.mean())
    assert found.events[BEYOND_TOLERANCE] == Hits(4000, np.sum(np.abs(difference) > 1))
    crossed = (given.baseline_score > 0.5) != (given.candidate_score > 0.5)
    assert found.events[THRESHOLD_CROSSED] == Hits(4000, crossed.sum())
    known = np.isfinite(given.baseline_probabilities).all(axis=1)
    assert found.events[SAME_TOP].n == found.moments[KL].n == known.sum()
    assert sum(found.histograms[JSD].values()) == known.sum()
    assert sum(found.confusion.values()) == flips.sum()
    assert found.events["same first word"] == Hits(4000, np.sum(np.arange(4000) % 7 == 0))
    assert found.signals["empty"].n == np.sum(np.arange(4000) % 5 == 0)  # -1 is unknown


@pytest.mark.parametrize("parts", [1, 7, 40])
def test_parts_by_input_merged_in_any_order_equal_the_whole(parts):
    given = columns(2, 6000, inputs=2500, segments=("", "language=de", "language=en"))
    whole = built(given, threshold=0.0)
    rng = np.random.default_rng(parts)
    part = np.asarray(given.key % np.uint64(parts))
    sketches = [built(given.take(np.flatnonzero(part == i)), threshold=0.0) for i in range(parts)]
    rng.shuffle(sketches)
    for segment, sketch in whole.items():
        assert_equal(total(one.get(segment, PairedSketch()) for one in sketches), sketch)
    rows = [row for sketch in sketches for row in to_rows(sketch)]
    rng.shuffle(rows)
    for segment, sketch in from_rows(rows).items():
        assert_equal(sketch, whole[segment])


def test_batches_of_one_stream_equal_the_whole():
    given = columns(3, 5000, inputs=3000)
    cuts = [0, 17, 18, 1000, 3333, 5000]
    batches = [given.take(np.arange(*ends)) for ends in itertools.pairwise(cuts)]
    assert_equal(built(*batches)[""], built(given)[""])


@pytest.mark.parametrize("different", [3, 40, 5000])
def test_first_sightings_are_those_a_set_finds(different):
    rng = np.random.default_rng(different)
    sightings, seen = Sightings(), set()
    for size in (0, 1, 700, 3, 1200, 500):
        keys = rng.integers(0, different, size).astype(np.uint64)  # 0 is no key
        expected = []
        for key in keys.tolist():
            expected.append(key == 0 or key not in seen)
            seen.add(key)
        assert sightings.first(keys).tolist() == expected


def test_the_worst_pairs_are_the_same_however_ties_fall():
    n = 500
    ids = [f"r{i:03d}" for i in range(n)]
    given = PairColumns(text_codes("a" * n), text_codes("b" * n), request_id=texts(ids))
    found = built(given)[""].worst
    assert [pair.request_id for pair in found] == ids[: -MAX_WORST_PAIRS - 1 : -1]
    halves = [given.take(np.arange(250)), given.take(np.arange(250, 500))]
    assert built(*halves)[""].worst == found
    assert found[0].baseline == ""  # answers are texts: not quoted


def test_rare_labels_are_joined_only_in_what_is_shown():
    sketch = PairedSketch(confusion={("a", "b"): 5, ("a", "c"): 1, ("d", "b"): 2})
    assert shown_confusion(sketch, 4) == sketch
    joined = shown_confusion(sketch, 2).confusion
    assert joined == {("a", "b"): 5, ("a", "other"): 1, ("other", "b"): 2}


def test_records_become_columns():
    old = PredictionRecord(
        "1", "x", 0.0, label="cat", score=0.9, margin=0.8, probabilities=(0.9, 0.1), truth="cat"
    )
    new = replace(old, label="dog", score=0.4, probabilities=(0.4, 0.6), truth=None)
    broken = replace(old, request_id="2", input_hash="y", label="", score=None, margin=None,
                     probabilities=(), invalid="NaN", segment="language=de")  # fmt: skip
    builder = SketchBuilder(threshold=0.5)
    builder.add(of_records([(old, new), (broken, replace(broken, invalid=""))]))
    found = builder.sketches
    assert (found[""].pairs, found[""].flips) == (1, 1)
    assert found[""].confusion == {("cat", "dog"): 1}
    assert found[""].signals[CORRECT] == Signal(1, 1, 0, 0)
    assert found[""].events == {THRESHOLD_CROSSED: Hits(1, 1), SAME_TOP: Hits(1, 0)}
    assert found["language=de"].signals["invalid:NaN"] == Signal(1, 1, 0, 0)


def test_records_without_labels_are_compared_by_score():
    one = PredictionRecord("1", "", 0.0, score=0.0)
    builder = SketchBuilder()
    builder.add(of_records([(one, replace(one, score=-0.0)), (one, replace(one, score=0.1))]))
    assert builder.sketches[""].all_flips == 1


def test_divergences_know_their_closed_forms():
    p = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.6, 0.3, 0.0]])
    q = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.6, 0.0]])
    kl, jsd = divergences(p, q)
    assert kl[0] == jsd[0] == 0
    assert kl[1] == pytest.approx(np.log(1e12))  # clipped, not infinite
    assert jsd[1] == pytest.approx(1.0)
    assert kl[2] == pytest.approx(0.6 * np.log(2) - 0.3 * np.log(2))  # the rest, 0.1, is one class


def test_rankings_and_embeddings():
    one = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, -1, -1]])
    two = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 2, -1, -1]])
    overlap = rank_overlap(one, two)
    assert overlap[[0, 2]] == pytest.approx([1, 1])
    assert overlap[1] == pytest.approx(0.9)  # only the first place of four disagrees: 1 - (1 - p)
    assert top_overlap(one, two) == pytest.approx([1, 1, 1])
    assert np.isnan(cosine(np.zeros((1, 3)), np.ones((1, 3))))[0]
