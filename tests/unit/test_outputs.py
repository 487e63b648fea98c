"""What is read from payloads, and what is said of those that cannot be read."""

import base64
import json

import numpy as np
import pytest

from nibai.outputs import (
    INFINITE,
    MAX_BYTES,
    MISSING_PATH,
    NAN,
    NOT_A_LABEL,
    NOT_A_LIST,
    NOT_A_NUMBER,
    NOT_PROBABILITIES,
    TOO_LARGE,
    UNKNOWN_LABEL,
    UNPARSABLE,
    WRONG_ENCODING,
    Output,
    OutputKind,
    OutputSpec,
    aligned,
    read_output,
)
from nibai.paired.distances import divergences

K = OutputKind


def read(payload, kind, **options):
    return read_output(payload, OutputSpec(kind, **options))


@pytest.mark.parametrize(
    ("payload", "kind", "options", "label"),
    [
        ("cat", K.CLASS, {}, "cat"),
        (b" cat\n", K.CLASS, {}, "cat"),
        (1.0, K.CLASS, {}, "1"),
        (True, K.CLASS, {}, "true"),
        ('{"a": [{"b": "cat"}]}', K.CLASS, {"path": "$.a[0].b"}, "cat"),
        ({"a": {"0": "cat"}}, K.CLASS, {"path": "a.0"}, "cat"),
        ('dog,"c,at",7', K.CLASS, {"column": 1}, "c,at"),
        (base64.b64encode(b"cat"), K.CLASS, {"encoded": True}, "cat"),
        ("\ufeffcat".encode(), K.CLASS, {}, "cat"),
        ("0.75", K.SCORE, {}, "0.75"),
        ("[0.75]", K.SCORE, {"path": "$"}, "0.75"),
        ("0.75", K.SCORE, {"decision_threshold": 0.5}, "above 0.5"),
        ("0.5", K.SCORE, {"decision_threshold": 0.5}, "at most 0.5"),
        ("[0.1, 0.7, 0.2]", K.PROBA, {}, "1"),
        ("[0.1, 0.7, 0.2]", K.PROBA, {"labels": ("a", "b", "c")}, "b"),
        ('{"a": 0.6, "b": 0.3}', K.PROBA, {}, "a"),
        ('[{"label": "a", "score": 0.2}, {"label": "b", "score": 0.8}]', K.PROBA, {}, "b"),
        ('["x", "y"]', K.RANKING, {}, "x"),
        ('[{"id": 7}, {"id": 9}]', K.RANKING, {}, "7"),
    ],
)
def test_a_valid_answer_has_a_label(payload, kind, options, label):
    found = read(payload, kind, **options)
    assert (found.label, found.invalid) == (label, "")


@pytest.mark.parametrize(
    ("payload", "kind", "options", "invalid"),
    [
        ('{"a": ', K.CLASS, {"path": "a"}, UNPARSABLE),
        ('{"a": 1}', K.CLASS, {"path": "b"}, MISSING_PATH),
        ('{"a": null}', K.CLASS, {"path": "a"}, MISSING_PATH),
        ('{"a": []}', K.CLASS, {"path": "a[0]"}, MISSING_PATH),
        ("a,b", K.CLASS, {"column": 2}, MISSING_PATH),
        ('{"a": {}}', K.CLASS, {"path": "a"}, NOT_A_LABEL),
        ("emu", K.CLASS, {"labels": ("cat", "dog")}, UNKNOWN_LABEL),
        (b"caf\xe9", K.CLASS, {}, WRONG_ENCODING),
        ("not base64!", K.CLASS, {"encoded": True}, WRONG_ENCODING),
        (base64.b64encode(b"\xff\xfe"), K.CLASS, {"encoded": True}, WRONG_ENCODING),
        (b"x" * (MAX_BYTES + 1), K.TEXT, {}, TOO_LARGE),
        (float("nan"), K.CLASS, {}, NAN),
        ("NaN", K.SCORE, {}, NAN),
        ("inf", K.SCORE, {}, INFINITE),
        ("9" * 400, K.SCORE, {}, INFINITE),
        ("much", K.SCORE, {}, NOT_A_NUMBER),
        (True, K.SCORE, {}, NOT_A_NUMBER),
        ("[0.5, NaN]", K.PROBA, {}, NAN),
        ("[0.9, 0.9]", K.PROBA, {}, NOT_PROBABILITIES),
        ("[1.5, -0.5]", K.PROBA, {}, NOT_PROBABILITIES),
        ("[]", K.PROBA, {}, NOT_PROBABILITIES),
        ("3", K.PROBA, {}, NOT_PROBABILITIES),
        ("[0.5, 0.5]", K.PROBA, {"labels": ("a",)}, UNKNOWN_LABEL),
        ('{"a": 0.5, "z": 0.5}', K.PROBA, {"labels": ("a", "b")}, UNKNOWN_LABEL),
        ("7", K.EMBEDDING, {}, NOT_A_LIST),
        ("[[1], [1, 2]]", K.EMBEDDING, {}, NOT_A_NUMBER),
        ("{}", K.RANKING, {}, NOT_A_LIST),
        ('{"a": ', K.JSON, {}, UNPARSABLE),
        ("[" * 100_000, K.JSON, {}, UNPARSABLE),
    ],
)
def test_an_invalid_answer_has_a_kind(payload, kind, options, invalid):
    found = read(payload, kind, **options)
    assert (found.invalid, found.label) == (invalid, "")


def test_probabilities_have_a_margin_and_texts_a_digest():
    assert read("[0.1, 0.7, 0.2]", K.PROBA).margin == pytest.approx(0.5)
    assert read("a  b\n", K.TEXT).label == read("a b", K.TEXT).label != read("ab", K.TEXT).label


def test_the_top_of_long_lists_is_aligned_and_the_rest_is_one_class():
    old = Output(probabilities={"a": 0.6, "b": 0.3})
    new = Output(probabilities={"a": 0.5, "c": 0.4})
    sides = aligned([old, old, Output(invalid=NAN)], [new, old, old])
    kl, _ = divergences(*(np.array(side)[:2] for side in sides))
    assert kl[0] == pytest.approx(0.6 * np.log(0.6 / 0.5) + 0.4 * np.log(0.4 / 0.5))
    assert kl[1] == 0
    assert np.isnan(np.array(sides[0])[2]).all()


def test_nothing_that_json_can_hold_raises():
    values = [None, True, 0, -1.5, "", "x", [], {}, [None], {"a": None}, [[1]], [{"label": []}]]
    for kind in K:
        for value in values:
            for payload in (value, json.dumps(value), json.dumps(value).encode()):
                assert isinstance(read(payload, kind), Output)
