"""The part of a comparison that one claim is about, in the orientation of "better"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from analyzers.wording import block_unit
from nibai.histogram import BlockHistograms, merge
from nibai.model import Claim, Comparison, RecordedAs, Side, UnitKind, WindowKind
from nibai.stats.as_one import as_one_segment
from nibai.stats.cells import Load, LoadCells, load_cells, load_of, replica_strata
from nibai.stats.mix import MixAnalysis, analyse_mix
from nibai.stats.past_windows import PastPairs
from nibai.stats.ratio import PairedScores, RatioInterval
from nibai.stats.recorded import RecordingError
from nibai.stats.recorded_sides import RecordedSides, recorded_as
from nibai.stats.replication import RunInterval, run_interval
from nibai.stats.shares import MIN_REQUESTS, common_support, shares
from nibai.stats.sides import (
    Segments,
    below_share,
    censored_share,
    log2_quantiles,
    pooled_segments,
    replica_segments,
    requests,
    run_log2_quantiles,
)
from nibai.stats.standardised import standardised

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Sample:
    """One metric and segment of a comparison.

    `first` and `second` are the sides in the order of the log ratio first - second: (baseline,
    candidate) for times, (candidate, baseline) where higher is better, so that a ratio above 1
    always means that the candidate is better. `asked`: quantiles that will be asked for; they are
    analysed together, which is several times cheaper than one by one.
    """

    comparison: Comparison
    segment: tuple[str, str] | None
    asked: tuple[float, ...] = ()

    @property
    def sides(self) -> tuple[Segments, Segments]:
        """Pooled segments of (baseline, candidate)."""
        return self._baseline, self._candidate

    @cached_property
    def _baseline(self) -> Segments:
        return pooled_segments(self.comparison.baseline, self.segment)

    @cached_property
    def _candidate(self) -> Segments:
        return pooled_segments(self.comparison.candidate, self.segment)

    @property
    def ordered(self) -> tuple[Segments, Segments]:
        """The sides in the order of the log ratio."""
        return self.oriented(self._baseline, self._candidate)

    def oriented(self, baseline: _T, candidate: _T) -> tuple[_T, _T]:
        """Two things in the order of the log ratio."""
        if self.comparison.higher_is_better:
            return candidate, baseline
        return baseline, candidate

    @property
    def counts(self) -> tuple[int, int]:
        """Requests of (baseline, candidate)."""
        return requests(self._baseline), requests(self._candidate)

    @property
    def replicas(self) -> tuple[int, int]:
        """Replicas, hosts or runs of (baseline, candidate)."""
        return len(self.comparison.baseline.replicas), len(self.comparison.candidate.replicas)

    @property
    def censored(self) -> tuple[float, float]:
        """Share of failed, timed out or missing requests of (baseline, candidate)."""
        return censored_share(self._baseline), censored_share(self._candidate)

    @property
    def below(self) -> tuple[float, float]:
        """Share of requests at zero or below all recorded buckets, of (baseline, candidate)."""
        return below_share(self._baseline), below_share(self._candidate)

    @property
    def by_runs(self) -> bool:
        """Whether the run or host is the observation, not the block of time."""
        return self.comparison.unit is not UnitKind.BLOCK

    @property
    def unit(self) -> str:
        """What one observation is called."""
        if self.by_runs:
            return self.comparison.unit.value
        return block_unit(self.comparison.baseline.replicas[0].block_seconds)

    @property
    def scope(self) -> str:
        """What the verdict speaks for."""
        comparison = self.comparison
        if comparison.kind is WindowKind.RUNS:
            return "these runs"
        if comparison.unit in (UnitKind.HOST, UnitKind.DAY):
            return f"these {comparison.unit.value}s"
        return "live window" if min(self.replicas) > 1 else "live window, these replicas only"

    def raw(self, p: float) -> float:
        """log2 of the raw ratio of all requests together; NaN when it has no value."""
        first, second = (float(log2_quantiles(side, [p])[0]) for side in self.ordered)
        return math.nan if math.isinf(first) and first == second else first - second

    def value(self, p: float) -> tuple[float, float]:
        """log2 quantile of (baseline, candidate)."""
        b, c = (float(log2_quantiles(side, [p])[0]) for side in self.sides)
        return b, c

    # -- recording ------------------------------------------------------------------------
    @cached_property
    def recorded(self) -> tuple[RecordedAs, RecordedAs]:
        """Requests of (baseline, candidate) that have no buckets of their own."""
        sides = self.comparison.baseline, self.comparison.candidate
        return recorded_as(sides[0], self.segment), recorded_as(sides[1], self.segment)

    @property
    def scale(self) -> int:
        """The coarsest scale of both sides, at which they are compared."""
        return self._recorded_sides.scale

    def recording(self, p: float) -> RecordingError:
        """How far the ratio of a quantile may be from that of the requests one by one."""
        return self._recorded_sides.error(p)

    @cached_property
    def _recorded_sides(self) -> RecordedSides:
        found = RecordedSides(self.ordered, self.oriented(*self.recorded))
        if found.exact or self.by_runs:
            return found
        return replace(found, pair=self.like_for_like)

    # -- load -----------------------------------------------------------------------------
    @cached_property
    def load(self) -> Load | None:
        """The sides by stratum of load in the order of the log ratio, None where not matched."""
        return load_of(self.comparison, self.segment)

    @property
    def overlap(self) -> float | None:
        """Overlap of both sides' loads, None where no load rule applies."""
        return None if self.comparison.load is None else self.comparison.load.overlap

    @cached_property
    def cells(self) -> LoadCells | None:
        """Segments by load that both sides have, weighted by the baseline's mix."""
        if self.load is None:
            return None
        kept = common_support(self._baseline, self._candidate, self.min_requests)
        first, second = self.oriented(self.load.first, self.load.second)
        return load_cells(first, second, kept, self.load.groups)

    # -- evidence -------------------------------------------------------------------------
    @cached_property
    def min_requests(self) -> int:
        """Requests per side that a segment needs to be compared."""
        return 1 if self.segment is not None else MIN_REQUESTS

    def mix(self, p: float, level: float, critical: float | None = None) -> MixAnalysis:
        """Raw interval, like-for-like interval and decomposition of time blocks."""
        if (p, level, critical) not in self._mixes:
            first, second = self.ordered
            together = self.asked if critical is None and p in self.asked else (p,)
            found = analyse_mix(
                first, second, together, level=level, critical=critical,
                min_requests=self.min_requests, load=self.load,
            )  # fmt: skip
            self._mixes.update({(one.raw.p, level, critical): one for one in found})
        return self._mixes[p, level, critical]

    @cached_property
    def _mixes(self) -> dict[tuple[float, float, float | None], MixAnalysis]:
        return {}

    @cached_property
    def like_for_like(self) -> PairedScores | None:
        """Both sides at the same segment shares and loads, for p-values."""
        first, second = self.ordered
        return standardised(first, second, min_requests=self.min_requests, load=self.load)

    @cached_property
    def weights(self) -> Mapping[str, float] | None:
        """Baseline shares of the segments (by load) of both sides, None without several."""
        if self.cells is not None:
            return self.cells.weights
        kept = common_support(self._baseline, self._candidate, self.min_requests)
        return shares(self._baseline, kept) if len(kept) > 1 else None

    @cached_property
    def past(self) -> PastPairs | None:
        """Pairs of the unchanged past, compared as the two sides are; None for runs and hosts."""
        history = self.comparison.history
        if history is None or self.by_runs:
            return None
        first, second = self.ordered
        kept = common_support(first, second, self.min_requests)
        filled = min(int((whole.n > 0).sum()) for whole in map(merge, map(_parts, self.ordered)))
        several = len({*first, *second}) > 1 and kept
        return PastPairs(
            history,
            self.segment,
            shares(first, kept) if several else None,
            self.comparison.higher_is_better,
            filled,
        )

    def over_runs(self, p: float, level: float) -> RunInterval:
        """The t interval over runs (or hosts) at fixed segment shares."""
        first, second = self.oriented(self.comparison.baseline, self.comparison.candidate)
        quantiles = [
            run_log2_quantiles(self._cut(side), p, self.weights) for side in (first, second)
        ]
        return run_interval(*quantiles, matched=self.comparison.matched, level=level)

    def pairs(self, p: float, level: float) -> list[RatioInterval]:
        """Block intervals of the matched pairs of runs, or of every pair when they do not match."""
        return [pair.intervals([p], level=level)[0] for pair in self.scored_pairs()]

    def scored_pairs(self) -> list[PairedScores]:
        """Score tables of the pairs of runs."""
        first, second = (
            self._cut(side)
            for side in self.oriented(self.comparison.baseline, self.comparison.candidate)
        )
        couples = (
            list(zip(first, second, strict=True))
            if self.comparison.matched
            else [(b, c) for b in first for c in second]
        )
        groups = None if self.cells is None else self.cells.groups
        found = [
            standardised(b, c, min_requests=1, weights=self.weights, groups=groups)
            for b, c in couples
            if b and c
        ]
        return [pair for pair in found if pair is not None]

    def smallest_block(self) -> int:
        """Requests in the emptiest block of any run."""
        sizes = [
            int(np.sum([histograms.n for histograms in run.values()], axis=0).min())
            for side in (self.comparison.baseline, self.comparison.candidate)
            for run in self._runs(side)
            if run
        ]
        return min(sizes, default=0)

    def _cut(self, side: Side) -> list[Segments]:
        """Each run or host by the segments (and loads) that `weights` name."""
        if self.cells is None:
            return self._runs(side)
        return [self.cells.cut(replica_strata(replica, self.segment)) for replica in side.replicas]

    def _runs(self, side: Side) -> list[Segments]:
        return [replica_segments(replica, self.segment) for replica in side.replicas]


def _parts(segments: Segments) -> list[BlockHistograms]:
    return list(segments.values())


def sample_of(comparison: Comparison, claim: Claim, asked: Sequence[float] = ()) -> Sample:
    """The sample a claim is about; `asked` are all quantiles that will be asked of it."""
    quantiles = tuple(dict.fromkeys(asked))
    if claim.raw:
        return Sample(as_one_segment(comparison, claim.segment), None, quantiles)
    return Sample(comparison, claim.segment, quantiles)
