"""What a request says, in plain groups of spans and histogram points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from collector.otlp_attributes import Attributes, key_value

STATUS_ERROR = 2
KIND_SERVER = 2
KIND_CONSUMER = 5
SERVING = (KIND_SERVER, KIND_CONSUMER)


Signature = tuple[object, ...]
"""What decides a span's series and outcome: kind, nested, error, then its wanted attributes."""


@dataclass(frozen=True, slots=True)
class SpanGroup:
    """Spans of one resource; all sequences have one entry per span (times in nanoseconds).

    `answers` hold the attributes and the trace of spans that may carry a prediction, by position.
    """

    resource: Attributes
    starts: Sequence[int]
    ends: Sequence[int]
    signatures: Sequence[Signature]
    answers: Sequence[tuple[int, Mapping[str, object], str]] = ()

    @staticmethod
    def read(signature: Signature) -> tuple[int, bool, bool, Attributes]:
        """(kind, nested, error, wanted attributes) behind a signature."""
        kind, nested, error, *rest = signature
        pairs: list[tuple[str, Any]] = [
            key_value(one) if isinstance(one, bytes) else cast("tuple[str, Any]", one)
            for one in rest
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


Decoded = tuple[list[SpanGroup], list[Point], int]
"""Spans, points, and data points of kinds that are not histograms (left out, counted)."""
