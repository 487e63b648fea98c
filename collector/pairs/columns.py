"""From a batch of rows to columns of pairs that a sketch is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.pairs.texts import with_texts
from collector.pairs.vectors import with_vectors
from nibai.outputs import (
    NUMBERS,
    TEXTS,
    Output,
    OutputKind,
    OutputSpec,
    aligned,
    decision,
    read_output,
)
from nibai.paired.columns import (
    Floats,
    PairColumns,
    Texts,
    YesNo,
    number_codes,
    text_codes,
    texts,
)
from nibai.paired.distances import cosine, rank_overlap, top_overlap
from nibai.predictions import COSINE, COSINE_DISTANCE, RANK_OVERLAP, TOP_OVERLAP
from nibai.store.engine.columns import column, text_column

SAME_COSINE = 1e-6
"""Embeddings less apart than this are the same where no tolerance is stated."""

RANKED_PLACES = 20
"""Places of a ranking that are compared; the weight of the rest is 0.9 ** 20 = 12 %."""

Rows = NDArray[np.int64]


def to_columns(batch: pa.RecordBatch, spec: OutputSpec, *, vectors: bool = False) -> PairColumns:
    """The pairs of a batch (`nibai.store.files.pair_scan.pair_batches`), answers of one kind.

    `vectors`: they are lists of numbers, and the batch has them as such.
    """
    if vectors:
        found = with_vectors(batch, _common(batch), spec)
        return found if found.distance is None else _apart(found, 1 - found.distance, spec)
    if spec.kind is OutputKind.CLASS and not spec.path:
        found = _classes(batch)
    elif spec.kind in NUMBERS and not spec.path:
        found = _numbers(batch, spec)
    else:
        found = _outputs(batch, spec)
    return _with_probabilities(batch, found, spec)


def _common(batch: pa.RecordBatch) -> PairColumns:
    segment = batch.column("segment").dictionary_encode()
    invalid, kinds = _kinds([batch.column("bi"), batch.column("ci")])
    return PairColumns(
        baseline=array(batch, "bk"),
        candidate=array(batch, "ck"),
        key=array(batch, "key"),
        request=array(batch, "req"),
        segment=np.from_dlpack(segment.indices).astype(np.int64),
        segments=tuple(segment.dictionary.to_pylist()) or ("",),
        request_id=_texts(batch.column("request_id")),
        input_hash=_texts(batch.column("input_hash")),
        margin=array(batch, "margin"),
        baseline_score=_known(array(batch, "bs")),
        candidate_score=_known(array(batch, "cs")),
        baseline_correct=array(batch, "bt"),
        candidate_correct=array(batch, "ct"),
        baseline_invalid=invalid[0],
        candidate_invalid=invalid[1],
        invalid_kinds=kinds,
    )


def array(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A column of numbers, without a copy."""
    return np.from_dlpack(batch.column(name))


def _known(values: Floats) -> Floats | None:
    return values if np.isfinite(values).any() else None


def _texts(values: pa.Array) -> Texts:
    return lambda rows: list(values.take(column(rows, pa.int64())).to_pylist())


def _kinds(sides: Sequence[pa.Array]) -> tuple[list[Rows], tuple[str, ...]]:
    """Numbers of the kinds of invalid answers of both sides (0: valid), and the kinds."""
    encoded = [side.dictionary_encode() for side in sides]
    names = [side.dictionary.to_pylist() for side in encoded]
    kinds = tuple(sorted({name for side in names for name in side if name}))
    number = {"": 0} | {kind: i for i, kind in enumerate(kinds, 1)}
    return [
        np.array([number[name] for name in said] or [0], dtype=np.int64)[
            np.from_dlpack(side.indices)
        ]
        for said, side in zip(names, encoded, strict=True)
    ], kinds


def _classes(batch: pa.RecordBatch) -> PairColumns:
    return replace(
        _common(batch),
        baseline_label=_texts(batch.column("b")),
        candidate_label=_texts(batch.column("c")),
    )


def _numbers(batch: pa.RecordBatch, spec: OutputSpec) -> PairColumns:
    """Scores: the decision threshold makes classes of them, a tolerance makes some alike."""
    return _scored(_common(batch), array(batch, "bs"), array(batch, "cs"), spec)


def _scored(found: PairColumns, old: Floats, new: Floats, spec: OutputSpec) -> PairColumns:
    found = replace(found, baseline_score=old, candidate_score=new)
    threshold = spec.decision_threshold
    if threshold is not None:
        names = [decision(threshold, above=above) for above in (False, True)]
        above = [(side > threshold).astype(np.int64) for side in (old, new)]
        return replace(
            found,
            baseline=above[0].astype(np.uint64),
            candidate=above[1].astype(np.uint64),
            baseline_label=_named(names, above[0]),
            candidate_label=_named(names, above[1]),
        )
    # A regression's truth is a number of its own: being right is no yes or no.
    found = replace(found, baseline_correct=None, candidate_correct=None)
    if spec.tolerance is None:
        return replace(found, baseline=number_codes(old), candidate=number_codes(new))
    with np.errstate(invalid="ignore"):  # infinite scores are invalid answers
        return _same_unless(np.abs(new - old) > spec.tolerance, found)


def _named(names: Sequence[str], numbers: Rows) -> Texts:
    return lambda rows: [names[number] for number in numbers[rows].tolist()]


def _same_unless(differ: NDArray[np.bool_], found: PairColumns) -> PairColumns:
    same = np.zeros(len(differ), dtype=np.uint64)
    return replace(found, baseline=same, candidate=differ.astype(np.uint64))


# -- answers that have to be read one by one --------------------------------------------------


def _outputs(batch: pa.RecordBatch, spec: OutputSpec) -> PairColumns:
    sides = [_read(batch, answer, kind, spec) for answer, kind in (("b", "bi"), ("c", "ci"))]
    old, new = sides
    invalid, kinds = _kinds([text_column([one.invalid for one in side]) for side in sides])
    common = replace(
        _common(batch),
        baseline_invalid=invalid[0],
        candidate_invalid=invalid[1],
        invalid_kinds=kinds,
    )
    found = replace(
        common,
        baseline=text_codes(one.label for one in old),
        candidate=text_codes(one.label for one in new),
        baseline_correct=_correct(common.baseline_correct, old, batch, spec),
        candidate_correct=_correct(common.candidate_correct, new, batch, spec),
    )
    if spec.kind in NUMBERS:
        return _scored(found, _scores(old), _scores(new), spec)
    if spec.kind is OutputKind.PROBA:
        probabilities = [np.array(side) for side in aligned(old, new)]
        found = replace(
            found,
            margin=np.array([np.nan if one.margin is None else one.margin for one in old]),
            baseline_probabilities=_rows(probabilities[0]),
            candidate_probabilities=_rows(probabilities[1]),
        )
    if spec.kind is OutputKind.EMBEDDING:
        return _embeddings(found, old, new, spec)
    if spec.kind in TEXTS:
        return with_texts(batch, found, sides, spec)
    if spec.kind is OutputKind.RANKING:
        found = replace(found, moments={**found.moments, **_rankings(old, new)})
    return replace(
        found,
        baseline_label=texts([one.label for one in old]),
        candidate_label=texts([one.label for one in new]),
    )


def _read(batch: pa.RecordBatch, answer: str, kind: str, spec: OutputSpec) -> list[Output]:
    return [
        Output(invalid=invalid) if invalid else read_output(payload, spec)
        for payload, invalid in zip(
            batch.column(answer).to_pylist(), batch.column(kind).to_pylist(), strict=True
        )
    ]


def _correct(
    known: YesNo | None, side: Sequence[Output], batch: pa.RecordBatch, spec: OutputSpec
) -> YesNo | None:
    """Whether the label that was read is the truth; embeddings and numbers have none."""
    if known is None or spec.kind in (OutputKind.EMBEDDING, *NUMBERS):
        return None
    if spec.kind in TEXTS:
        return known  # compared as texts are
    truths = batch.column("truth").to_pylist()
    right = [
        int(not one.invalid and one.label == truth) for one, truth in zip(side, truths, strict=True)
    ]
    return np.where(known < 0, known, np.array(right, dtype=np.int8)).astype(np.int8)


def _scores(side: Sequence[Output]) -> Floats:
    return np.array([np.nan if one.score is None else one.score for one in side])


def _rows(values: Floats) -> Floats | None:
    return values if values.ndim == 2 and values.shape[1] else None  # noqa: PLR2004 - (n, K)


def _embeddings(
    found: PairColumns, old: Sequence[Output], new: Sequence[Output], spec: OutputSpec
) -> PairColumns:
    alike = np.full(len(old), np.nan)
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        if a.vector and len(a.vector) == len(b.vector):
            alike[i] = cosine(np.array([a.vector]), np.array([b.vector]))[0]
    return _apart(found, alike, spec)


def _apart(found: PairColumns, alike: Floats, spec: OutputSpec) -> PairColumns:
    """Embeddings of known cosine, NaN for those that cannot be compared."""
    tolerance = SAME_COSINE if spec.tolerance is None else spec.tolerance
    # Vectors of different length, or without one, are different answers.
    differ = ~(1 - alike <= tolerance)
    moments = {COSINE: alike, COSINE_DISTANCE: np.maximum(1 - alike, 0.0)}
    return _same_unless(differ, replace(found, moments=moments, distance=1 - alike))


def _rankings(old: Sequence[Output], new: Sequence[Output]) -> dict[str, Floats]:
    longest = max((len(one.items) for side in (old, new) for one in side), default=0)
    width = min(longest, RANKED_PLACES)
    if not width:
        return {}
    number: dict[str, int] = {}
    sides = []
    for side in (old, new):
        places = np.full((len(side), width), -1, dtype=np.int64)
        for row, one in zip(places, side, strict=True):
            items = one.items[:width]
            row[: len(items)] = [number.setdefault(item, len(number)) for item in items]
        sides.append(places)
    known = (sides[0][:, 0] >= 0) & (sides[1][:, 0] >= 0)
    return {
        name: np.where(known, measure(*sides), np.nan)
        for name, measure in ((RANK_OVERLAP, rank_overlap), (TOP_OVERLAP, top_overlap))
    }


def _with_probabilities(batch: pa.RecordBatch, found: PairColumns, spec: OutputSpec) -> PairColumns:
    """Probabilities from columns of their own, beside the answers."""
    columns = [batch.column(name) for name in ("bp", "cp")]
    if not any(map(_says, columns)):
        return found
    said = [one.to_pylist() for one in columns]
    wanted = OutputSpec(OutputKind.PROBA, labels=spec.labels)
    old, new = ([read_output(text, wanted) for text in side] for side in said)
    sides = [_rows(np.array(side)) for side in aligned(old, new)]
    margin = np.array([np.nan if one.margin is None else one.margin for one in old])
    given = found.margin if found.margin is not None else np.full(len(old), np.nan)
    return replace(
        found,
        margin=np.where(np.isfinite(given), given, margin),
        baseline_probabilities=sides[0],
        candidate_probabilities=sides[1],
    )


def _says(values: pa.Array) -> bool:
    """Whether any of the texts is not empty."""
    text = values.buffers()[2]
    return text is not None and text.size > 0
