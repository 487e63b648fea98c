"""Laws of texts: distances, canonical forms, and that no text breaks anything."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.any_text import text

from nibai.texts.chat import TextAnswer, chat_answer
from nibai.texts.distances import chrf, edit_distance, token_distance
from nibai.texts.json_answers import NOT_JSON, canonical, parsed
from nibai.texts.pairs import Looking, said, text_columns
from nibai.texts.tokens import shared_prefix, squeezed

FEW = settings(max_examples=60, deadline=None)
SHORT = st.lists(st.sampled_from("abc"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def by_table(one, other):
    """The textbook's table of edit distances."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@given(SHORT, SHORT)
@FEW
def test_edit_distance_is_that_of_the_table(one, other):
    assert edit_distance(one, other) == by_table(one, other) == edit_distance(other, one)


@given(SHORT, SHORT)
@FEW
def test_token_distance_is_the_edits_per_token(one, other):
    longer = max(len(one), len(other))
    assert token_distance(one, other) == (by_table(one, other) / longer if longer else 0)


@given(text(max_size=40), text(max_size=40))
@FEW
def test_chrf_lies_between_0_and_1_and_is_1_of_a_text_itself(one, other):
    assert -1e-12 <= chrf(one, other) <= 1 + 1e-12
    assert abs(chrf(one, one) - 1) < 1e-12


@given(st.lists(text(max_size=3)), st.lists(text(max_size=3)))
@FEW
def test_texts_agree_up_to_where_they_part(one, other):
    at = shared_prefix(one, other)
    assert one[:at] == other[:at]
    assert at == min(len(one), len(other)) or one[at] != other[at]


@given(JSON)
@FEW
def test_canonical_json_says_the_same_and_is_its_own_canonical_form(value):
    text = json.dumps(value, indent=1)
    assert parsed(text) is not NOT_JSON
    form = canonical(parsed(text))
    assert canonical(parsed(form)) == form
    assert said(TextAnswer(text), json=True) == form


@given(st.lists(st.tuples(text(max_size=60), text(max_size=60)), max_size=4), st.booleans())
@FEW
def test_no_text_breaks_the_comparison(pairs, as_json):
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    found = text_columns(old, new, Looking(json=as_json))
    back = text_columns(new, old, Looking(json=as_json))
    for name, (one, other) in found.signals.items():  # swapping sides swaps signals
        assert (one == back.signals[name][1]).all()
        assert (other == back.signals[name][0]).all()
    for name, event in found.events.items():
        assert (event == back.events[name]).all()
    if not as_json:
        flips = [a != b for a, b in zip(*found.answers, strict=True)]
        assert flips == [squeezed(a) != squeezed(b) for a, b in pairs]
    assert np.isfinite(found.numbers["edit_distance"]).all()


@given(JSON)
@FEW
def test_no_body_breaks_the_reader_of_chat_answers(body):
    for wrapped in (body, {"choices": body}, {"choices": [body]}, {"choices": [{"message": body}]}):
        found = chat_answer(wrapped)
        assert found is None or isinstance(found.text, str)
