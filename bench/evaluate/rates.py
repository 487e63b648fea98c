"""Rates over windows that share regimes: series weigh the same, the error is between series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Count:
    """What one judge said about the windows of one series."""

    flagged: int = 0
    quiet: int = 0
    no_history: int = 0
    unstable: int = 0

    @property
    def decided(self) -> int:
        """Windows with a verdict."""
        return self.flagged + self.quiet

    @property
    def windows(self) -> int:
        """All windows."""
        return self.decided + self.no_history + self.unstable

    def add(self, said: str) -> None:
        """Count one answer: the name of a field."""
        setattr(self, said, getattr(self, said) + 1)


@dataclass(frozen=True, slots=True)
class Rate:
    """Mean of the series' shares and its standard error between series (NaN for one series)."""

    value: float
    error: float
    series: int

    def at_most(self, bar: float) -> bool:
        """Whether the rate does not exceed the bar by more than two standard errors."""
        return self.value <= bar + (0.0 if math.isnan(self.error) else 2.0 * self.error)


def rate(shares: Sequence[float]) -> Rate | None:
    """The rate of series' shares; NaN (nothing decided) is left out, None when nothing is left."""
    known = np.array([s for s in shares if not math.isnan(s)])
    if len(known) == 0:
        return None
    error = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else math.nan
    return Rate(float(known.mean()), error, len(known))


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of several series together.

    `flagged` is the share of windows *with a verdict*, so that silence cannot lower it; `found` the
    share of all windows, so that silence is not power.
    """

    flagged: Rate | None
    found: Rate | None
    no_history: Rate | None
    unstable: Rate | None
    windows: int


def summary(counts: Sequence[Count]) -> Summary:
    """Every series weighs the same."""
    counts = [c for c in counts if c.windows]
    return Summary(
        flagged=rate([_share(c.flagged, c.decided) for c in counts]),
        found=rate([c.flagged / c.windows for c in counts]),
        no_history=rate([c.no_history / c.windows for c in counts]),
        unstable=rate([_share(c.unstable, c.windows - c.no_history) for c in counts]),
        windows=sum(c.windows for c in counts),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def percent(found: Rate | None, *, error: bool = True) -> str:
    """A rate as text: `2.4 ± 0.5`."""
    if found is None:
        return "–"
    text = f"{100 * found.value:.1f}"
    return f"{text} ± {100 * found.error:.1f}" if error and not math.isnan(found.error) else text


@dataclass(slots=True)
class Scores:
    """Weighted p-value-like scores of one judge on unchanged windows, to set a threshold on."""

    scores: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add_series(self, scores: Sequence[float]) -> None:
        """Scores of one series; together they weigh 1."""
        self.scores += scores
        self.weights += [1.0 / len(scores)] * len(scores) if scores else []

    def threshold(self, wanted: float, most: float = 1.0) -> tuple[float, float]:
        """The smallest threshold whose measured rate is at least `wanted`, and that rate.

        Ties and steps are resolved in favour of the judge that is matched; `most` is the most
        lenient threshold it can be given.
        """
        order = np.argsort(self.scores, kind="stable")
        values = np.asarray(self.scores)[order]
        share = np.cumsum(np.asarray(self.weights)[order]) / sum(self.weights)
        at = min(int(np.searchsorted(share, wanted - 1e-12)), len(values) - 1)
        threshold = min(float(values[at]), most)
        below = int(np.searchsorted(values, threshold, side="right"))
        return threshold, float(share[below - 1]) if below else 0.0
