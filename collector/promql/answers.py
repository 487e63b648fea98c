"""What a Prometheus-compatible API answers, as series of numbers and of native histograms.

Shapes: Prometheus' HTTP API, "Expression query result formats": `values` are [time, "number"],
`histograms` are [time, {count, sum, buckets: [[rule, "low", "high", "count"], …]}].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nibai.errors import SchemaError

Labels = Mapping[str, str]
Bucket = tuple[float, float, float]
"""Lower bound, upper bound, count."""


@dataclass(frozen=True, slots=True)
class Native:
    """A native histogram at one time; buckets from the smallest on."""

    count: float
    sum: float
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: numbers or histograms by time (seconds since the epoch)."""

    labels: Labels
    values: Mapping[float, float] = field(default_factory=dict)
    histograms: Mapping[float, Native] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """Samples that were answered."""
        return len(self.values) + len(self.histograms)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The answer to a range query; any warning means that something may be missing."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()
    scanned: int | None = None

    @property
    def answered(self) -> int:
        """Samples in the answer."""
        return sum(one.samples for one in self.series)

    @property
    def samples(self) -> int:
        """Samples that the query touched, or at least those that it answered."""
        return self.answered if self.scanned is None else max(self.scanned, self.answered)

    @property
    def native(self) -> bool:
        """Whether there are histograms among the samples."""
        return any(one.histograms for one in self.series)


def matrix(document: Mapping[str, Any]) -> Matrix:
    """The answer of `query_range`; SchemaError for another shape.

    >>> document = {"data": {"resultType": "matrix", "result": [
    ...     {"metric": {"job": "a"}, "values": [[60, "1.5"]]}]}, "warnings": ["truncated"]}
    >>> found = matrix(document)
    >>> found.series[0].values, found.warnings
    ({60.0: 1.5}, ('truncated',))
    """
    try:
        data = document["data"]
        if data["resultType"] != "matrix":
            raise SchemaError(f"PromQL: the answer is a {data['resultType']}, not a matrix")
        found = tuple(_series(one) for one in data["result"])
        scanned = data.get("stats", {}).get("samples", {}).get("totalQueryableSamples")
        warnings = tuple(str(text) for text in document.get("warnings") or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaError(
            f"PromQL: the answer has another shape than documented ({type(error).__name__}): "
            "is the address that of a Prometheus API?"
        ) from error
    return Matrix(found, warnings, None if scanned is None else int(scanned))


def _series(one: Mapping[str, Any]) -> Series:
    return Series(
        {str(name): str(value) for name, value in one["metric"].items()},
        {float(at): float(value) for at, value in one.get("values", ())},
        {float(at): _native(value) for at, value in one.get("histograms", ())},
    )


def _native(one: Mapping[str, Any]) -> Native:
    buckets = sorted(_bucket(bucket) for bucket in one.get("buckets") or ())
    return Native(float(one["count"]), float(one["sum"]), tuple(buckets))


def _bucket(one: Sequence[Any]) -> Bucket:
    _rule, low, high, count = one
    return float(low), float(high), float(count)
