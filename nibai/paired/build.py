"""From columns of pairs to sketches, in one pass and in parts of any size.

Counts are bit for bit those of all pairs at once when every input's pairs pass through one builder
in the same order, whatever else passes through others (partition by input hash, then merge).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nibai.paired import measures
from nibai.paired.columns import NO_KEY, Codes, PairColumns
from nibai.paired.measures import Rows
from nibai.paired.sightings import Sightings
from nibai.predictions import (
    BEYOND_TOLERANCE,
    SAME_TOP,
    THRESHOLD_CROSSED,
    Hits,
    PairedSketch,
    SameInputs,
)


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
        moments = measures.moments(distinct)
        finite = {name: values[np.isfinite(values)] for name, values in moments.items()}
        numbers = {name: values for name, values in finite.items() if len(values)}
        return PairedSketch(
            pairs=len(distinct),
            flips=int(flips.sum()),
            all_pairs=len(columns),
            all_flips=int(all_flips.sum()),
            signals=measures.signals(distinct),
            events=self._events(distinct),
            margins=measures.margins(distinct.margin, flips),
            confusion=measures.confusion(distinct, flips),
            moments={name: measures.sums(values) for name, values in numbers.items()},
            histograms={name: measures.histogram(values) for name, values in numbers.items()},
            worst=measures.worst(distinct, flips, moments),
        )

    def _events(self, columns: PairColumns) -> dict[str, Hits]:
        found = {name: measures.hits(answers) for name, answers in columns.events.items()}
        old, new = columns.baseline_score, columns.candidate_score
        if old is not None and new is not None:
            known = np.isfinite(old) & np.isfinite(new)
            if self._threshold is not None:
                crossed = (old > self._threshold) != (new > self._threshold)
                found[THRESHOLD_CROSSED] = measures.hits(measures.known_only(known, crossed))
            if self._tolerance is not None:
                with np.errstate(invalid="ignore"):
                    beyond = np.abs(new - old) > self._tolerance
                found[BEYOND_TOLERANCE] = measures.hits(measures.known_only(known, beyond))
        if (both := measures.probabilities(columns)) is not None:
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
