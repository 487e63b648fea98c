"""Pairs of texts as columns of yes, no and numbers, ready to be counted in a `PairedSketch`.

One row per pair. Equal answers, most of them, are looked at once. A text is an answer even when it
is empty; a missing one never reaches this.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nibai.predictions import COSINE, JSON_VALID
from nibai.texts.chat import TextAnswer, same_arguments, same_tools, valid_arguments
from nibai.texts.distances import chrf, token_distance
from nibai.texts.json_answers import NOT_JSON, canonical, parsed
from nibai.texts.language import language
from nibai.texts.numbers import final_number, same_number
from nibai.texts.signs import REFUSAL, loops, refuses
from nibai.texts.tokens import shared_prefix, squeezed, tokens

YesNo = NDArray[np.int8]
Floats = NDArray[np.float64]

UNKNOWN = -1
"""A yes or no that does not apply or that nobody knows."""

# Signals: yes or no of each answer.
EMPTY = "empty"
REPETITION = "repetition_loop"
REFUSED = "refusal"
JSON_PARSES = "json_parses"
TOOL_CALL = "tool_call"
TOOL_ARGUMENTS_VALID = "tool_arguments_valid"
FINISH = "finish:"
"""With the reason behind it; a rise of "finish:length" is truncation."""

# Events: yes or no of the pair.
NUMBER_CHANGED = "number_changed"
LANGUAGE_CHANGED = "language_changed"
TOOLS_CHANGED = "tools_changed"
ARGUMENTS_CHANGED = "tool_arguments_changed"

# Numbers of the pair.
BASELINE_LENGTH = "baseline_length"
CANDIDATE_LENGTH = "candidate_length"
LENGTH_DIFFERENCE = "length_difference"
LENGTH_RATIO = "length_ratio"
FIRST_DIFFERENCE = "first_difference"
EDIT_DISTANCE = "edit_distance"
CHRF = "chrf"
LOGPROB_DIFFERENCE = "logprob_difference"
"""Log-probability of the old answer under the new model minus that under the old one, in nats."""

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter")
OTHER_FINISH = "other"


@dataclass(frozen=True, slots=True)
class Looking:
    """What to look for in texts.

    With `json` an answer ought to be JSON, and `fits` says whether a parsed one fits its schema.
    `encode` turns n texts into an (n, d) array, one embedding each.
    """

    json: bool = False
    fits: Callable[[object], bool] | None = None
    refusal: re.Pattern[str] = REFUSAL
    encode: Callable[[Sequence[str]], Floats] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TextColumns:
    """What n pairs show; every array has shape (n,).

    `answers` are (baseline, candidate) in a form in which only differences that count are left:
    the pair flipped where they differ. `signals` are (baseline, candidate), `events` of the pair,
    both 1, 0 or `UNKNOWN`; `numbers` are NaN where not measured.
    """

    answers: tuple[list[str], list[str]]
    signals: Mapping[str, tuple[YesNo, YesNo]] = field(default_factory=dict)
    events: Mapping[str, YesNo] = field(default_factory=dict)
    numbers: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one answer shows."""

    answer: TextAnswer
    said: str
    tokens: list[str]
    yes: dict[str, bool]
    language: str
    number: float | None

    @property
    def length(self) -> int:
        return len(self.tokens) if self.answer.length is None else self.answer.length


_Pair = tuple[_Look, _Look]


def text_columns(
    baseline: Sequence[TextAnswer | str],
    candidate: Sequence[TextAnswer | str],
    looking: Looking | None = None,
) -> TextColumns:
    """What the pairs show, in order; as many answers on both sides.

    >>> found = text_columns(["It is 42.", "Yes"], ["It is  42.", "Yes, 7"])
    >>> [old == new for old, new in zip(*found.answers)], found.events["number_changed"].tolist()
    ([True, False], [0, 1])
    """
    looking = looking or Looking()
    pairs = [
        _both(_answer(old), _answer(new), looking)
        for old, new in zip(baseline, candidate, strict=True)
    ]
    numbers = _numbers(pairs)
    if looking.encode is not None:
        numbers[COSINE] = _cosines(pairs, looking.encode)
    return TextColumns(
        ([old.said for old, _ in pairs], [new.said for _, new in pairs]),
        _signals(pairs),
        {name: _event(pairs, *rule) for name, rule in _EVENTS.items()},
        numbers,
    )


def said(answer: TextAnswer, *, json: bool = False) -> str:
    r"""The answer in the form in which it is compared: white space squeezed, JSON canonical.

    >>> said(TextAnswer('{"b": 1.0,\n "a": 2}'), json=True)
    '{"a":2,"b":1}'
    """
    value = parsed(answer.text) if json else NOT_JSON
    text = squeezed(answer.text) if value is NOT_JSON else canonical(value)
    return text + "".join(f"\x1f{call.name}\x1e{call.canonical}" for call in answer.tool_calls)


def _answer(given: TextAnswer | str) -> TextAnswer:
    return TextAnswer(given) if isinstance(given, str) else given


def _both(old: TextAnswer, new: TextAnswer, looking: Looking) -> _Pair:
    before = _look(old, looking)
    return before, before if old == new else _look(new, looking)


def _look(answer: TextAnswer, looking: Looking) -> _Look:
    words = tokens(answer.text)
    yes = {
        EMPTY: not (words or answer.tool_calls),
        REPETITION: loops(words),
        REFUSED: refuses(answer.text, looking.refusal),
    }
    if looking.json:
        value = parsed(answer.text)
        yes[JSON_PARSES] = value is not NOT_JSON
        yes[JSON_VALID] = yes[JSON_PARSES] and (looking.fits is None or looking.fits(value))
    if answer.finish_reason:
        yes[TOOL_CALL] = bool(answer.tool_calls)
        reason = answer.finish_reason
        reason = reason if reason in FINISH_REASONS else OTHER_FINISH
        yes |= {FINISH + one: one == reason for one in (*FINISH_REASONS, OTHER_FINISH)}
    if answer.tool_calls:
        yes[TOOL_CALL] = True
        yes[TOOL_ARGUMENTS_VALID] = valid_arguments(answer.tool_calls)
    prose = not looking.json
    return _Look(
        answer,
        said(answer, json=looking.json),
        words,
        yes,
        language(answer.text) if prose else "",
        final_number(answer.text) if prose else None,
    )


def _signals(pairs: list[_Pair]) -> dict[str, tuple[YesNo, YesNo]]:
    """Signals that any pair knows on both sides."""
    names = {name: None for old, new in pairs for name in old.yes if name in new.yes}
    found = {}
    for name in names:
        rows = [[look.yes.get(name, UNKNOWN) for look in pair] for pair in pairs]
        old, new = np.array(rows, dtype=np.int8).T
        found[name] = (old, new)
    return found


_Rule = Callable[[_Look, _Look], bool]

# Of each event: the pairs in which there is something to change, and whether it did.
_EVENTS: dict[str, tuple[_Rule, _Rule]] = {
    NUMBER_CHANGED: (
        lambda old, new: old.number is not None or new.number is not None,
        lambda old, new: not same_number(old.number, new.number),
    ),
    LANGUAGE_CHANGED: (
        lambda old, new: bool(old.language and new.language),
        lambda old, new: old.language != new.language,
    ),
    TOOLS_CHANGED: (
        lambda old, new: bool(old.answer.tool_calls or new.answer.tool_calls),
        lambda old, new: not same_tools(old.answer.tool_calls, new.answer.tool_calls),
    ),
    ARGUMENTS_CHANGED: (  # of the same tools: other tools are the event above
        lambda old, new: (
            bool(old.answer.tool_calls) and same_tools(old.answer.tool_calls, new.answer.tool_calls)
        ),
        lambda old, new: not same_arguments(old.answer.tool_calls, new.answer.tool_calls),
    ),
}


def _event(pairs: list[_Pair], applies: _Rule, changed: _Rule) -> YesNo:
    return np.array(
        [int(changed(*pair)) if applies(*pair) else UNKNOWN for pair in pairs], dtype=np.int8
    )


def _numbers(pairs: list[_Pair]) -> dict[str, Floats]:
    lengths = np.array([[look.length for look in pair] for pair in pairs], dtype=np.float64)
    old, new = lengths.reshape(len(pairs), 2).T
    apart = np.array([_apart(*pair) for pair in pairs], dtype=np.float64)
    first, edits, scores = apart.reshape(len(pairs), 3).T
    return {
        BASELINE_LENGTH: old,
        CANDIDATE_LENGTH: new,
        LENGTH_DIFFERENCE: new - old,
        LENGTH_RATIO: np.divide(new, old, out=np.full(len(pairs), np.nan), where=old > 0),
        FIRST_DIFFERENCE: first,
        EDIT_DISTANCE: edits,
        CHRF: scores,
    }


def _apart(old: _Look, new: _Look) -> tuple[float, float, float]:
    """Position of the first token that differs, edit distance, chrF."""
    if old.said == new.said:
        return math.nan, 0.0, 1.0
    return (
        float(shared_prefix(old.tokens, new.tokens)),
        token_distance(old.tokens, new.tokens),
        chrf(old.answer.text, new.answer.text),
    )


def _cosines(pairs: list[_Pair], encode: Callable[[Sequence[str]], Floats]) -> Floats:
    old, new = (
        np.asarray(encode([pair[side].answer.text for pair in pairs]), dtype=np.float64)
        for side in (0, 1)
    )
    lengths = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    products = np.einsum("nd,nd->n", old, new)
    cosines: Floats = np.full(len(pairs), np.nan)
    np.divide(products, lengths, out=cosines, where=lengths > 0)
    return cosines
