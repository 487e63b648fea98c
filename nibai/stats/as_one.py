"""A comparison without its segments: all requests together, in the mix in which they came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nibai.histogram import merge
from nibai.model import BlockSeries, Comparison, History, RecordedAs, ReplicaSample, Side
from nibai.stats.sides import in_segment


def as_one_segment(comparison: Comparison, wanted: tuple[str, str] | None) -> Comparison:
    """The comparison of the wanted requests with one segment, "": nothing is left to adjust.

    Strata of load stay: load is matched as before.
    """
    history = comparison.history
    return replace(
        comparison,
        baseline=_side(comparison.baseline, wanted),
        candidate=_side(comparison.candidate, wanted),
        history=None if history is None else _history(history, wanted),
    )


def _side(side: Side, wanted: tuple[str, str] | None) -> Side:
    return replace(side, replicas=tuple(_replica(one, wanted) for one in side.replicas))


def _replica(replica: ReplicaSample, wanted: tuple[str, str] | None) -> ReplicaSample:
    kept = [one for label, one in replica.segments.items() if in_segment(label, wanted)]
    return replace(replica, segments={"": _together(kept)} if kept else {})


def _together(several: list[BlockSeries]) -> BlockSeries:
    if len(several) == 1:
        return several[0]
    strata = zip(*(one.strata for one in several), strict=True)
    return BlockSeries(
        histograms=merge(one.histograms for one in several),
        errors=np.sum([one.errors for one in several], axis=0),
        timeouts=np.sum([one.timeouts for one in several], axis=0),
        sums=np.sum([one.sums for one in several], axis=0),
        strata=tuple(merge(parts) for parts in strata),
        recorded=sum((one.recorded for one in several), RecordedAs()),
    )


def _history(history: History, wanted: tuple[str, str] | None) -> History:
    kept = {label: h for label, h in history.segments.items() if in_segment(label, wanted)}
    if len(kept) < 2 and wanted is None:  # noqa: PLR2004 - one is one already
        return history
    return replace(history, segments={"": merge(kept.values())} if kept else {})
