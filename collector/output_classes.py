"""Answers as numbered classes: labels as they are, scores by the fifths they had before."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nibai.histogram import Float64Array
from nibai.stats.output_blocks import Int64Array

INVALID = "(invalid)"
"""The class of answers that are missing or NaN."""

MANY_VALUES = 20
"""Numbers with more different values than this are scores, whole or not."""

FIFTHS = (0.2, 0.4, 0.6, 0.8)
MAX_LABEL = 80


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Class of each answer (n,), what the classes are called, the scores where there are any."""

    codes: Int64Array
    classes: tuple[str, ...]
    invalid: int
    scores: Float64Array | None = None


def classes_of(column: pa.ChunkedArray) -> Answers:
    """Every different text is a class; missing, empty and NaN answers are invalid.

    >>> found = classes_of(pa.chunked_array([["b", "a", None, "b"]]))
    >>> found.classes, found.codes.tolist(), found.invalid
    (('a', 'b', '(invalid)'), [1, 0, 2, 1], 1)
    """
    texts = column.cast(pa.string())
    bad = pc.or_(pc.fill_null(pc.equal(texts, ""), fill_value=True), pc.is_null(texts))
    if pa.types.is_floating(column.type):
        bad = pc.or_(bad, pc.fill_null(pc.invert(pc.is_finite(column)), fill_value=True))
    clean = pc.if_else(bad, INVALID, texts)
    # The class of invalid answers comes last, whatever the labels are.
    encoded = clean.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=lambda i: (names[i] == INVALID, names[i]))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    labels = tuple(names[i][:MAX_LABEL] for i in order)
    codes = place[encoded.indices.to_numpy()] if names else np.empty(0, dtype=np.int64)
    return Answers(codes, labels, int(pc.sum(bad).as_py() or 0))


def scores_of(column: pa.ChunkedArray, before: slice, *, asked: bool) -> Answers | None:
    """Numbers by the fifths that they had before; None where they look like classes.

    `asked`: the user said that they are scores.
    """
    values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    finite = np.isfinite(values)
    if not asked and len(np.unique(values[finite])) <= MANY_VALUES:
        return None
    old = values[before][finite[before]]
    edges = np.unique(np.quantile(old, FIFTHS)) if len(old) else np.empty(0)
    codes = np.where(finite, np.searchsorted(edges, values, side="right"), len(edges) + 1)
    invalid = int((~finite).sum())
    names = _names(edges)
    classes = (*names, INVALID) if invalid else names
    return Answers(codes.astype(np.int64), classes, invalid, values)


def _names(edges: Float64Array) -> tuple[str, ...]:
    if not len(edges):
        return ("any score",)
    said = [f"{edge:.4g}" for edge in edges]
    between = [f"score {low} to {high}" for low, high in pairwise(said)]
    return (f"score below {said[0]}", *between, f"score from {said[-1]}")
