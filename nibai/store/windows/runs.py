"""Runs of two variants from the lake: the run is the unit, and runs of one name are matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nibai.conventions import metric_named
from nibai.model import BlockSeries, Change, Comparison, ReplicaSample, Side, UnitKind, WindowKind
from nibai.store.series.blocks import Blocks, Engine, SeriesSpan
from nibai.store.windows.spans import whole
from nibai.store.windows.stated import declared_flaw, labels

RUN_BLOCKS = 1
"""Runs are shorter than a minute table resolves: each is one block, the run is the unit."""


def compare_runs(
    engine: Engine,
    change: Change,
    metric: str,
    baseline: Sequence[SeriesSpan],
    candidate: Sequence[SeriesSpan],
) -> Comparison:
    """Every run as a replica of its variant."""
    sides = [_side(engine, change.endpoint, metric, spans) for spans in (baseline, candidate)]
    points = [[replica.design_point for replica in side] for side in sides]
    matched = set(points[0]) == set(points[1]) and len(set(points[0])) == len(points[0])
    if matched:
        sides = [sorted(side, key=lambda r: r.design_point or "") for side in sides]
    known, order = metric_named(metric), change.evidence.get("order")
    old, new = labels(change, ("baseline", "candidate"))
    return Comparison(
        metric=metric,
        kind=WindowKind.RUNS,
        unit=UnitKind.RUN,
        baseline=Side(old, tuple(sides[0])),
        candidate=Side(new, tuple(sides[1])),
        value_unit=known.unit,
        higher_is_better=known.higher_is_better,
        matched=matched,
        arrivals_known=True,
        sweep_order=(order, order),
        gate=declared_flaw(change),
        notes=(_matching(matched=matched),),
    )


def _side(
    engine: Engine, endpoint: str, metric: str, spans: Sequence[SeriesSpan]
) -> list[ReplicaSample]:
    if not spans:
        return []
    found = engine.blocks(endpoint, metric, spans[0].variant, Blocks(whole(spans), RUN_BLOCKS))
    return [_run(span, found.get(span.replica) or {"": BlockSeries.empty(1)}) for span in spans]


def _run(span: SeriesSpan, segments: Mapping[str, BlockSeries]) -> ReplicaSample:
    own = whole([span])
    return ReplicaSample(
        span.replica,
        segments,
        np.array([own.start]),
        own.seconds,
        window=own,
        design_point=design_point(span),
    )


def design_point(span: SeriesSpan) -> str:
    """What matches a run with one of the other variant: its name without the variant's.

    >>> design_point(SeriesSpan("fp32", "fp32-r1", 0, 0, 1))
    'r1'
    """
    rest = span.replica.removeprefix(span.variant)
    return rest.lstrip("-_./: ") or span.replica


def _matching(*, matched: bool) -> str:
    return (
        "runs are matched by their names without the variant's"
        if matched
        else "runs of the two sides do not match by name and are compared unmatched"
    )
