"""Like for like: the ratio with the traffic mix held at the baseline's, and what the mix explains.

log2(raw) = like_for_like + load + mix + support holds exactly, by telescoping. Assumes that within
a segment (and a stratum of load) requests are alike; a shift inside counts as like-for-like.
Source: nibai's statistics.md, sections 8 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nibai.stats.cells import Load, LoadCells
from nibai.stats.inversion import PairedScores, RatioInterval
from nibai.stats.score import ScoreTable
from nibai.stats.shares import (
    MIN_REQUESTS,
    Scope,
    Segments,
    common_support,
    requests_of,
    scope_of,
    shares,
)
from nibai.stats.standardised import at_shares, pooled

VISIBLE = math.log2(1.05)
"""Nearer to 1 than the default margin a ratio is on neither side: drift that all segments share
would otherwise raise the Simpson flag whenever the mix shifts."""


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Exact log2 terms of one quantile: raw = like_for_like + load + mix + support.

    `load` is what both sides' move to their common loads explains; 0 where load is not matched.
    `reverse_like_for_like` and `reverse_mix` use the candidate's weights; `shapley_like_for_like`
    is the mean of both orders. `coverage` is the share of (baseline, candidate) requests in the
    `kept` segments, `segment_ratios` the log2 ratio of each. Infinite quantiles make NaN terms.
    """

    p: float
    raw: float
    like_for_like: float
    load: float
    mix: float
    support: float
    reverse_like_for_like: float
    reverse_mix: float
    coverage: tuple[float, float]
    kept: tuple[str, ...]
    segment_ratios: Mapping[str, float]
    simpson: bool

    @property
    def shapley_like_for_like(self) -> float:
        """Mean of the like-for-like terms of both orders."""
        return (self.like_for_like + self.reverse_like_for_like) / 2

    @property
    def orders_disagree(self) -> bool:
        """Whether the like-for-like term has another sign when the candidate's weights are used."""
        return self.like_for_like * self.reverse_like_for_like < 0

    @property
    def scope(self) -> Scope:
        """What the coverage allows to speak about."""
        return scope_of(self.coverage)


@dataclass(frozen=True, slots=True)
class MixAnalysis:
    """Everything about one quantile: the raw interval, the like-for-like interval, the terms."""

    raw: RatioInterval
    like_for_like: RatioInterval | None
    decomposition: Decomposition


def decompose(
    baseline: Segments, candidate: Segments, p: float, *, min_requests: int = MIN_REQUESTS
) -> Decomposition:
    """The exact decomposition of one quantile's raw log2 ratio.

    The Simpson flag here is that of the segments (all of them on the other side of 1 than the raw
    ratio) whatever the noise; `analyse_mix` knows the intervals and is the one to show.

    >>> from nibai.histogram import BlockHistograms
    >>> fast, slow = (BlockHistograms.from_values([v] * 900) for v in (0.1, 1.0))
    >>> some = {"short": fast, "long": slow}
    >>> terms = decompose(some, some, 0.5)
    >>> terms.raw, terms.like_for_like, terms.mix, terms.support
    (0.0, 0.0, 0.0, 0.0)
    """
    return _Mix(baseline, candidate, min_requests).decomposition(p)


def analyse_mix(
    baseline: Segments,
    candidate: Segments,
    ps: Sequence[float],
    *,
    level: float = 0.95,
    critical: float | None = None,
    min_requests: int = MIN_REQUESTS,
    load: Load | None = None,
) -> list[MixAnalysis]:
    """Raw interval, like-for-like interval and decomposition of several quantiles at once."""
    mix = _Mix(baseline, candidate, min_requests, load)
    raw = mix.raw.intervals(ps, level=level, critical=critical)
    like = mix.like_for_like
    if like is None or like.same_as(mix.raw):
        found = None if like is None else raw
    else:
        found = like.intervals(ps, level=level, critical=critical)
    results = []
    for i, p in enumerate(ps):
        terms = mix.decomposition(p)
        standard = None if found is None else found[i]
        simpson = _paradox(raw[i], standard, terms)
        results.append(MixAnalysis(raw[i], standard, replace(terms, simpson=simpson)))
    return results


def opposite_signs(raw: RatioInterval, like_for_like: RatioInterval) -> bool:
    """Whether one interval lies wholly above a ratio of 1 and the other wholly below."""
    return (raw.low > 0 and like_for_like.high < 0) or (raw.high < 0 and like_for_like.low > 0)


def _paradox(raw: RatioInterval, like_for_like: RatioInterval | None, terms: Decomposition) -> bool:
    """The full flag: either kind of contradiction, and a raw ratio that is no mere noise."""
    if like_for_like is None or raw.low <= 0.0 <= raw.high:
        return False
    return terms.simpson or opposite_signs(raw, like_for_like)


class _Mix:
    """Tables of one comparison, made once for all quantiles."""

    def __init__(
        self,
        baseline: Segments,
        candidate: Segments,
        min_requests: int,
        load: Load | None = None,
    ) -> None:
        self.kept = common_support(baseline, candidate, min_requests)
        self.raw = pooled(baseline, candidate)
        totals = (self.raw.baseline.requests, self.raw.candidate.requests)
        own, other = ({name: side[name] for name in self.kept} for side in (baseline, candidate))
        self.coverage = _coverage((own, other), totals)
        self.like_for_like: PairedScores | None = None
        if not self.kept:
            return
        self._own = pooled(own, other) if self._partial(baseline, candidate) else self.raw
        self._at_mix = at_shares(own, other, shares(own, self.kept))
        self._at_other_mix = at_shares(own, other, shares(other, self.kept))
        self._cells = None if load is None else load.cells(self.kept)
        self.like_for_like, self._reverse = self._matched(load, self._cells)
        self._segments = {
            name: pooled({name: own[name]}, {name: other[name]}) for name in self.kept
        }

    def _matched(
        self, load: Load | None, cells: LoadCells | None
    ) -> tuple[PairedScores, PairedScores]:
        """Both sides alike in mix and load, at the baseline's and at the candidate's mix."""
        if load is None or cells is None:
            return self._at_mix, self._at_other_mix
        first, second = cells.cut(load.first), cells.cut(load.second)
        default, reverse = (
            at_shares(first, second, weights, groups=cells.groups)
            for weights in (cells.weights, cells.reverse)
        )
        return default, reverse

    def _partial(self, baseline: Segments, candidate: Segments) -> bool:
        return {*baseline, *candidate} != set(self.kept)

    def decomposition(self, p: float) -> Decomposition:
        raw = self.raw.estimate(p)
        nothing = (math.nan,) * 3
        if self.like_for_like is None:
            return Decomposition(
                p, raw, math.nan, 0.0, *nothing, math.nan, self.coverage, (), {}, simpson=False
            )
        own_b, own_c = _quantiles(self._own, p)
        like_b, like_c = _quantiles(self.like_for_like, p)
        reverse_b, reverse_c = _quantiles(self._reverse, p)
        if self._cells is None:
            # With load matched both sides move, from their own loads to the common ones; else not.
            like_b, reverse_c = own_b, own_c
        at_baseline_mix, at_candidate_mix = (
            _quantile(self._at_mix.candidate, p), _quantile(self._at_other_mix.baseline, p),
        )  # fmt: skip
        ratios = {name: pair.estimate(p) for name, pair in self._segments.items()}
        return Decomposition(
            p=p,
            raw=raw,
            like_for_like=like_b - like_c,
            load=(own_b - like_b) + (like_c - at_baseline_mix),
            mix=at_baseline_mix - own_c,
            support=raw - (own_b - own_c),
            reverse_like_for_like=reverse_b - reverse_c,
            reverse_mix=own_b - at_candidate_mix,
            coverage=self.coverage,
            kept=self.kept,
            segment_ratios=ratios,
            simpson=_all_opposite(raw, list(ratios.values())),
        )


def _all_opposite(raw: float, ratios: Sequence[float]) -> bool:
    if len(ratios) < 2:  # noqa: PLR2004 - one segment is the whole
        return False
    below = raw > VISIBLE and all(ratio < -VISIBLE for ratio in ratios)
    return below or (raw < -VISIBLE and all(ratio > VISIBLE for ratio in ratios))


def _quantiles(pair: PairedScores, p: float) -> tuple[float, float]:
    return _quantile(pair.baseline, p), _quantile(pair.candidate, p)


def _quantile(side: ScoreTable, p: float) -> float:
    value = side.log2_quantile(p)
    return value if math.isfinite(value) else math.nan


def _coverage(parts: Sequence[Segments], totals: tuple[int, int]) -> tuple[float, float]:
    first, second = (
        sum(map(requests_of, side.values())) / total if total else 0.0
        for side, total in zip(parts, totals, strict=True)
    )
    return first, second
