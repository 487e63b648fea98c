"""Like for like: the ratio with the traffic mix held at the baseline's, and what the mix explains.

log2(raw) = like_for_like + load + mix + support holds exactly, by telescoping. Assumes that within
a segment (and a stratum of load) requests are alike; a shift inside counts as like-for-like.
Source: nibai's statistics.md, sections 8 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from nibai.histogram import BlockHistograms, merge
from nibai.stats.cells import Load, LoadCells
from nibai.stats.inversion import PairedScores, RatioInterval
from nibai.stats.ratio import paired
from nibai.stats.score import ScoreTable, standardised_table

MIN_REQUESTS = 100
"""Requests per side below which a segment is not compared (design choice)."""

FULL_COVERAGE = 0.9
PARTIAL_COVERAGE = 0.5

VISIBLE = math.log2(1.05)
"""Nearer to 1 than the default margin a ratio is on neither side: drift that all segments share
would otherwise raise the Simpson flag whenever the mix shifts."""

Segments = Mapping[str, BlockHistograms]


class Scope(StrEnum):
    """What a like-for-like verdict may speak about, given the coverage of the kept segments."""

    ALL_TRAFFIC = "all traffic"
    KEPT_SEGMENTS = "the kept segments"
    NOTHING = "nothing"


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


def scope_of(coverage: tuple[float, float]) -> Scope:
    """All traffic from 90 % coverage on both sides on, the kept segments from 50 % on."""
    least = min(coverage)
    if least >= FULL_COVERAGE:
        return Scope.ALL_TRAFFIC
    return Scope.KEPT_SEGMENTS if least >= PARTIAL_COVERAGE else Scope.NOTHING


def common_support(
    baseline: Segments, candidate: Segments, min_requests: int = MIN_REQUESTS
) -> tuple[str, ...]:
    """Segments with enough requests on both sides, in the baseline's order."""
    return common_names(_sizes(baseline), _sizes(candidate), min_requests)


def shares(segments: Segments, kept: Sequence[str]) -> dict[str, float]:
    """Request shares of the kept segments, summing to 1."""
    return shares_of(_sizes(segments), kept)


def common_names(
    baseline: Mapping[str, int], candidate: Mapping[str, int], least: int = MIN_REQUESTS
) -> tuple[str, ...]:
    """Segments with enough requests on both sides, from their numbers of requests."""
    enough = max(least, 1)
    return tuple(
        name
        for name, size in baseline.items()
        if name in candidate and min(size, candidate[name]) >= enough
    )


def shares_of(sizes: Mapping[str, int], kept: Sequence[str]) -> dict[str, float]:
    """Shares of the kept segments, summing to 1, from their numbers of requests."""
    total = sum(sizes[name] for name in kept)
    return {name: sizes[name] / total for name in kept}


def decompose(
    baseline: Segments, candidate: Segments, p: float, *, min_requests: int = MIN_REQUESTS
) -> Decomposition:
    """The exact decomposition of one quantile's raw log2 ratio.

    The Simpson flag here is that of the segments (all of them on the other side of 1 than the raw
    ratio) whatever the noise; `analyse_mix` knows the intervals and is the one to show.

    >>> fast, slow = (BlockHistograms.from_values([v] * 900) for v in (0.1, 1.0))
    >>> some = {"short": fast, "long": slow}
    >>> terms = decompose(some, some, 0.5)
    >>> terms.raw, terms.like_for_like, terms.mix, terms.support
    (0.0, 0.0, 0.0, 0.0)
    """
    return _Mix(baseline, candidate, min_requests).decomposition(p)


def standardised_interval(
    baseline: Segments,
    candidate: Segments,
    p: float,
    *,
    level: float = 0.95,
    critical: float | None = None,
    min_requests: int = MIN_REQUESTS,
    weights: Mapping[str, float] | None = None,
) -> RatioInterval | None:
    """Like-for-like interval of one quantile, None without a common segment.

    `weights` fixes the segment shares (default: the baseline's); with fixed weights swapping the
    sides mirrors the interval.
    """
    pair = standardised(baseline, candidate, min_requests=min_requests, weights=weights)
    return None if pair is None else pair.intervals([p], level=level, critical=critical)[0]


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
    """Both sides at the same segment shares, ready for intervals and p-values.

    A single kept segment uses the score of section 5, so that raw and like-for-like agree. `load`
    (the same sides by stratum) holds their loads alike too.
    """
    kept = common_support(baseline, candidate, min_requests)
    if not kept:
        return None
    cells = None if load is None else load.cells(kept)
    if load is not None and cells is not None:
        first, second = cells.cut(load.first), cells.cut(load.second)
        return _paired(first, second, cells.weights, ceiling_log2, cells.groups)
    fixed = shares(baseline, kept) if weights is None else _normalised(weights, kept)
    return _paired(baseline, candidate, fixed, ceiling_log2, groups)


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
        self.raw = _pooled(baseline, candidate)
        totals = (self.raw.baseline.requests, self.raw.candidate.requests)
        own, other = ({name: side[name] for name in self.kept} for side in (baseline, candidate))
        self.coverage = _coverage((own, other), totals)
        self.like_for_like: PairedScores | None = None
        if not self.kept:
            return
        self._own = _pooled(own, other) if self._partial(baseline, candidate) else self.raw
        self._at_mix = _paired(own, other, shares(own, self.kept))
        self._at_other_mix = _paired(own, other, shares(other, self.kept))
        self._cells = None if load is None else load.cells(self.kept)
        self.like_for_like, self._reverse = self._matched(load, self._cells)
        self._segments = {
            name: _pooled({name: own[name]}, {name: other[name]}) for name in self.kept
        }

    def _matched(
        self, load: Load | None, cells: LoadCells | None
    ) -> tuple[PairedScores, PairedScores]:
        """Both sides alike in mix and load, at the baseline's and at the candidate's mix."""
        if load is None or cells is None:
            return self._at_mix, self._at_other_mix
        first, second = cells.cut(load.first), cells.cut(load.second)
        default, reverse = (
            _paired(first, second, weights, groups=cells.groups)
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


def _paired(
    baseline: Segments,
    candidate: Segments,
    weights: Mapping[str, float],
    ceiling_log2: float | None = None,
    groups: Mapping[str, str] | None = None,
) -> PairedScores:
    """Both sides at the given shares of the segments that `weights` names."""
    chosen = [{name: side[name] for name in weights} for side in (baseline, candidate)]
    if len(weights) == 1:
        return _pooled(*chosen, ceiling_log2=ceiling_log2)
    scale = min(part.scale for side in chosen for part in side.values())
    first, second = (
        standardised_table({k: v.downscale(scale) for k, v in side.items()}, weights, groups)
        for side in chosen
    )
    return PairedScores(first, second, ceiling_log2=ceiling_log2)


def _pooled(
    baseline: Segments, candidate: Segments, *, ceiling_log2: float | None = None
) -> PairedScores:
    return paired(merge(baseline.values()), merge(candidate.values()), ceiling_log2=ceiling_log2)


def _quantiles(pair: PairedScores, p: float) -> tuple[float, float]:
    return _quantile(pair.baseline, p), _quantile(pair.candidate, p)


def _quantile(side: ScoreTable, p: float) -> float:
    value = side.log2_quantile(p)
    return value if math.isfinite(value) else math.nan


def _coverage(parts: Sequence[Segments], totals: tuple[int, int]) -> tuple[float, float]:
    first, second = (
        sum(map(_size, side.values())) / total if total else 0.0
        for side, total in zip(parts, totals, strict=True)
    )
    return first, second


def _normalised(weights: Mapping[str, float], kept: Sequence[str]) -> dict[str, float]:
    chosen = {name: weights.get(name, 0.0) for name in kept}
    total = sum(chosen.values())
    if total <= 0:
        raise ValueError("the given weights leave out every segment that both sides have")
    return {name: weight / total for name, weight in chosen.items() if weight > 0}


def _sizes(segments: Segments) -> dict[str, int]:
    return {name: _size(histograms) for name, histograms in segments.items()}


def _size(histograms: BlockHistograms) -> int:
    return int(histograms.n.sum())
