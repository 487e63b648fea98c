"""What nibai says about pairs of windows: its complete judge, calibrated on the pairs' own past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.rates import Count
from bench.evaluate.windows import Arranged
from nibai.stats.point_judge import CalibratedPairs, Judged, calibrate_pairs, judge_all
from nibai.stats.point_statistics import Level, PointStatistic, Quantile, Spread, UpperQuantile

ALPHA = 0.05
MARGINS = (0.0, 0.02, 0.05, 0.10)

STATISTICS: dict[str, PointStatistic] = {
    "level": Level(),
    "p90": Quantile(0.9),
    "upper": UpperQuantile(),
    "spread": Spread(),
}
FAMILY = ("level", "upper", "spread")
"""Judged together at ALPHA / 3 each."""
TITLES = {
    "level": "nibai p50 (level)",
    "p90": "nibai p90",
    "upper": "nibai upper quantile",
    "spread": "nibai spread",
    "family": "nibai all three",
}


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was said about the judged pairs; the masks exclude each other."""

    changed: NDArray[np.bool_]
    no_history: NDArray[np.bool_]
    unstable: NDArray[np.bool_]

    def count(self) -> Count:
        """In numbers."""
        flagged, none, shaky = (
            int(mask.sum()) for mask in (self.changed, self.no_history, self.unstable)
        )
        return Count(flagged, len(self.changed) - flagged - none - shaky, none, shaky)


@dataclass(frozen=True, slots=True, eq=False)
class Nibai:
    """The judge of one series and arrangement: critical values come from unchanged past only."""

    arranged: Arranged
    calibrated: dict[str, CalibratedPairs]
    family: dict[str, CalibratedPairs]

    @classmethod
    def of(cls, arranged: Arranged) -> Nibai:
        """Calibrated for every statistic, alone and as one of the family."""
        pairs = arranged.pairs
        return cls(
            arranged,
            {name: calibrate_pairs(pairs, s, alpha=ALPHA) for name, s in STATISTICS.items()},
            {
                name: calibrate_pairs(pairs, STATISTICS[name], alpha=ALPHA / len(FAMILY))
                for name in FAMILY
            },
        )

    def answers(
        self, name: str, margin: float = 0.0, candidate: np.ndarray | None = None
    ) -> Answers:
        """About the judged pairs, or about the same with other candidates (natural values)."""
        if name == "family":
            return self._family(candidate)
        return self._taken(self._judged(self.calibrated[name], margin, candidate))

    def _family(self, candidate: np.ndarray | None) -> Answers:
        """Changed when one of the three is; no verdict when none of the three has one."""
        parts = [self._taken(self._judged(c, 0.0, candidate)) for c in self.family.values()]
        changed = np.logical_or.reduce([p.changed for p in parts])
        silent = np.logical_and.reduce([p.no_history | p.unstable for p in parts])
        no_history = parts[0].no_history & silent
        return Answers(changed, no_history, silent & ~no_history)

    def _judged(
        self, calibrated: CalibratedPairs, margin: float, candidate: np.ndarray | None
    ) -> Judged:
        injected = None if candidate is None else self.arranged.injected(candidate)
        return judge_all(calibrated, margin=margin, injected=injected)

    def _taken(self, judged: Judged) -> Answers:
        at = self.arranged.judged
        return Answers(judged.changed[at], judged.no_history[at], judged.unstable[at])
