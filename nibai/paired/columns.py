"""n pairs of answers as columns of shape (n,): what sketches are made of.

A column is None, a float NaN, a yes or no -1 where nothing is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nibai.predictions import NOTHING, PredictionRecord

UNKNOWN = -1
"""A yes or no that nobody knows."""

NO_KEY = 0
"""The key of a pair whose input nobody knows: it is an input of its own."""

Floats = NDArray[np.float64]
Codes = NDArray[np.uint64]
YesNo = NDArray[np.int8]
Texts = Callable[[NDArray[np.int64]], list[str]]
"""The texts at some rows; asked for few of them only."""

RecordPair = tuple[PredictionRecord, PredictionRecord]


@dataclass(frozen=True, slots=True, eq=False)
class PairColumns:
    """n pairs; equal codes of `baseline` and `candidate` are equal answers.

    `baseline_label` and `candidate_label` give class names, and are None where answers are texts
    (nothing may quote them). `key` is a hash of what makes an input distinct, `request` one of the
    request id; `segment` numbers `segments`. Invalid answers have the number of their kind in
    `invalid_kinds`, from 1 on. Probabilities have shape (n, K), rows may be padded with zeros.
    `signals` are yes or no of each answer, `events` of the pair, `moments` numbers per pair: what
    others add. `distance` says how bad a pair is, None: KL, else score, else margin decide.
    """

    baseline: Codes
    candidate: Codes
    key: Codes | None = None
    request: Codes | None = None
    segment: NDArray[np.int64] | None = None
    segments: tuple[str, ...] = ("",)
    request_id: Texts | None = None
    input_hash: Texts | None = None
    baseline_label: Texts | None = None
    candidate_label: Texts | None = None
    margin: Floats | None = None
    baseline_score: Floats | None = None
    candidate_score: Floats | None = None
    baseline_probabilities: Floats | None = None
    candidate_probabilities: Floats | None = None
    baseline_correct: YesNo | None = None
    candidate_correct: YesNo | None = None
    baseline_invalid: NDArray[np.int64] | None = None
    candidate_invalid: NDArray[np.int64] | None = None
    invalid_kinds: tuple[str, ...] = ()
    signals: Mapping[str, tuple[YesNo, YesNo]] = field(default_factory=lambda: NOTHING)
    events: Mapping[str, YesNo] = field(default_factory=lambda: NOTHING)
    moments: Mapping[str, Floats] = field(default_factory=lambda: NOTHING)
    distance: Floats | None = None

    def __len__(self) -> int:
        return len(self.baseline)

    def take(self, rows: NDArray[np.int64]) -> PairColumns:
        """The pairs at some rows, in that order."""
        if len(rows) == len(self) and bool((rows == np.arange(len(self))).all()):
            return self
        taken = {one.name: _take(getattr(self, one.name), rows) for one in fields(self)}
        return replace(self, **taken)

    def flips(self) -> NDArray[np.bool_]:
        """Pairs whose answers differ; an invalid answer differs from all but its own kind."""
        differ: NDArray[np.bool_] = self.baseline != self.candidate
        if self.baseline_invalid is None or self.candidate_invalid is None:
            return differ
        either = (self.baseline_invalid > 0) | (self.candidate_invalid > 0)
        return np.where(either, self.baseline_invalid != self.candidate_invalid, differ)


def _take(value: Any, rows: NDArray[np.int64]) -> Any:  # noqa: ANN401 - columns of every kind
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
        return tuple(_take(one, rows) for one in value)
    if isinstance(value, Mapping):
        return {name: _take(one, rows) for name, one in value.items()}
    if callable(value):
        return lambda some: value(rows[some])
    return value


def texts(values: Sequence[str]) -> Texts:
    """Texts that are in memory."""
    return lambda rows: [values[row] for row in rows.tolist()]


def text_codes(values: Iterable[str]) -> Codes:
    """64-bit hashes, the same in every process; the empty text is `NO_KEY`."""
    return np.fromiter(
        (
            int.from_bytes(
                hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).digest()
            )
            if value
            else NO_KEY
            for value in values
        ),
        dtype=np.uint64,
    )


def number_codes(values: Floats) -> Codes:
    """Codes of numbers: equal for equal numbers, all NaN alike."""
    plain = np.where(np.isnan(values), np.nan, values) + 0.0  # -0.0 is 0.0
    return np.ascontiguousarray(plain).view(np.uint64)


def of_records(pairs: Sequence[RecordPair], *, classes: bool = True) -> PairColumns:
    """Columns of paired records, baseline first; labels are class names where `classes`.

    Answers without a label are compared by their score.
    """
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    segments = tuple(dict.fromkeys(a.segment for a in old)) or ("",)
    number = {segment: i for i, segment in enumerate(segments)}
    kinds = tuple(sorted({r.invalid for pair in pairs for r in pair if r.invalid}))
    kind = {"": 0} | {name: i for i, name in enumerate(kinds, 1)}
    width = max((len(r.probabilities) for pair in pairs for r in pair), default=0)
    labels = [[r.label for r in side] for side in (old, new)]
    return PairColumns(
        baseline=_answers(old),
        candidate=_answers(new),
        key=text_codes(a.key or b.key for a, b in pairs),
        segment=np.array([number[a.segment] for a in old], dtype=np.int64),
        segments=segments,
        request_id=texts([a.request_id or b.request_id for a, b in pairs]),
        input_hash=texts([a.input_hash or b.input_hash for a, b in pairs]),
        baseline_label=texts(labels[0]) if classes else None,
        candidate_label=texts(labels[1]) if classes else None,
        margin=_numbers(a.margin for a in old),
        baseline_score=_numbers(a.score for a in old),
        candidate_score=_numbers(b.score for b in new),
        baseline_probabilities=_probabilities(old, width),
        candidate_probabilities=_probabilities(new, width),
        baseline_correct=_correct(old, pairs),
        candidate_correct=_correct(new, pairs),
        baseline_invalid=np.array([kind[r.invalid] for r in old], dtype=np.int64),
        candidate_invalid=np.array([kind[r.invalid] for r in new], dtype=np.int64),
        invalid_kinds=kinds,
    )


def _answers(records: Sequence[PredictionRecord]) -> Codes:
    by_score = number_codes(_numbers(record.score for record in records))
    labelled = np.array([bool(record.label) for record in records], dtype=np.bool_)
    return np.where(labelled, text_codes(record.label for record in records), by_score)


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _probabilities(records: Sequence[PredictionRecord], width: int) -> Floats | None:
    if not width:
        return None
    rows = np.full((len(records), width), np.nan)
    for row, record in zip(rows, records, strict=True):
        if record.probabilities:
            row[:] = 0.0
            row[: len(record.probabilities)] = record.probabilities
    return rows


def _correct(records: Sequence[PredictionRecord], pairs: Sequence[RecordPair]) -> YesNo:
    truths = (a.truth if a.truth is not None else b.truth for a, b in pairs)
    return np.array(
        [
            UNKNOWN if truth is None else int(not record.invalid and record.label == truth)
            for record, truth in zip(records, truths, strict=True)
        ],
        dtype=np.int8,
    )
