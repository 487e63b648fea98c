"""Families of series as the registry names them, before they are encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nibai.histogram import BlockHistograms
from nibai.metric_registry import REGISTRY, Exported, MetricType


@dataclass(frozen=True, slots=True, eq=False)
class HistogramValue:
    """Counts of one series (one block) and the sum of the finite values, in base units."""

    counts: BlockHistograms
    sum: float

    @property
    def count(self) -> int:
        """All requests, those that never completed included."""
        return int(self.counts.n[0])


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One series: label values in the order of the family's labels."""

    labels: tuple[str, ...]
    value: float | HistogramValue


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One family with all its series, in the order of their labels."""

    exported: Exported
    samples: tuple[Sample, ...]


class Families:
    """Collects series, and gives them out as they will stay.

    A series is added once; what has no value (None, NaN) has no series. KeyError: another name or
    other labels than the registry's, which is a mistake in the code.
    """

    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[str, ...], float | HistogramValue]] = {}

    def add(self, name: str, value: float | HistogramValue | None, **labels: str) -> None:
        """One series; label `class` is written `class_`."""
        exported = REGISTRY[name]
        given = {label.removesuffix("_"): text for label, text in labels.items()}
        if set(given) != set(exported.labels):
            raise KeyError(f"{name} has labels {exported.labels}")
        self.put(name, tuple(given[label] for label in exported.labels), value)

    def put(self, name: str, labels: tuple[str, ...], value: float | HistogramValue | None) -> None:
        """One series by its label values in the order of the registry."""
        exported = REGISTRY[name]
        if isinstance(value, HistogramValue) is not (exported.type is MetricType.HISTOGRAM):
            if value is None:
                return
            raise KeyError(f"{name} is a {exported.type}")
        if value is None or (isinstance(value, float | int) and math.isnan(value)):
            return
        self._found.setdefault(name, {}).setdefault(labels, value)

    def put_all(self, found: Mapping[str, Mapping[tuple[str, ...], float]]) -> None:
        """Numbers by name and labels."""
        for name, series in found.items():
            for labels, value in series.items():
                self.put(name, labels, value)

    def done(self) -> tuple[Family, ...]:
        """All families in the order of the registry."""
        return tuple(
            Family(
                exported,
                tuple(
                    Sample(labels, value)
                    for labels, value in sorted(self._found[name].items(), key=lambda item: item[0])
                ),
            )
            for name, exported in REGISTRY.items()
            if name in self._found
        )
