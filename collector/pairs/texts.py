"""Pairs of texts, JSON documents and chat completions in a batch, and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from nibai.outputs import Output, OutputKind, OutputSpec
from nibai.paired.columns import UNKNOWN, Floats, PairColumns, YesNo, text_codes
from nibai.texts.chat import TextAnswer, chat_answer
from nibai.texts.json_answers import NOT_JSON, parsed
from nibai.texts.pairs import EDIT_DISTANCE, LOGPROB_DIFFERENCE, Looking, said, text_columns


def with_texts(
    batch: pa.RecordBatch,
    found: PairColumns,
    sides: Sequence[Sequence[Output]],
    spec: OutputSpec,
) -> PairColumns:
    """The columns with what their texts show; equal is what `nibai.texts` takes for equal.

    Answers that the file itself calls invalid have no text: of them nothing is known.
    """
    as_json = spec.kind is OutputKind.JSON
    answers = [
        [_answer(one, said_invalid) for one, said_invalid in zip(side, invalid, strict=True)]
        for side, invalid in zip(sides, _said_invalid(batch), strict=True)
    ]
    for side, names in zip(answers, (("bf", "bl"), ("cf", "cl")), strict=True):
        _with_usage(side, *(batch.column(name).to_pylist() for name in names))
    texts = [[one or TextAnswer("") for one in side] for side in answers]
    shown = text_columns(texts[0], texts[1], Looking(json=as_json, fits=spec.fits))
    known = np.array([None not in pair for pair in zip(*answers, strict=True)], dtype=np.bool_)
    truths = [said(TextAnswer(text), json=as_json) for text in batch.column("truth").to_pylist()]
    return replace(
        found,
        baseline=text_codes(shown.answers[0]),
        candidate=text_codes(shown.answers[1]),
        baseline_correct=_right(found.baseline_correct, shown.answers[0], truths),
        candidate_correct=_right(found.candidate_correct, shown.answers[1], truths),
        signals={
            name: (_where(known, old), _where(known, new))
            for name, (old, new) in shown.signals.items()
        },
        events={name: _where(known, answers) for name, answers in shown.events.items()},
        moments={name: np.where(known, one, np.nan) for name, one in shown.numbers.items()}
        | {LOGPROB_DIFFERENCE: _logprob_differences(batch)},
        distance=np.where(known, shown.numbers[EDIT_DISTANCE], np.nan),
    )


def _logprob_differences(batch: pa.RecordBatch) -> Floats:
    """Log-probability of the old answer under the new model minus that under the old one."""
    old, new = (np.asarray(np.from_dlpack(batch.column(name)), float) for name in ("bo", "co"))
    with np.errstate(invalid="ignore"):  # both minus infinity
        difference: Floats = new - old
    return difference


def _said_invalid(batch: pa.RecordBatch) -> list[list[str]]:
    return [batch.column(name).to_pylist() for name in ("bi", "ci")]


def _answer(output: Output, invalid: str) -> TextAnswer | None:
    if invalid or (output.invalid and not output.text):
        return None
    if output.text.startswith("{") and '"choices"' in output.text:
        body = parsed(output.text)
        chat = None if body is NOT_JSON else chat_answer(body)
        if chat is not None:
            return chat
    return TextAnswer(output.text)


def _with_usage(
    answers: list[TextAnswer | None], reasons: Sequence[str], lengths: Sequence[float]
) -> None:
    """Finish reasons and lengths that columns of their own give."""
    for i, (one, reason, length) in enumerate(zip(answers, reasons, lengths, strict=True)):
        if one is not None and (reason or length >= 0):
            answers[i] = replace(
                one,
                finish_reason=reason or one.finish_reason,
                length=int(length) if length >= 0 else one.length,
            )


def _right(known: YesNo | None, answers: Sequence[str], truths: Sequence[str]) -> YesNo | None:
    if known is None:
        return None
    right = [answer == truth for answer, truth in zip(answers, truths, strict=True)]
    return np.where(known < 0, known, np.array(right, dtype=np.int8)).astype(np.int8)


def _where(known: np.ndarray, answers: YesNo) -> YesNo:
    return np.where(known, answers, UNKNOWN).astype(np.int8)
