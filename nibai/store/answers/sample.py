"""A sample of single pairs of answers from the lake, for reports that counts are not enough for."""

from __future__ import annotations

from typing import Any

import numpy as np

from nibai.answer_rows import AnswerColumn, AnswerRows, RowKind
from nibai.store.answers.pairing import Pairing


def answer_rows(connection: Any, pairing: Pairing, most: int) -> AnswerRows | None:  # noqa: ANN401 - DuckDB's
    """At most `most` pairs, the same ones each time; None where nothing was answered.

    Chosen by a hash of the pair's own ids, which has nothing to do with the answers.
    """
    chosen = pairing.select(
        "a.label AS old, b.label AS new, a.invalid AS old_invalid, b.invalid AS new_invalid, "
        "a.score AS old_score, b.score AS new_score, "
        "hash(a.request_id, a.input_hash, a.at_us) AS draw"
    )
    found = connection.execute(f"SELECT * FROM ({chosen}) ORDER BY draw LIMIT {most}").fetchall()
    if not found:
        return None
    old, new, old_invalid, new_invalid, old_score, new_score, _ = zip(*found, strict=True)
    labels = [
        [f"invalid: {kind}" if kind else label for label, kind in zip(side, kinds, strict=True)]
        for side, kinds in ((old, old_invalid), (new, new_invalid))
    ]
    columns = [AnswerColumn("answer", RowKind.LABEL, labels[0], labels[1])]
    scores = [
        np.array([np.nan if one is None else one for one in side], dtype=np.float64)
        for side in (old_score, new_score)
    ]
    if all(np.isfinite(side).any() for side in scores):
        columns.append(AnswerColumn("score", RowKind.NUMBER, scores[0], scores[1]))
    return AnswerRows(tuple(columns))
