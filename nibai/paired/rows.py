"""Sketches as additive rows, in the layout of the lake's tables, and back.

Any engine may sum rows with the same table, segment, metric, key and bucket; the order does not
matter. Numbers per pair have two rows in `cell`: their sum, and that of their squares.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from nibai.predictions import (
    MAX_WORST_PAIRS,
    Hits,
    Moments,
    PairedSketch,
    Signal,
    WorstPair,
)

METRIC = "pairs"
"""Metric of the counts; numbers per pair are metrics of their own, "pairs.kl" and so on."""

SQUARES = ".squares"

CATEGORY, HIST, CELL, WORST = "category", "hist", "cell", "worst"

_COUNTS = (
    "pairs", "flips", "all_pairs", "all_flips", "missing_baseline", "missing_candidate",
    "duplicates",
)  # fmt: skip
_SIGNAL = ("n", "baseline_only", "candidate_only", "both")
_HITS = ("n", "hits")


@dataclass(frozen=True, slots=True)
class SketchRow:
    """One additive row. `category` has a key, `hist` a bucket (scale 5), `cell` sum, min and max.

    `worst` rows (outside the lake) hold one pair as JSON in `key`.
    """

    table: str
    segment: str
    metric: str
    key: str = ""
    bucket: int = 0
    count: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0


def to_rows(sketches: Mapping[str, PairedSketch]) -> Iterator[SketchRow]:
    """The rows of a sketch per segment; zero counts are left out.

    >>> [row.key for row in to_rows({"": PairedSketch(pairs=3, flips=1)})]
    ['["pairs"]', '["flips"]']
    """
    for segment, sketch in sketches.items():
        for key, count in _counts(sketch):
            if count:
                yield SketchRow(CATEGORY, segment, METRIC, _text(key), count=count)
        for name, buckets in sketch.histograms.items():
            for bucket, count in buckets.items():
                yield SketchRow(HIST, segment, f"{METRIC}.{name}", bucket=bucket, count=count)
        for name, one in sketch.moments.items():
            metric, n = f"{METRIC}.{name}", one.n
            yield SketchRow(CELL, segment, metric, "", 0, n, one.sum, one.min, one.max)
            yield SketchRow(CELL, segment, metric + SQUARES, "", 0, n, one.sum_of_squares)
        for pair in sketch.worst:
            values = [getattr(pair, one.name) for one in fields(WorstPair)]
            yield SketchRow(WORST, segment, METRIC, _text(values))


def from_rows(rows: Iterable[SketchRow]) -> dict[str, PairedSketch]:
    """The sketches that rows add up to, by segment."""
    parts: defaultdict[str, _Parts] = defaultdict(_Parts)
    for row in rows:
        parts[row.segment].add(row)
    return {segment: found.sketch() for segment, found in parts.items()}


def _counts(sketch: PairedSketch) -> Iterator[tuple[list[str | int], int]]:
    for name in _COUNTS:
        yield [name], getattr(sketch, name)
    for name, signal in sketch.signals.items():
        for part in _SIGNAL:
            yield ["signal", name, part], getattr(signal, part)
    for name, hits in sketch.events.items():
        for part in _HITS:
            yield ["event", name, part], getattr(hits, part)
    for number, hits in sketch.margins.items():
        for part in _HITS:
            yield ["margin", number, part], getattr(hits, part)
    for (old, new), count in sketch.confusion.items():
        yield ["confusion", old, new], count


class _Parts:
    """What the rows of one segment add up to."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.nested: defaultdict[str, defaultdict[Any, defaultdict[str, int]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(int))
        )
        self.confusion: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.histograms: defaultdict[str, defaultdict[int, int]] = defaultdict(
            lambda: defaultdict(int)
        )
        self.moments: defaultdict[str, Moments] = defaultdict(Moments)
        self.worst: list[WorstPair] = []

    def add(self, row: SketchRow) -> None:
        name = row.metric.removeprefix(f"{METRIC}.")
        if row.table == CATEGORY:
            self._count(json.loads(row.key), row.count)
        elif row.table == HIST:
            self.histograms[name][row.bucket] += row.count
        elif row.table == WORST:
            self.worst.append(WorstPair(*json.loads(row.key)))
        elif name.endswith(SQUARES):
            self.moments[name.removesuffix(SQUARES)] += Moments(sum_of_squares=row.sum)
        else:
            self.moments[name] += Moments(row.count, row.sum, 0.0, row.min, row.max)

    def _count(self, key: list[Any], count: int) -> None:
        if len(key) == 1:
            self.counts[key[0]] += count
        elif key[0] == "confusion":
            self.confusion[key[1], key[2]] += count
        else:
            self.nested[key[0]][key[1]][key[2]] += count

    def sketch(self) -> PairedSketch:
        nested = self.nested
        found = PairedSketch(
            **{name: self.counts[name] for name in _COUNTS},
            signals={name: Signal(**parts) for name, parts in nested["signal"].items()},
            events={name: Hits(**parts) for name, parts in nested["event"].items()},
            margins={number: Hits(**parts) for number, parts in nested["margin"].items()},
            confusion=dict(self.confusion),
            moments=dict(self.moments),
            histograms={name: dict(buckets) for name, buckets in self.histograms.items()},
            worst=tuple(heapq.nlargest(MAX_WORST_PAIRS, self.worst)),
        )
        return found + PairedSketch()  # merging settles what kinds of invalid answers are about


def _text(key: list[Any]) -> str:
    return json.dumps(key, ensure_ascii=False, separators=(",", ":"))
