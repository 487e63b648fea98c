"""A sample of single pairs, kept while all of them are counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nibai.answer_rows import AnswerColumn, AnswerRows, RowKind
from nibai.outputs import NUMBERS, TEXTS, Output, OutputKind, OutputSpec, read_output
from nibai.store.engine.columns import column

SEED = 20


class RowSample:
    """At most so many pairs, each as likely as any other; in their order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rng = np.random.default_rng(SEED)
        self._kept: list[pa.RecordBatch] = []
        self._draws: np.ndarray = np.array([])

    def add(self, batch: pa.RecordBatch) -> None:
        """Pairs with both answers (`nibai.store.files.pair_scan.pair_batches`)."""
        draws = np.concatenate([self._draws, self._rng.random(batch.num_rows)])
        if len(draws) <= self._most:
            self._kept.append(batch)
            self._draws = draws
            return
        # The pairs with the smallest draws stay: the same ones however the batches are cut.
        rows = np.sort(np.argpartition(draws, self._most)[: self._most])
        table = pa.Table.from_batches([*self._kept, batch])
        self._kept = table.take(column(rows, pa.int64())).combine_chunks().to_batches()
        self._draws = draws[rows]

    def rows(self, spec: OutputSpec) -> AnswerRows | None:
        """The pairs as columns; None where these answers have none to show."""
        if not self._kept:
            return None
        answers = [
            [
                Output(invalid=invalid) if invalid else read_output(payload, spec)
                for batch in self._kept
                for payload, invalid in zip(
                    batch.column(name).to_pylist(), batch.column(kind).to_pylist(), strict=True
                )
            ]
            for name, kind in (("b", "bi"), ("c", "ci"))
        ]
        columns = [*_answers(answers[0], answers[1], spec), *self._scores(spec)]
        return AnswerRows(tuple(columns)) if columns else None

    def _scores(self, spec: OutputSpec) -> list[AnswerColumn]:
        """Scores in columns of their own, beside the answers."""
        if spec.kind in NUMBERS:
            return []
        sides = [
            np.concatenate([np.from_dlpack(batch.column(name)) for batch in self._kept])
            for name in ("bs", "cs")
        ]
        if not all(np.isfinite(side).any() for side in sides):
            return []
        return [AnswerColumn("score", RowKind.NUMBER, sides[0], sides[1])]


def _answers(old: Sequence[Output], new: Sequence[Output], spec: OutputSpec) -> list[AnswerColumn]:
    if spec.kind in TEXTS:
        texts = [[one.text for one in side] for side in (old, new)]
        return [AnswerColumn("answer", RowKind.TEXT, texts[0], texts[1])]
    if spec.kind is OutputKind.EMBEDDING:
        return []
    columns = []
    if spec.kind in (*NUMBERS, OutputKind.PROBA):
        name = "score" if spec.kind in NUMBERS else "largest probability"
        scores = [
            np.array([np.nan if one.score is None else one.score for one in side])
            for side in (old, new)
        ]
        columns.append(AnswerColumn(name, RowKind.NUMBER, scores[0], scores[1]))
    if spec.kind not in NUMBERS or spec.decision_threshold is not None:
        labels = [
            [f"invalid: {one.invalid}" if one.invalid else one.label for one in side]
            for side in (old, new)
        ]
        columns.append(AnswerColumn("answer", RowKind.LABEL, labels[0], labels[1]))
    return columns
