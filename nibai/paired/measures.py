"""What is counted of columns of pairs: every function gives one field of a sketch."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import bucket_index
from nibai.paired.columns import UNKNOWN, Codes, Floats, PairColumns, YesNo
from nibai.paired.distances import divergences, root_mean_square
from nibai.predictions import (
    CORRECT,
    INVALID,
    JSD,
    KL,
    MARGIN_BINS,
    MAX_WORST_PAIRS,
    PROBABILITY_DIFFERENCE,
    SCORE_DIFFERENCE,
    Hits,
    Moments,
    Signal,
    WorstPair,
)

Rows = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)

DEFAULT_DISTANCE = 1.0
"""How bad a flip is of which nothing else is known."""


def signals(columns: PairColumns) -> dict[str, Signal]:
    """Every yes or no about each answer, as paired tables; invalid answers by kind."""
    found = {name: _signal(*sides) for name, sides in columns.signals.items()}
    if columns.baseline_correct is not None and columns.candidate_correct is not None:
        found[CORRECT] = _signal(columns.baseline_correct, columns.candidate_correct)
    found = {name: signal for name, signal in found.items() if signal.n}
    old, new = columns.baseline_invalid, columns.candidate_invalid
    if old is None or new is None:
        return found | {INVALID: Signal(len(columns))}
    found[INVALID] = _signal((old > 0).astype(np.int8), (new > 0).astype(np.int8))
    for number, kind in enumerate(columns.invalid_kinds, 1):
        signal = _signal((old == number).astype(np.int8), (new == number).astype(np.int8))
        if signal.baseline or signal.candidate:
            found[f"{INVALID}:{kind}"] = signal
    return found


def _signal(old: YesNo, new: YesNo) -> Signal:
    known = (old != UNKNOWN) & (new != UNKNOWN)
    a, b = old[known] > 0, new[known] > 0
    return Signal(len(a), int((a & ~b).sum()), int((b & ~a).sum()), int((a & b).sum()))


def hits(answers: YesNo) -> Hits:
    """How many of the pairs where it is known did it."""
    known = answers[answers != UNKNOWN]
    return Hits(len(known), int((known > 0).sum()))


def known_only(known: NDArray[np.bool_], answers: NDArray[np.bool_]) -> YesNo:
    """The answers, unknown where `known` is false."""
    return np.where(known, answers, UNKNOWN).astype(np.int8)


def margins(margin: Floats | None, flips: NDArray[np.bool_]) -> dict[int, Hits]:
    """Flips by bin of the old margin; a margin that is NaN is in none."""
    if margin is None:
        return {}
    known = margin >= 0  # not NaN
    number = np.minimum(margin[known] * MARGIN_BINS, MARGIN_BINS - 1).astype(np.int64)
    n = np.bincount(number, minlength=MARGIN_BINS)
    hits = np.bincount(number[flips[known]], minlength=MARGIN_BINS)
    return {i: Hits(int(n[i]), int(hits[i])) for i in np.flatnonzero(n).tolist()}


def confusion(columns: PairColumns, flips: NDArray[np.bool_]) -> dict[tuple[str, str], int]:
    """(old, new) labels of flips; only where answers are classes."""
    if columns.baseline_label is None or columns.candidate_label is None:
        return {}
    rows = np.flatnonzero(flips)
    old, new = (_codes(columns, side)[rows] for side in (0, 1))
    _, first, counts = np.unique(old * _MIX + new, return_index=True, return_counts=True)
    cells: dict[tuple[str, str], int] = {}
    names = (_labels(columns, side, rows[first]) for side in (0, 1))
    for cell, count in zip(zip(*names, strict=True), counts.tolist(), strict=True):
        cells[cell] = cells.get(cell, 0) + count
    return cells


def _codes(columns: PairColumns, side: int) -> Codes:
    codes = (columns.baseline, columns.candidate)[side]
    invalid = (columns.baseline_invalid, columns.candidate_invalid)[side]
    if invalid is None:
        return codes
    # From the top down: codes of labels may be small numbers.
    return np.where(invalid > 0, ~invalid.astype(np.uint64), codes)


def _labels(columns: PairColumns, side: int, rows: Rows) -> list[str]:
    label = (columns.baseline_label, columns.candidate_label)[side]
    invalid = (columns.baseline_invalid, columns.candidate_invalid)[side]
    said = [""] * len(rows) if label is None else label(rows)
    if invalid is None:
        return said
    kinds = [f"{INVALID}:{kind}" for kind in columns.invalid_kinds]
    return [
        kinds[number - 1] if number > 0 else text
        for number, text in zip(invalid[rows].tolist(), said, strict=True)
    ]


def moments(columns: PairColumns) -> dict[str, Floats]:
    """Every number per pair; NaN where a pair has none."""
    found = dict(columns.moments)
    if columns.baseline_score is not None and columns.candidate_score is not None:
        with np.errstate(invalid="ignore"):  # infinite scores are invalid answers
            found[SCORE_DIFFERENCE] = columns.candidate_score - columns.baseline_score
    if (both := probabilities(columns)) is not None:
        whole = np.full((3, len(columns)), np.nan)
        at = _with_probabilities(columns)
        whole[0, at], whole[1, at] = divergences(*both)
        whole[2, at] = root_mean_square(*both)
        found |= dict(zip((KL, JSD, PROBABILITY_DIFFERENCE), whole, strict=True))
    return found


def _with_probabilities(columns: PairColumns) -> NDArray[np.bool_]:
    old, new = columns.baseline_probabilities, columns.candidate_probabilities
    if old is None or new is None:
        return np.zeros(len(columns), dtype=np.bool_)
    return np.asarray(np.isfinite(np.hstack([old, new])).all(axis=1), dtype=np.bool_)


def probabilities(columns: PairColumns) -> tuple[Floats, Floats] | None:
    """Both sides' probabilities where both are known; None where no pair has them."""
    old, new = columns.baseline_probabilities, columns.candidate_probabilities
    if old is None or new is None:
        return None
    known = _with_probabilities(columns)
    return old[known], new[known]


def sums(values: Floats) -> Moments:
    """Sums of at least one finite value."""
    squares = float((values * values).sum())
    return Moments(
        len(values), float(values.sum()), squares, float(values.min()), float(values.max())
    )


def histogram(values: Floats) -> dict[int, int]:
    """Buckets of the absolute values."""
    bucket, count = np.unique(bucket_index(np.abs(values)), return_counts=True)
    return dict(zip(bucket.tolist(), count.tolist(), strict=True))


def worst(
    columns: PairColumns, flips: NDArray[np.bool_], moments: Mapping[str, Floats]
) -> tuple[WorstPair, ...]:
    """The pairs that differ most, the worst first; none without ids to name them by."""
    if columns.request_id is None and columns.input_hash is None:
        return ()
    distance = _distance(columns, flips, moments)
    rows = np.flatnonzero(distance > 0)
    if len(rows) > MAX_WORST_PAIRS:
        least = np.partition(distance[rows], -MAX_WORST_PAIRS)[-MAX_WORST_PAIRS]
        rows = rows[distance[rows] >= least]
    read = (columns.request_id, columns.input_hash)
    request_ids, hashes = ([""] * len(rows) if text is None else text(rows) for text in read)
    labels = [
        [""] * len(rows) if columns.baseline_label is None else _labels(columns, side, rows)
        for side in (0, 1)
    ]
    names = columns.segments
    segments = (
        [names[0]] * len(rows)
        if columns.segment is None
        else [names[number] for number in columns.segment[rows].tolist()]
    )
    made = map(WorstPair, distance[rows].tolist(), request_ids, hashes, *labels, segments)
    return tuple(heapq.nlargest(MAX_WORST_PAIRS, made))


def _distance(
    columns: PairColumns, flips: NDArray[np.bool_], moments: Mapping[str, Floats]
) -> Floats:
    given = columns.distance
    for name in (KL, SCORE_DIFFERENCE):
        if given is None and name in moments and np.isfinite(moments[name]).any():
            given = np.abs(moments[name])
    if given is None:
        margin = columns.margin
        given = np.where(flips, np.nan if margin is None else margin, 0.0)
    distance = np.where(np.isfinite(given), given, np.where(flips, DEFAULT_DISTANCE, 0.0))
    # Of classes only another class is bad; numbers and texts differ by more and less.
    return distance if columns.baseline_label is None else np.where(flips, distance, 0.0)
