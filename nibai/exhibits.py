"""What the charts show about one metric, computed once and stored with the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from nibai.histogram import BlockHistograms, merge
from nibai.model import (
    Comparison,
    CurvePoint,
    DecompositionRow,
    Density,
    Estimate,
    Exhibits,
    RecordedAs,
    SegmentRow,
    Side,
    TimelinePoint,
    UnitKind,
)
from nibai.stats.cells import load_of
from nibai.stats.floors import raw_floor
from nibai.stats.inversion import RatioInterval
from nibai.stats.load_rows import load_rows
from nibai.stats.mix import MixAnalysis, analyse_mix
from nibai.stats.ratio import pbs_ar_many
from nibai.stats.recorded import RecordingError, Span
from nibai.stats.recorded_sides import RecordedSides, recorded_as
from nibai.stats.replication import RunInterval, run_interval
from nibai.stats.sides import (
    Segments,
    pooled_segments,
    replica_segments,
    requests,
    run_log2_quantiles,
    whole,
)
from nibai.stats.standardised import standardised
from nibai.stats.unit_rows import unit_rows
from nibai.units import ratio_of

CURVE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
ROWS = (0.5, 0.9, 0.99)
TIMELINE = (0.5, 0.99)
DENSITY_SCALE = 2
MAX_SEGMENTS = 40
MANY_RUNS = 5
NOTHING = RecordedAs()

_T = TypeVar("_T")


def describe(comparison: Comparison, *, level: float) -> Exhibits:
    """Curve, distributions, segments, timeline and decomposition of one metric.

    The curve is like for like where segments allow it and raw elsewhere; an interval is given for
    quantiles with enough requests, over runs from five runs per side on. It holds the error of the
    recording, as that of a verdict does.
    """
    baseline, candidate = (
        pooled_segments(side) for side in (comparison.baseline, comparison.candidate)
    )
    densities = tuple(
        _density(role, segments)
        for role, segments in (("baseline", baseline), ("candidate", candidate))
    )
    timeline = (
        *_timeline("baseline", comparison.baseline),
        *_timeline("candidate", comparison.candidate),
    )
    if not requests(baseline) or not requests(candidate):
        return Exhibits(
            comparison.metric,
            comparison.value_unit,
            densities=densities,
            timeline=timeline,
            clock=comparison.clock,
        )
    first, second = _oriented(comparison, baseline, candidate)
    least = min(requests(baseline), requests(candidate))
    ps = [p for p in CURVE if raw_floor(p) <= least]
    analyses = analyse_mix(first, second, ps, level=level, load=load_of(comparison)) if ps else []
    return Exhibits(
        comparison.metric,
        comparison.value_unit,
        curve=_curve(comparison, analyses, level),
        densities=densities,
        segments=_segments(comparison, (first, second), level),
        timeline=timeline,
        decomposition=tuple(_terms(a) for a in analyses if a.raw.p in ROWS),
        clock=comparison.clock,
        unit="replica" if comparison.unit is UnitKind.BLOCK else comparison.unit.value,
        units=unit_rows(comparison),
        load=load_rows(comparison),
    )


def _curve(
    comparison: Comparison, analyses: Sequence[MixAnalysis], level: float
) -> tuple[CurvePoint, ...]:
    points: list[CurvePoint] = []
    if not analyses:
        return ()
    recorded = _recorded(comparison)
    for analysis in analyses:
        found: RatioInterval | RunInterval = analysis.like_for_like or analysis.raw
        if _by_runs(comparison):
            found = _over_runs(comparison, None, analysis.raw.p, level)
        points.append(CurvePoint(analysis.raw.p, _estimate(found, recorded.error(analysis.raw.p))))
    return tuple(points)


def _segments(
    comparison: Comparison, sides: tuple[Segments, Segments], level: float
) -> tuple[SegmentRow, ...]:
    names = [name for name in sides[0] if name in sides[1]]
    if len(set(sides[0]) | set(sides[1])) < 2:  # noqa: PLR2004 - no split, no forest
        return ()
    names.sort(key=lambda name: -requests({name: sides[0][name]}))
    rows = []
    for name in names[:MAX_SEGMENTS]:
        first, second = sides[0][name], sides[1][name]
        n = int(first.n.sum()), int(second.n.sum())
        ps = [p for p in ROWS if raw_floor(p) <= min(n)]
        counts = n[::-1] if comparison.higher_is_better else n
        if _by_runs(comparison):
            found: Sequence[RatioInterval | RunInterval] = [
                _over_runs(comparison, name, p, level) for p in ps
            ]
        else:
            found = pbs_ar_many(first, second, ps, level=level) if ps else []
        recorded = _recorded_segment(comparison, name, sides)
        rows += [
            SegmentRow(name, p, _estimate(one, recorded.error(p)), counts)
            for p, one in zip(ps, found, strict=True)
        ]
    return tuple(rows)


def _recorded(comparison: Comparison) -> RecordedSides:
    """How the requests of the curve were recorded."""
    sides = _oriented(comparison, comparison.baseline, comparison.candidate)
    first, second = map(pooled_segments, sides)
    found = RecordedSides((first, second), (recorded_as(sides[0]), recorded_as(sides[1])))
    if found.exact or comparison.unit is not UnitKind.BLOCK:
        return found
    return replace(found, pair=standardised(first, second, load=load_of(comparison)))


def _recorded_segment(
    comparison: Comparison, name: str, sides: tuple[Segments, Segments]
) -> RecordedSides:
    """How the requests of one segment were recorded; sides are in the order of the log ratio."""
    first, second = (
        sum((one.segments[name].recorded for one in side.replicas if name in one.segments), NOTHING)
        for side in _oriented(comparison, comparison.baseline, comparison.candidate)
    )
    return RecordedSides(({name: sides[0][name]}, {name: sides[1][name]}), (first, second))


def _oriented(comparison: Comparison, baseline: _T, candidate: _T) -> tuple[_T, _T]:
    """Two things in the order of the log ratio."""
    return (candidate, baseline) if comparison.higher_is_better else (baseline, candidate)


def _by_runs(comparison: Comparison) -> bool:
    runs = min(len(comparison.baseline.replicas), len(comparison.candidate.replicas))
    return comparison.unit is not UnitKind.BLOCK and runs >= MANY_RUNS


def _over_runs(comparison: Comparison, name: str | None, p: float, level: float) -> RunInterval:
    sides = (comparison.baseline, comparison.candidate)
    if comparison.higher_is_better:
        sides = (comparison.candidate, comparison.baseline)
    quantiles = [
        run_log2_quantiles(
            [_named(replica_segments(replica), name) for replica in side.replicas], p, None
        )
        for side in sides
    ]
    return run_interval(*quantiles, matched=comparison.matched, level=level)


def _named(segments: Segments, name: str | None) -> Segments:
    return segments if name is None else {k: v for k, v in segments.items() if k == name}


def _estimate(found: RatioInterval | RunInterval, error: RecordingError) -> Estimate:
    wide = error.widened(Span(found.value, found.low, found.high))
    return Estimate(ratio_of(wide.value), ratio_of(wide.low), ratio_of(wide.high), found.level)


def _terms(analysis: MixAnalysis) -> DecompositionRow:
    terms = analysis.decomposition
    return DecompositionRow(
        quantile=terms.p,
        raw=terms.raw,
        like_for_like=terms.like_for_like,
        load=terms.load,
        mix=terms.mix,
        support=terms.support,
        simpson=terms.simpson,
    )


def _density(role: str, segments: Segments) -> Density:
    """Shares on the grid 2**(1/4), empty outer bins left out."""
    together = whole(segments)
    total = requests(segments)
    if together is None or not total:
        return Density(role, (), (), 0.0, 0.0)
    coarse = together.downscale(min(DENSITY_SCALE, together.scale))
    used = np.flatnonzero(coarse.counts[0])
    shares = coarse.counts[0][used[0] : used[-1] + 1] / total if len(used) else np.zeros(0)
    first = coarse.offset + (int(used[0]) if len(used) else 0)
    edges = 2.0 ** ((first + np.arange(len(shares) + 1)) / 2.0**coarse.scale)
    return Density(
        role,
        tuple(float(edge) for edge in edges) if len(shares) else (),
        tuple(float(share) for share in shares),
        censored_share=float(together.overflow[0]) / total,
        zero_share=float(together.zero[0]) / total,
    )


def _timeline(role: str, side: Side) -> list[TimelinePoint]:
    points = []
    for replica in side.replicas:
        segments = replica_segments(replica)
        if not segments:
            continue
        together = merge(list(segments.values()))
        values = _block_quantiles(together)
        for block, start in enumerate(replica.block_starts):
            n = int(together.n[block])
            points += [
                TimelinePoint(role, replica.name, float(start), p, ratio_of(values[block][i]), n)
                for i, p in enumerate(TIMELINE)
            ]
    return points


def _block_quantiles(histograms: BlockHistograms) -> list[list[float]]:
    return [
        [float(value) for value in histograms.take([block]).log2_quantile(TIMELINE)]
        for block in range(histograms.blocks)
    ]
