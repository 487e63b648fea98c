"""PBS-AR: the interval of a ratio of quantiles from paired blocks.

Assumes blocks paired by clock position and noise whose correlation between blocks fades like
AR(1). Guarantee: covers the ratio in the long run with about the stated level for p50 to p99 in
windows of 6 hours and more (measured false-positive rates: tests/statistical); a window with too
few independent tail episodes gives an infinite bound. What it rests on is described beside it.

Source: nibai's statistics.md, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence

from nibai.histogram import BlockHistograms
from nibai.stats.inversion import MIN_BLOCKS, PairedScores, RatioInterval
from nibai.stats.score import pooled_table

__all__ = [
    "MIN_BLOCKS",
    "PairedScores",
    "RatioInterval",
    "p_value_greater",
    "p_value_less",
    "paired",
    "pbs_ar",
    "pbs_ar_many",
]


def paired(
    baseline: BlockHistograms, candidate: BlockHistograms, *, ceiling_log2: float | None = None
) -> PairedScores:
    """Tables of all traffic of both sides, at the coarser of the two scales."""
    scale = min(baseline.scale, candidate.scale)
    tables = [pooled_table(side.downscale(scale)) for side in (baseline, candidate)]
    return PairedScores(tables[0], tables[1], ceiling_log2=ceiling_log2)


def pbs_ar(
    baseline: BlockHistograms,
    candidate: BlockHistograms,
    p: float,
    *,
    level: float = 0.95,
    critical: float | None = None,
    ceiling_log2: float | None = None,
) -> RatioInterval:
    """PBS-AR interval of one quantile; `critical` (a placebo threshold) replaces the t quantile.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> block = np.repeat(np.arange(24), 500)
    >>> make = lambda median: BlockHistograms.from_values(
    ...     median * np.exp(rng.normal(0, 0.5, 12000)), block, blocks=24)
    >>> found = pbs_ar(make(0.2), make(0.1), 0.9)
    >>> found.low < 1.0 < found.high and found.high - found.low < 0.1
    True
    """
    pair = paired(baseline, candidate, ceiling_log2=ceiling_log2)
    return pair.intervals([p], level=level, critical=critical)[0]


def pbs_ar_many(
    baseline: BlockHistograms,
    candidate: BlockHistograms,
    ps: Sequence[float],
    *,
    level: float = 0.95,
    critical: float | None = None,
    ceiling_log2: float | None = None,
) -> list[RatioInterval]:
    """PBS-AR intervals of several quantiles from one pair of tables."""
    pair = paired(baseline, candidate, ceiling_log2=ceiling_log2)
    return pair.intervals(ps, level=level, critical=critical)


def p_value_less(
    baseline: BlockHistograms,
    candidate: BlockHistograms,
    p: float,
    threshold_log2: float,
    *,
    level: float = 0.95,
    critical: float | None = None,
) -> float:
    """One-sided p-value that refutes "the log2 ratio is at least the threshold" when small."""
    return paired(baseline, candidate).p_less(p, threshold_log2, level=level, critical=critical)


def p_value_greater(
    baseline: BlockHistograms,
    candidate: BlockHistograms,
    p: float,
    threshold_log2: float,
    *,
    level: float = 0.95,
    critical: float | None = None,
) -> float:
    """One-sided p-value that supports "the log2 ratio exceeds the threshold" when small."""
    return paired(baseline, candidate).p_greater(p, threshold_log2, level=level, critical=critical)
