"""The unchanged past of a baseline from files, counted into the parts that placebo pairs need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import BlockHistograms, merge
from nibai.model import History, Window
from nibai.stats.clock import BlockPlan
from nibai.stats.past_pairs import PastPlan, plan_past
from nibai.store.files.layout import Blocks, Layout, ReplicaSpan
from nibai.store.files.scan import Table


@dataclass(frozen=True, slots=True)
class PastSource:
    """Rows of one replica in one table; `own`: of the judged baseline itself."""

    table: Table
    layout: Layout
    span: ReplicaSpan
    own: bool


def past_of_files(plan: BlockPlan, sources: Sequence[PastSource]) -> History | None:
    """The past of the baseline from its own files and those given as history.

    Where both cover a time the baseline's own rows speak: they may stand in both. None where the
    windows cannot be paired.
    """
    if plan.gate is not None or not plan.baseline.seconds:
        return None
    known = [source for source in sources if source.span.start is not None]
    past = plan_past(plan.baseline, plan.candidate, plan.blocks, unchanged=_unchanged(plan, known))
    if not len(past.pairs):
        return past.history({})
    since = min((source.span.start or 0.0 for source in known if source.own), default=np.inf)
    segments: dict[str, list[BlockHistograms]] = {}
    for source in known:
        for label, histograms in _counted(source, past, since):
            segments.setdefault(label, []).append(histograms)
    return past.history({label: merge(parts) for label, parts in segments.items()})


def _unchanged(plan: BlockPlan, sources: Sequence[PastSource]) -> Window:
    """From the first row known to where the candidate begins, or the baseline ends."""
    first = min((source.span.start or 0.0 for source in sources), default=0.0)
    if plan.candidate.start > plan.baseline.start:
        return Window(first, plan.candidate.start)
    return Window(first, plan.baseline.end)


def _counted(source: PastSource, past: PastPlan, since: float) -> list[tuple[str, BlockHistograms]]:
    """Histograms of every part by segment."""
    blocks = Blocks(
        past.start, past.part_seconds, past.parts_per_stretch, past.stretches, past.period
    )
    counted = source.own | (past.part_starts < since)
    found = []
    for bins in source.table.bins(source.layout, blocks, source.span).bins:
        heard = counted[bins.block]
        rows = (bins.block[heard], bins.bucket[heard], bins.count[heard])
        found.append((bins.segment, BlockHistograms.from_rows(*rows, blocks=past.parts)))
    return found
