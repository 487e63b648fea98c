"""From columns of pairs to sketches, in one pass and in parts of any size.

Counts are bit for bit those of all pairs at once when every input's pairs pass through one builder
in the same order, whatever else passes through others (partition by input hash, then merge).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import bucket_index
from nibai.paired.columns import NO_KEY, UNKNOWN, Codes, Floats, PairColumns, YesNo
from nibai.paired.distances import divergences, root_mean_square
from nibai.predictions import (
    BEYOND_TOLERANCE,
    CORRECT,
    INVALID,
    JSD,
    KL,
    MARGIN_BINS,
    MAX_WORST_PAIRS,
    PROBABILITY_DIFFERENCE,
    SAME_TOP,
    SCORE_DIFFERENCE,
    THRESHOLD_CROSSED,
    Hits,
    Moments,
    PairedSketch,
    SameInputs,
    Signal,
    WorstPair,
)

Rows = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)

DEFAULT_DISTANCE = 1.0
"""How bad a flip is of which nothing else is known."""


class Sightings:
    """Which keys were met before; 8 bytes each."""

    def __init__(self) -> None:
        self._runs: list[Codes] = []

    def first(self, keys: Codes) -> NDArray[np.bool_]:
        """Whether each key, shape (n,), is met for the first time; `NO_KEY` always is."""
        found = np.ones(len(keys), dtype=np.bool_)
        ordered = np.sort(keys[keys != NO_KEY])
        again = ordered[1:] == ordered[:-1]
        distinct = ordered[np.concatenate([np.ones(min(len(ordered), 1), np.bool_), ~again])]
        seen = np.zeros(len(distinct), dtype=np.bool_)
        for run in self._runs:
            seen |= _among(distinct, run)
        # Few keys come again: only their rows are put in order.
        doubtful = np.unique(np.concatenate([distinct[seen], ordered[1:][again]]))
        if len(doubtful):
            rows = np.flatnonzero(_among(keys, doubtful))
            values, first = np.unique(keys[rows], return_index=True)
            found[rows] = False
            found[rows[first[~_among(values, distinct[seen])]]] = True
        self._keep(distinct[~seen])
        return found

    def _keep(self, run: Codes) -> None:
        # Runs at least halve in size from first to last: a key is sorted log(n) times in all.
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)


def _among(values: Codes, ordered: Codes) -> NDArray[np.bool_]:
    """Which values an array in ascending order holds."""
    if not len(ordered):
        return np.zeros(len(values), dtype=np.bool_)
    where = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[where] == values, dtype=np.bool_)


class SketchBuilder:
    """Adds up pairs into a sketch per segment.

    `threshold` is the decision threshold of scores, `tolerance` a difference of scores that does
    not matter. `remember` keeps which inputs flipped, 9 bytes each, for `same_inputs`.

    >>> from nibai.paired.columns import PairColumns, text_codes
    >>> builder = SketchBuilder()
    >>> builder.add(PairColumns(text_codes(["cat", "dog"]), text_codes(["cat", "cow"])))
    >>> builder.sketches[""].pairs, builder.sketches[""].flips
    (2, 1)
    """

    def __init__(
        self,
        *,
        threshold: float | None = None,
        tolerance: float | None = None,
        remember: bool = False,
    ) -> None:
        self._threshold = threshold
        self._tolerance = tolerance
        self._remembered: list[tuple[Codes, NDArray[np.bool_]]] | None = [] if remember else None
        self._inputs, self._requests = Sightings(), Sightings()
        self._sketches: dict[str, PairedSketch] = {}

    @property
    def sketches(self) -> dict[str, PairedSketch]:
        """A sketch per segment so far."""
        return dict(self._sketches)

    def add(self, columns: PairColumns) -> None:
        """Count some more pairs; a request id met before is a duplicate and not counted again."""
        rows = np.arange(len(columns))
        if columns.request is not None:
            new = self._requests.first(columns.request)
            for segment, at in _by_segment(columns.take(rows[~new])):
                self._merge(segment, PairedSketch(duplicates=len(at)))
            columns = columns.take(rows[new])
        first = np.ones(len(columns), dtype=np.bool_)
        if columns.key is not None:
            first = self._inputs.first(columns.key)
            if self._remembered is not None:
                named = first & (columns.key != NO_KEY)
                self._remembered.append((columns.key[named], columns.flips()[named]))
        for segment, at in _by_segment(columns):
            self._merge(segment, self._sketch(columns.take(at), first[at]))

    def remembered(self) -> tuple[Codes, NDArray[np.bool_]]:
        """Keys of distinct inputs, and whether each flipped."""
        parts = self._remembered or [(np.zeros(0, np.uint64), np.zeros(0, np.bool_))]
        keys, flips = zip(*parts, strict=True)
        return np.concatenate(keys), np.concatenate(flips)

    def missing(self, segment: str, *, baseline: int = 0, candidate: int = 0) -> None:
        """Count answers without a partner: the other side's is missing."""
        self._merge(segment, PairedSketch(missing_baseline=baseline, missing_candidate=candidate))

    def _merge(self, segment: str, sketch: PairedSketch) -> None:
        self._sketches[segment] = self._sketches.get(segment, PairedSketch()) + sketch

    def _sketch(self, columns: PairColumns, first: NDArray[np.bool_]) -> PairedSketch:
        all_flips = columns.flips()
        distinct, flips = columns.take(np.flatnonzero(first)), all_flips[first]
        moments = _moments(distinct)
        finite = {name: values[np.isfinite(values)] for name, values in moments.items()}
        numbers = {name: values for name, values in finite.items() if len(values)}
        return PairedSketch(
            pairs=len(distinct),
            flips=int(flips.sum()),
            all_pairs=len(columns),
            all_flips=int(all_flips.sum()),
            signals=_signals(distinct),
            events=self._events(distinct),
            margins=_margins(distinct.margin, flips),
            confusion=_confusion(distinct, flips),
            moments={name: _sums(values) for name, values in numbers.items()},
            histograms={name: _histogram(values) for name, values in numbers.items()},
            worst=_worst(distinct, flips, moments),
        )

    def _events(self, columns: PairColumns) -> dict[str, Hits]:
        found = {name: _hits(answers) for name, answers in columns.events.items()}
        old, new = columns.baseline_score, columns.candidate_score
        if old is not None and new is not None:
            known = np.isfinite(old) & np.isfinite(new)
            if self._threshold is not None:
                crossed = (old > self._threshold) != (new > self._threshold)
                found[THRESHOLD_CROSSED] = _hits(_where(known, crossed))
            if self._tolerance is not None:
                with np.errstate(invalid="ignore"):
                    beyond = np.abs(new - old) > self._tolerance
                found[BEYOND_TOLERANCE] = _hits(_where(known, beyond))
        if (both := _probabilities(columns)) is not None:
            same = both[0].argmax(axis=1) == both[1].argmax(axis=1)
            found[SAME_TOP] = Hits(len(same), int(same.sum()))
        return {name: hits for name, hits in found.items() if hits.n}


def same_inputs(variants: SketchBuilder, old: SketchBuilder) -> SameInputs | None:
    """Flips between the variants and within the old one, of inputs that both builders remember."""
    (keys, flips), (own_keys, own_flips) = variants.remembered(), old.remembered()
    shared, at, own_at = np.intersect1d(keys, own_keys, assume_unique=True, return_indices=True)
    if not len(shared):
        return None
    between, within = flips[at], own_flips[own_at]
    return SameInputs(len(shared), int((between & ~within).sum()), int((within & ~between).sum()))


def _by_segment(columns: PairColumns) -> Iterator[tuple[str, Rows]]:
    """The rows of every segment that has any, in their order."""
    if not len(columns):
        return
    if columns.segment is None or len(columns.segments) == 1:
        yield columns.segments[0], np.arange(len(columns))
        return
    order = np.argsort(columns.segment, kind="stable")
    present, starts = np.unique(columns.segment[order], return_index=True)
    for number, at in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        yield columns.segments[number], at


def _signals(columns: PairColumns) -> dict[str, Signal]:
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


def _hits(answers: YesNo) -> Hits:
    known = answers[answers != UNKNOWN]
    return Hits(len(known), int((known > 0).sum()))


def _where(known: NDArray[np.bool_], answers: NDArray[np.bool_]) -> YesNo:
    return np.where(known, answers, UNKNOWN).astype(np.int8)


def _margins(margin: Floats | None, flips: NDArray[np.bool_]) -> dict[int, Hits]:
    if margin is None:
        return {}
    known = margin >= 0  # not NaN
    number = np.minimum(margin[known] * MARGIN_BINS, MARGIN_BINS - 1).astype(np.int64)
    n = np.bincount(number, minlength=MARGIN_BINS)
    hits = np.bincount(number[flips[known]], minlength=MARGIN_BINS)
    return {i: Hits(int(n[i]), int(hits[i])) for i in np.flatnonzero(n).tolist()}


def _confusion(columns: PairColumns, flips: NDArray[np.bool_]) -> dict[tuple[str, str], int]:
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


def _moments(columns: PairColumns) -> dict[str, Floats]:
    """Every number per pair; NaN where a pair has none."""
    found = dict(columns.moments)
    if columns.baseline_score is not None and columns.candidate_score is not None:
        with np.errstate(invalid="ignore"):  # infinite scores are invalid answers
            found[SCORE_DIFFERENCE] = columns.candidate_score - columns.baseline_score
    if (both := _probabilities(columns)) is not None:
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


def _probabilities(columns: PairColumns) -> tuple[Floats, Floats] | None:
    """Both sides' probabilities where both are known; None where no pair has them."""
    old, new = columns.baseline_probabilities, columns.candidate_probabilities
    if old is None or new is None:
        return None
    known = _with_probabilities(columns)
    return old[known], new[known]


def _sums(values: Floats) -> Moments:
    squares = float((values * values).sum())
    return Moments(
        len(values), float(values.sum()), squares, float(values.min()), float(values.max())
    )


def _histogram(values: Floats) -> dict[int, int]:
    bucket, count = np.unique(bucket_index(np.abs(values)), return_counts=True)
    return dict(zip(bucket.tolist(), count.tolist(), strict=True))


def _worst(
    columns: PairColumns, flips: NDArray[np.bool_], moments: Mapping[str, Floats]
) -> tuple[WorstPair, ...]:
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


def shown_confusion(sketch: PairedSketch, classes: int = 50, other: str = "other") -> PairedSketch:
    """The sketch with the rarest labels of its flips joined, so that at most `classes` stay.

    Not before the end: joined labels no longer merge exactly.
    """
    weight: dict[str, int] = {}
    for pair, count in sketch.confusion.items():
        for label in pair:
            weight[label] = weight.get(label, 0) + count
    if len(weight) <= classes:
        return sketch
    kept = set(heapq.nlargest(classes, weight, key=lambda label: (weight[label], label)))
    joined: dict[tuple[str, str], int] = {}
    for (old, new), count in sketch.confusion.items():
        cell = (old if old in kept else other, new if new in kept else other)
        joined[cell] = joined.get(cell, 0) + count
    return replace(sketch, confusion=joined)
