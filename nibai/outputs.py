"""From what a model answered to something that can be compared, or the kind of its failure.

Pure. An answer that cannot be read is not an error here: it is an invalid answer, and counted.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nibai.predictions import NOTHING
from nibai.texts.json_answers import NOT_JSON, parsed


class OutputKind(StrEnum):
    """What an answer is, which decides what it means that two of them differ."""

    CLASS = "class"
    PROBA = "proba"
    SCORE = "score"
    REGRESSION = "regression"
    EMBEDDING = "embedding"
    RANKING = "ranking"
    TEXT = "text"
    JSON = "json"


UNPARSABLE = "unparsable"
MISSING_PATH = "missing path"
WRONG_ENCODING = "wrong encoding"
TOO_LARGE = "too large"
NOT_A_NUMBER = "not a number"
NAN = "NaN"
INFINITE = "infinite"
NOT_A_LABEL = "not a label"
UNKNOWN_LABEL = "unknown label"
NOT_PROBABILITIES = "not probabilities"
NOT_A_LIST = "not a list"
EMPTY = "empty"

NUMBERS = (OutputKind.SCORE, OutputKind.REGRESSION)
TEXTS = (OutputKind.TEXT, OutputKind.JSON)
VECTORS = (OutputKind.PROBA, OutputKind.EMBEDDING)
NEED_JSON = (OutputKind.PROBA, OutputKind.EMBEDDING, OutputKind.RANKING)

MAX_BYTES = 16 << 20
"""Larger answers are not read."""

SUM_SLACK = 1e-3
"""Probabilities may add up to this much more than 1 (they are often printed rounded)."""

MISSING = object()
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """How to read the answers of an endpoint.

    `path` leads to the answer in a JSON payload, `column` (from 0) in a CSV line; without both the
    payload is the answer. `labels` are the only valid classes, in the order of probabilities;
    empty: any. `decision_threshold` makes a decision of a score; `encoded`: payloads are BASE64.
    `fits` says whether a parsed JSON answer fits its schema.
    """

    kind: OutputKind
    path: str = ""
    column: int | None = None
    labels: tuple[str, ...] = ()
    decision_threshold: float | None = None
    tolerance: float | None = None
    encoded: bool = False
    fits: Callable[[object], bool] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One answer; of `invalid` ones ("" for valid) nothing else is set, but the text of JSON.

    `label` is what must be equal for two answers to be the same: the class, the side of the
    decision threshold, the first of a ranking, the digest of a text. `probabilities` are by label.
    """

    label: str = ""
    score: float | None = None
    margin: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    vector: tuple[float, ...] = ()
    items: tuple[str, ...] = ()
    text: str = ""
    invalid: str = ""


class InvalidOutputError(Exception):
    """Inside this module only; the text is the kind."""


def read_output(payload: object, spec: OutputSpec) -> Output:
    """The answer of a payload: bytes, text, or a JSON value that was parsed already.

    >>> read_output('{"label": "cat", "p": 0.9}', OutputSpec(OutputKind.CLASS, "label")).label
    'cat'
    >>> read_output(b"[0.2, NaN]", OutputSpec(OutputKind.PROBA)).invalid
    'NaN'
    """
    try:
        return _READ[spec.kind](_value(payload, spec), spec)
    except InvalidOutputError as error:
        return Output(invalid=str(error))


def find(document: object, path: str) -> object:
    """What a path such as `$.outputs[0].label` leads to; `MISSING` when nothing is there.

    >>> find({"outputs": [{"label": "spam"}]}, "outputs[0].label")
    'spam'
    """
    found = document
    for name, position in steps_of(path):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and (position or name).isdigit():
            index = int(position or name)
            if index >= len(found):
                return MISSING
            found = found[index]
        else:
            return MISSING
    return found


def steps_of(path: str) -> list[tuple[str, str]]:
    """The steps of a path into JSON: a name, or a position in brackets.

    >>> steps_of("$.choices[0].text")
    [('choices', ''), ('', '0'), ('text', '')]
    """
    return _STEP.findall(path.removeprefix("$"))


def json_of(text: str | bytes) -> object:
    """A text as JSON; MISSING where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def plain_text(value: object) -> str:
    """A value as text: 1 and 1.0 alike.

    >>> plain_text(1.0), plain_text(True), plain_text("a ")
    ('1', 'true', 'a ')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(text: str) -> str:
    """A short name of a text that nobody may quote; white space does not matter."""
    squeezed = " ".join(text.split()).encode("utf-8", "replace")
    return hashlib.blake2b(squeezed, digest_size=16).hexdigest()


# -- from payload to value --------------------------------------------------------------------


def _value(payload: object, spec: OutputSpec) -> object:
    if isinstance(payload, bytes | str):
        text = _text(payload, spec)
        if spec.column is not None:
            return _cell(text, spec.column)
        if not (spec.path or spec.kind in NEED_JSON):
            return text
        payload = _json(text)
    if not spec.path:
        return payload
    found = find(payload, spec.path)
    if found is MISSING or found is None:
        raise InvalidOutputError(MISSING_PATH)
    return found


def _text(payload: bytes | str, spec: OutputSpec) -> str:
    if len(payload) > MAX_BYTES:
        raise InvalidOutputError(TOO_LARGE)
    try:
        if spec.encoded:
            payload = base64.b64decode(payload, validate=True)
        return payload.decode("utf-8-sig") if isinstance(payload, bytes) else payload
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise InvalidOutputError(WRONG_ENCODING) from error


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidOutputError(UNPARSABLE) from error


def _cell(text: str, column: int) -> str:
    try:
        cells = next(csv.reader([text]), [])
    except csv.Error as error:
        raise InvalidOutputError(UNPARSABLE) from error
    if column >= len(cells):
        raise InvalidOutputError(MISSING_PATH)
    return cells[column]


# -- from value to output ---------------------------------------------------------------------


def _class(value: object, spec: OutputSpec) -> Output:
    if isinstance(value, list | Mapping):
        raise InvalidOutputError(NOT_A_LABEL)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidOutputError(NAN)
    label = plain_text(value).strip()
    if not label:
        raise InvalidOutputError(EMPTY)
    if spec.labels and label not in spec.labels:
        raise InvalidOutputError(UNKNOWN_LABEL)
    return Output(label=label)


def _score(value: object, spec: OutputSpec) -> Output:
    score = _number(value)
    threshold = spec.decision_threshold
    if threshold is None:
        return Output(label=plain_text(score), score=score)
    return Output(label=decision(threshold, above=score > threshold), score=score)


def decision(threshold: float, *, above: bool) -> str:
    """Name of the class that a decision threshold makes."""
    return f"above {threshold:g}" if above else f"at most {threshold:g}"


def _number(value: object) -> float:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool):
        raise InvalidOutputError(NOT_A_NUMBER)
    if math.isnan(number):
        raise InvalidOutputError(NAN)
    if math.isinf(number):
        raise InvalidOutputError(INFINITE)
    return number


def _proba(value: object, spec: OutputSpec) -> Output:
    by_label = _by_label(value, spec)
    if not by_label:
        raise InvalidOutputError(NOT_PROBABILITIES)
    if spec.labels and not set(by_label) <= set(spec.labels):
        raise InvalidOutputError(UNKNOWN_LABEL)
    numbers = sorted(by_label.values(), reverse=True)
    if numbers[-1] < 0 or sum(numbers) > 1 + SUM_SLACK:
        raise InvalidOutputError(NOT_PROBABILITIES)
    second = numbers[1] if len(numbers) > 1 else 0.0
    return Output(
        label=max(by_label, key=lambda label: by_label[label]),
        score=numbers[0],
        margin=numbers[0] - second,
        probabilities=by_label,
    )


def _by_label(value: object, spec: OutputSpec) -> dict[str, float]:
    """Probabilities by label: of a list, an object, or a list of labels with scores."""
    if isinstance(value, Mapping):
        return {str(label): _number(p) for label, p in value.items()}
    if not isinstance(value, list):
        raise InvalidOutputError(NOT_PROBABILITIES)
    if value and all(isinstance(one, Mapping) for one in value):
        return {plain_text(one.get("label")): _number(one.get("score")) for one in value}
    names = spec.labels or tuple(map(str, range(len(value))))
    if len(value) > len(names):
        raise InvalidOutputError(UNKNOWN_LABEL)
    return dict(zip(names, map(_number, value), strict=False))


def _embedding(value: object, spec: OutputSpec) -> Output:
    del spec
    if not isinstance(value, list) or not value:
        raise InvalidOutputError(NOT_A_LIST)
    return Output(vector=tuple(map(_number, value)))


def _ranking(value: object, spec: OutputSpec) -> Output:
    del spec
    if not isinstance(value, list):
        raise InvalidOutputError(NOT_A_LIST)
    if not value:
        raise InvalidOutputError(EMPTY)
    items = tuple(
        plain_text(one.get("id", one.get("label", one)) if isinstance(one, Mapping) else one)
        for one in value
    )
    return Output(label=items[0], items=items)


def _words(value: object, spec: OutputSpec) -> Output:
    del spec
    text = plain_text(value)
    return Output(label=digest(text), text=text)


def _document(value: object, spec: OutputSpec) -> Output:
    """JSON: text that does not parse is invalid, and a text still."""
    found = _words(value, spec)
    if isinstance(value, str) and parsed(value) is NOT_JSON:
        return Output(text=found.text, invalid=UNPARSABLE)
    return found


_READ = {
    OutputKind.CLASS: _class,
    OutputKind.PROBA: _proba,
    OutputKind.SCORE: _score,
    OutputKind.REGRESSION: _score,
    OutputKind.EMBEDDING: _embedding,
    OutputKind.RANKING: _ranking,
    OutputKind.TEXT: _words,
    OutputKind.JSON: _document,
}


def aligned(
    old: Sequence[Output], new: Sequence[Output]
) -> tuple[list[list[float]], list[list[float]]]:
    """Probabilities of n pairs over the labels that both sides of a pair name, padded with zeros.

    What one side alone names falls into the rest, as everything beyond the top k does; NaN where a
    side has none.
    """
    shared = [
        [label for label in a.probabilities if label in b.probabilities]
        for a, b in zip(old, new, strict=True)
    ]
    width = max(map(len, shared), default=0)
    sides: tuple[list[list[float]], list[list[float]]] = ([], [])
    for labels, *pair in zip(shared, old, new, strict=True):
        for side, output in zip(sides, pair, strict=True):
            known = [output.probabilities[label] for label in labels]
            filler = 0.0 if all(one.probabilities for one in pair) else math.nan
            side.append([*known, *[filler] * (width - len(known))])
    return sides
