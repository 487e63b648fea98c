"""Several runs, hosts or days per side: the run is the observation, not the request.

Source: nibai's statistics.md, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nibai.stats.student import critical_value, lower_tail
from nibai.stats.variance import NEGLIGIBLE


@dataclass(frozen=True, slots=True)
class RunInterval:
    """Mean log2 ratio of runs ("typical run": a geometric mean of ratios) with its t interval.

    `df` is R-1 for matched runs, Welch-Satterthwaite otherwise; bounds are infinite when a side has
    one run or a run's quantile is infinite. `standard_error` is that of `value`.
    """

    value: float
    low: float
    high: float
    level: float
    df: float
    standard_error: float
    units: tuple[int, int]
    critical: float
    matched: bool

    def p_less(self, threshold: float) -> float:
        """One-sided p-value that refutes "the log2 ratio is at least the threshold" when small."""
        return self._tail(self.value - threshold)

    def p_greater(self, threshold: float) -> float:
        """One-sided p-value that supports "the log2 ratio exceeds the threshold" when small."""
        return self._tail(threshold - self.value)

    def _tail(self, distance: float) -> float:
        if not math.isfinite(self.standard_error) or math.isnan(distance):
            return 1.0
        if self.standard_error == 0.0:
            return 0.5 if distance == 0 else float(distance > 0)
        return lower_tail(distance / self.standard_error, self.df)


def run_interval(
    baseline_log2: Sequence[float],
    candidate_log2: Sequence[float],
    *,
    matched: bool,
    level: float = 0.95,
) -> RunInterval:
    """The t interval over runs of the difference of log2 quantiles (baseline minus candidate).

    `matched`: run r of one side was made at the design point of run r of the other, so that both
    sequences have one length. Guarantee: covers the mean log ratio of the population of runs with
    probability `level` if run-level differences are normal; exact for matched runs. Unmatched ones
    miss in at most 6.5 % of cases (nominal 5) from three runs per side on, in up to 9 % where a
    side has two and scatters several times as much as the other (tests/statistical).

    >>> found = run_interval([1.0, 1.2, 1.1], [0.0, 0.1, 0.2], matched=True)
    >>> round(found.value, 3), round(found.low, 3), found.df
    (1.0, 0.752, 2.0)
    """
    b, c = np.asarray(baseline_log2, dtype=np.float64), np.asarray(candidate_log2, dtype=np.float64)
    if matched and len(b) != len(c):
        raise ValueError(f"{len(b)} baseline runs cannot match {len(c)} candidate runs")
    units = (len(b), len(c))
    if min(units) == 0 or not (np.isfinite(b).all() and np.isfinite(c).all()):
        return _unknown(units, level, matched=matched)
    value = float(np.mean(b - c)) if matched else float(b.mean() - c.mean())
    error, df = _matched_error(b - c) if matched else _welch_error(b, c)
    critical = critical_value(level, df)
    width = critical * error if math.isfinite(error) else math.inf
    return RunInterval(
        value, value - width, value + width, level, df, error, units, critical, matched
    )


def orders(units: tuple[int, int], *, matched: bool) -> int:
    """In one of how many comparisons all units of one side come out before all of the other's.

    By chance, where nothing distinguishes the sides and units differ by more than can be told
    within them; matched ones are only compared within their pairs.

    >>> [orders(units, matched=False) for units in ((1, 1), (1, 3), (2, 2), (4, 4))]
    [2, 4, 6, 70]
    """
    return 2 ** units[0] if matched else math.comb(sum(units), units[0])


def _matched_error(differences: np.ndarray) -> tuple[float, float]:
    runs = len(differences)
    if runs < 2:  # noqa: PLR2004 - no spread from one run
        return math.inf, 0.0
    return float(differences.std(ddof=1)) / math.sqrt(runs), runs - 1.0


def _welch_error(b: np.ndarray, c: np.ndarray) -> tuple[float, float]:
    if min(len(b), len(c)) < 2:  # noqa: PLR2004 - no spread from one run
        return math.inf, 0.0
    parts = [float(side.var(ddof=1)) / len(side) for side in (b, c)]
    total = sum(parts)
    if total < NEGLIGIBLE**2:
        return 0.0, len(b) + len(c) - 2.0
    freedom = sum(part**2 / (len(side) - 1) for part, side in zip(parts, (b, c), strict=True))
    # Never more than if both sides had as few: two runs' own spread is too poor a guide to trust
    # the other side's number (2 against 20 runs would miss in 12 %, not 5).
    most = 2.0 * (min(len(b), len(c)) - 1)
    return math.sqrt(total), min(total**2 / freedom, most)


def _unknown(units: tuple[int, int], level: float, *, matched: bool) -> RunInterval:
    return RunInterval(
        math.nan, -math.inf, math.inf, level, 0.0, math.inf, units, math.inf, matched
    )
