"""Rates measured in repetitions, their Monte-Carlo errors and limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nibai.stats.inversion import RatioInterval


@dataclass(frozen=True)
class Rate:
    """How often something happened in R independent repetitions."""

    hits: int
    repetitions: int

    @property
    def value(self) -> float:
        return self.hits / self.repetitions

    def error_at(self, target: float) -> float:
        return math.sqrt(target * (1 - target) / self.repetitions)

    def __str__(self) -> str:
        return f"{100 * self.value:.1f}"


def at_most(rate: Rate, target: float, what: str) -> None:
    limit = target + 2 * rate.error_at(target)
    assert rate.value <= limit, (
        f"{what}: {rate} % of {rate.repetitions}, target {100 * target:.0f} % "
        f"(+ 2 x {100 * rate.error_at(target):.1f} points of Monte-Carlo error)"
    )


def at_least(rate: Rate, target: float, what: str) -> None:
    missed = Rate(rate.repetitions - rate.hits, rate.repetitions)
    at_most(missed, 1 - target, f"{what}, share that failed")


def rates(found: Sequence[Sequence[bool]]) -> list[Rate]:
    """One rate per quantile from (R, quantiles) truth values."""
    return [Rate(sum(column), len(column)) for column in zip(*found, strict=True)]


def line(what: str, **columns: Sequence[object]) -> str:
    """p50/p90/p99 of each column."""
    cells = (f"{name} {'/'.join(map(str, values))}" for name, values in columns.items())
    return f"{what}: " + " | ".join(cells)


def excludes(found: RatioInterval, truth: float) -> bool:
    return found.low > truth or found.high < truth


def unbounded(found: RatioInterval) -> bool:
    return not (math.isfinite(found.low) and math.isfinite(found.high))
