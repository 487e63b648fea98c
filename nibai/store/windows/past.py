"""The unchanged past of a judged series from the lake: one query, bounded, sums only."""

from __future__ import annotations

from collections.abc import Iterable

from nibai.model import Change, History, Window
from nibai.stats.clock import BlockPlan
from nibai.stats.past_pairs import plan_past
from nibai.store.series.blocks import Blocks, Engine


def past_of(
    engine: Engine, change: Change, metric: str, plan: BlockPlan, known_changes: Iterable[float]
) -> History | None:
    """Parts of the baseline's series before the change; None where windows cannot be paired.

    Reads at most 40 windows back (for windows under a day the hours around their clock position on
    at most 30 days), from the hour tables where parts are whole hours.
    """
    if plan.gate is not None or not plan.baseline.seconds:
        return None
    past = plan_past(
        plan.baseline,
        plan.candidate,
        plan.blocks,
        unchanged=_unchanged(change, plan),
        changes=known_changes,
    )
    if not len(past.pairs):
        return past.history({})
    first = Window(past.start, past.start + past.stretch_seconds)
    blocks = Blocks(first, past.parts_per_stretch, past.stretches, past.period)
    return past.history(engine.pooled(change.endpoint, metric, change.baseline_variant, blocks))


def moment_of(change: Change) -> float | None:
    """When a change moved the traffic of its baseline's series; None for variants side by side."""
    if change.effective_at is not None:
        return change.effective_at
    if change.baseline_variant == change.candidate_variant and change.candidate_window is not None:
        return change.candidate_window.start
    return None


def _unchanged(change: Change, plan: BlockPlan) -> Window:
    """Where the baseline's series may serve as its own past: the candidate never is part of it."""
    if change.baseline_variant != change.candidate_variant:
        return Window(0.0, plan.baseline.end)
    if plan.candidate.start < plan.baseline.start:
        return Window(plan.candidate.end, plan.baseline.end)
    moments = [plan.candidate.start]
    quiet = change.unchanged_until
    if quiet is not None and quiet > plan.baseline.start:
        moments.append(quiet)
    return Window(0.0, min(moments))
