"""The `PairedSketch`: everything a verdict needs of any number of pairs, merged in any order.

Source: nibai's drift.md, section 7.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from types import MappingProxyType
from typing import Any, TypeVar

from nibai.predictions.counts import MAX_WORST_PAIRS, Hits, Moments, Signal, WorstPair
from nibai.predictions.names import INVALID

_Value = TypeVar("_Value")
_Key = TypeVar("_Key")

NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PairedSketch:
    """Counts of pairs of one scope; `+` merges, associative and commutative.

    `pairs` and `flips` are about distinct inputs (the first sighting of each counts);
    `all_pairs` and `all_flips` weigh repeated inputs as traffic does. An invalid answer is a flip
    unless both are invalid in the same way. `signals` are yes or no of each answer, `events` of the
    pair, `margins` flips by bin of the old margin, `confusion` (old, new) labels of flips,
    `histograms` bucket counts of scale 5 (`nibai.histogram`).

    >>> whole = PairedSketch(pairs=10, flips=1) + PairedSketch(pairs=5, flips=2)
    >>> whole.pairs, whole.flips
    (15, 3)
    """

    pairs: int = 0
    flips: int = 0
    all_pairs: int = 0
    all_flips: int = 0
    missing_baseline: int = 0
    missing_candidate: int = 0
    duplicates: int = 0
    signals: Mapping[str, Signal] = field(default_factory=lambda: NOTHING)
    events: Mapping[str, Hits] = field(default_factory=lambda: NOTHING)
    margins: Mapping[int, Hits] = field(default_factory=lambda: NOTHING)
    confusion: Mapping[tuple[str, str], int] = field(default_factory=lambda: NOTHING)
    moments: Mapping[str, Moments] = field(default_factory=lambda: NOTHING)
    histograms: Mapping[str, Mapping[int, int]] = field(default_factory=lambda: NOTHING)
    worst: tuple[WorstPair, ...] = ()

    def __add__(self, other: PairedSketch) -> PairedSketch:
        merged = {
            name: _add(getattr(self, name), getattr(other, name))
            for name in (one.name for one in fields(self))
            if name not in {"histograms", "worst"}
        }
        merged["signals"] = _kinds_of_all(merged["signals"])
        return PairedSketch(
            **merged,
            histograms=_union(self.histograms, other.histograms, _add),
            worst=tuple(heapq.nlargest(MAX_WORST_PAIRS, (*self.worst, *other.worst))),
        )


def total(sketches: Iterable[PairedSketch]) -> PairedSketch:
    """All sketches merged; an empty one for none."""
    return reduce(PairedSketch.__add__, sketches, PairedSketch())


def _kinds_of_all(signals: Mapping[str, Signal]) -> Mapping[str, Signal]:
    """A kind of invalid answer that one part never met is absent there, not unknown."""
    invalid = signals.get(INVALID)
    if invalid is None:
        return signals
    return {
        name: replace(signal, n=invalid.n) if name.startswith(f"{INVALID}:") else signal
        for name, signal in signals.items()
    }


def _add(one: Any, other: Any) -> Any:  # noqa: ANN401 - numbers, counts and maps of them
    return _union(one, other, _add) if isinstance(one, Mapping) else one + other


def _union(
    one: Mapping[_Key, _Value],
    other: Mapping[_Key, _Value],
    add: Callable[[_Value, _Value], _Value],
) -> Mapping[_Key, _Value]:
    merged = dict(one)
    for key, value in other.items():
        merged[key] = add(merged[key], value) if key in merged else value
    return merged
