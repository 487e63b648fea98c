"""Both sides at the same segment shares, and at the same loads, ready for intervals and p-values.

Assumes that within a segment (and a stratum of load) requests are alike.
Source: nibai's statistics.md, sections 8 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nibai.histogram import merge
from nibai.stats.cells import Load
from nibai.stats.inversion import PairedScores
from nibai.stats.ratio import paired
from nibai.stats.score import standardised_table
from nibai.stats.shares import MIN_REQUESTS, Segments, common_support, shares


def standardised(
    baseline: Segments,
    candidate: Segments,
    *,
    min_requests: int = MIN_REQUESTS,
    weights: Mapping[str, float] | None = None,
    groups: Mapping[str, str] | None = None,
    load: Load | None = None,
    ceiling_log2: float | None = None,
) -> PairedScores | None:
    """Both sides at the shares of the baseline; None without a common segment.

    `weights` fixes other shares: with fixed ones swapping the sides mirrors every interval. A
    single kept segment uses the score of section 5, so that raw and like-for-like agree. `load`
    (the same sides by stratum) holds their loads alike too.
    """
    kept = common_support(baseline, candidate, min_requests)
    if not kept:
        return None
    cells = None if load is None else load.cells(kept)
    if load is not None and cells is not None:
        first, second = cells.cut(load.first), cells.cut(load.second)
        return at_shares(first, second, cells.weights, ceiling_log2, cells.groups)
    fixed = shares(baseline, kept) if weights is None else _normalised(weights, kept)
    return at_shares(baseline, candidate, fixed, ceiling_log2, groups)


def at_shares(
    baseline: Segments,
    candidate: Segments,
    weights: Mapping[str, float],
    ceiling_log2: float | None = None,
    groups: Mapping[str, str] | None = None,
) -> PairedScores:
    """Both sides at the given shares of the segments that `weights` names."""
    chosen = [{name: side[name] for name in weights} for side in (baseline, candidate)]
    if len(weights) == 1:
        return pooled(*chosen, ceiling_log2=ceiling_log2)
    scale = min(part.scale for side in chosen for part in side.values())
    first, second = (
        standardised_table({k: v.downscale(scale) for k, v in side.items()}, weights, groups)
        for side in chosen
    )
    return PairedScores(first, second, ceiling_log2=ceiling_log2)


def pooled(
    baseline: Segments, candidate: Segments, *, ceiling_log2: float | None = None
) -> PairedScores:
    """Both sides, all segments of each together."""
    return paired(merge(baseline.values()), merge(candidate.values()), ceiling_log2=ceiling_log2)


def _normalised(weights: Mapping[str, float], kept: Sequence[str]) -> dict[str, float]:
    chosen = {name: weights.get(name, 0.0) for name in kept}
    total = sum(chosen.values())
    if total <= 0:
        raise ValueError("the given weights leave out every segment that both sides have")
    return {name: weight / total for name, weight in chosen.items() if weight > 0}
