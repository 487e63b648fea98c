"""nibai's own counters: what happened in this process, by the names of the metric registry."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.metric_registry import REGISTRY, MetricType

Labels = tuple[str, ...]


class Spans(Protocol):
    """Makes a span of an operation."""

    def __call__(self, operation: str, **attributes: str) -> AbstractContextManager[object]:
        """A context that lasts as long as the operation."""
        ...


def _untraced(operation: str, **attributes: str) -> AbstractContextManager[object]:
    del operation, attributes
    return nullcontext()


class Tally:
    """Counters, gauges and histograms of one process; thread-safe.

    Labels are given by name and must be those of the registry; a KeyError is a mistake in the code.
    """

    def __init__(self) -> None:
        self.spans: Spans = _untraced
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._times: dict[str, dict[Labels, tuple[BlockHistograms, float]]] = {}

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count something."""
        key = _key(name, MetricType.COUNTER, labels)
        with self._lock:
            known = self._numbers.setdefault(name, {})
            known[key] = known.get(key, 0.0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """State how something is now."""
        key = _key(name, MetricType.GAUGE, labels)
        with self._lock:
            self._numbers.setdefault(name, {})[key] = value

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Count how long something took."""
        key = _key(name, MetricType.HISTOGRAM, labels)
        one = BlockHistograms.from_values(np.array([seconds]))
        with self._lock:
            known = self._times.setdefault(name, {})
            if key in known:
                before, total = known[key]
                known[key] = (before.merge(one), total + seconds)
            else:
                known[key] = (one, seconds)

    def span(self, operation: str, **attributes: str) -> AbstractContextManager[object]:
        """The time of an operation, where own telemetry is on."""
        return self.spans(operation, **attributes)

    def numbers(self) -> dict[str, dict[Labels, float]]:
        """Counters and gauges by name and labels, as they are now."""
        with self._lock:
            return {name: dict(found) for name, found in self._numbers.items()}

    def times(self) -> dict[str, dict[Labels, tuple[BlockHistograms, float]]]:
        """Histograms and the sums of their seconds by name and labels, as they are now."""
        with self._lock:
            return {name: dict(found) for name, found in self._times.items()}


def _key(name: str, kind: MetricType, labels: Mapping[str, str]) -> Labels:
    exported = REGISTRY[name]
    if exported.type is not kind or set(labels) != set(exported.labels):
        raise KeyError(f"{name} is a {exported.type} with labels {exported.labels}")
    return tuple(labels[label] for label in exported.labels)
