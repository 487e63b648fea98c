"""Which answers belong together, and what is said of those that found no partner."""

import numpy as np

from nibai.pairing import ANONYMOUS, BY_INPUT, BY_REQUEST, LATE, join
from nibai.predictions import PredictionRecord


def records(ids, start=0.0, hashes=None, **given):
    hashes = hashes or [""] * len(ids)
    return [
        PredictionRecord(request, digest, start + i, **given)
        for i, (request, digest) in enumerate(zip(ids, hashes, strict=True))
    ]


def names(joined):
    return [(a.request_id, b.request_id) for a, b in joined.pairs]


def test_request_ids_pair_whatever_the_order():
    old = records("abcd")
    new = records("dcba", start=0.25)
    found = join(old, new)
    assert names(found) == [("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")]
    assert found.report.key == BY_REQUEST
    assert found.report.match_rate == 1


def test_missing_partners_are_counted_on_both_sides():
    found = join(records("abcde"), records("bcdxyz"))
    assert found.report.requests == (5, 6)
    assert found.report.matched == 3
    assert found.report.match_rate == 0.6
    assert [[r.request_id for r in side] for side in found.alone] == [["a", "e"], ["x", "y", "z"]]


def test_duplicates_keep_the_first_answer():
    old = [*records("ab"), PredictionRecord("a", "", 9.0, label="later")]
    found = join(old, records("abb"))
    assert found.report.duplicates == (1, 1)
    assert found.report.requests == (2, 2)
    assert found.pairs[0][0].label == ""


def test_repeats_of_a_request_meet_their_own():
    old = [PredictionRecord("a", "", 0.0, repeat=i, label=str(i)) for i in range(3)]
    new = [PredictionRecord("a", "", 1.0, repeat=i, label=str(i)) for i in (2, 0)]
    found = join(old, new)
    assert [(a.label, b.label) for a, b in found.pairs] == [("0", "0"), ("2", "2")]
    assert found.report.duplicates == (0, 0)


def test_the_clock_of_one_side_may_be_off():
    found = join(records("abc"), records("abc", start=-120.0))
    assert found.report.matched == 3
    assert found.report.skew_seconds == -120


def test_late_partners_are_missing_and_counted():
    old = records("abc")
    new = [*records("ab"), PredictionRecord("c", "", 5000.0)]
    found = join(old, new, window_seconds=3600)
    assert found.report.matched == 2
    assert found.report.quarantined == {LATE: 1}
    assert [len(side) for side in found.alone] == [1, 1]


def test_without_common_ids_the_input_decides_and_it_is_said():
    old = records("abcd", hashes="wxxy")
    new = records("efgh", hashes="xxwz")
    found = join(old, new)
    assert names(found) == [("a", "g"), ("b", "e"), ("c", "f")]
    assert found.report.key == BY_INPUT
    assert found.report.match_rate == 0.75


def test_answers_without_any_name_find_nobody():
    found = join(records(["", ""]), records(["", "a"]))
    assert found.report.matched == 0
    assert found.report.quarantined == {ANONYMOUS: 3}


def test_nothing_joined_with_nothing_is_nothing():
    assert np.isnan(join([], []).report.match_rate)


def test_times_that_are_unknown_do_not_spoil_the_skew():
    old = [PredictionRecord("a", "", float("nan")), PredictionRecord("b", "", 1.0)]
    found = join(old, records("ab", start=1.0), window_seconds=60)
    assert found.report.matched == 2
    assert found.report.skew_seconds == 1
