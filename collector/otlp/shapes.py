"""What a request says, in plain groups of spans and histogram points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import numpy as np

from collector.otlp.attributes import Attributes, key_value

KIND_SERVER = 2
KIND_CONSUMER = 5
SERVING = (KIND_SERVER, KIND_CONSUMER)


Signature = tuple[object, ...]
"""What decides a span's series and outcome: kind, nested, error, then its wanted attributes."""


Answer = tuple[Mapping[str, object], str]
"""The attributes of a span that may carry a prediction, and its trace."""


class Spans:
    """The spans of a request, in columns with an entry per span (times in nanoseconds).

    Spans of one group have resource and signature in common; `groups` are the distinct ones.
    `answers` are by position.
    """

    def __init__(self, resources: Sequence[Attributes], sizes: Sequence[int]) -> None:
        """Room for spans: `sizes` of them from each resource (it may come again)."""
        self.resources = resources
        self.resource = np.repeat(np.arange(len(sizes)), sizes)
        self.starts, self.ends = np.zeros((2, len(self.resource)), np.uint64)
        self.group = np.zeros(len(self.resource), np.int64)
        self.answers: list[tuple[int, Answer]] = []
        self._lasts = [last for last, size in zip(accumulate(sizes), sizes, strict=True) if size]
        self._groups: dict[tuple[int, Signature], int] = {}

    @property
    def groups(self) -> list[tuple[int, Signature]]:
        """The number of its resource, and its signature, for each group."""
        return list(self._groups)

    def number(self, resource: int, signature: Signature) -> int:
        """The number of a group."""
        return self._groups.setdefault((resource, signature), len(self._groups))

    def put(self, position: int, start: int, end: int, signature: Signature) -> None:
        """One span."""
        self.starts[position], self.ends[position] = start, end
        self.group[position] = self.number(int(self.resource[position]), signature)

    def latest(self) -> int:
        """The end of the last span of a resource, the latest of them."""
        return max((int(self.ends[last - 1]) for last in self._lasts), default=0)


def read_signature(signature: Signature) -> tuple[int, bool, bool, Attributes]:
    """(kind, nested, error, wanted attributes) behind a signature."""
    kind, nested, error, *rest = signature
    pairs: list[tuple[str, Any]] = [
        key_value(one) if isinstance(one, bytes) else cast("tuple[str, Any]", one) for one in rest
    ]
    found = {key: value for key, value in pairs if value is not None}
    return int(str(kind)), bool(nested), bool(error), found


@dataclass(frozen=True, slots=True)
class Point:
    """One histogram point: explicit (`bounds`) or exponential (`scale`, `offset`, `zero`)."""

    resource: Attributes
    metric: str
    unit: str
    cumulative: bool
    attributes: Attributes
    time: int
    start: int
    sum: float
    counts: Sequence[int]
    bounds: Sequence[float] | None
    scale: int = 0
    offset: int = 0
    zero: int = 0


Decoded = tuple[Spans, list[Point], int]
"""Spans, points, and data points of kinds that are not histograms (left out, counted)."""
