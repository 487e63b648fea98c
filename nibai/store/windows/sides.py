"""The two sides of a change from the lake, as analyzers want them."""

from __future__ import annotations

from collections.abc import Sequence

from nibai.conventions import metric_named
from nibai.model import (
    Change,
    Comparison,
    Reason,
    Side,
    UnitKind,
    Window,
    WindowKind,
)
from nibai.predictions import CaptureGap, PredictionSample
from nibai.stats.clock import BlockPlan, plan_blocks
from nibai.stats.load import Stratified, load_note, stratify
from nibai.store.series.blocks import Blocks, Engine, SeriesSpan, Slots
from nibai.store.windows.answered import answers_of
from nibai.store.windows.disturbances import (
    Disturbance,
    moments,
    undisturbed,
    undisturbed_alongside,
)
from nibai.store.windows.past import past_of
from nibai.store.windows.replica_samples import replica_samples
from nibai.store.windows.runs import compare_runs
from nibai.store.windows.spans import hull_of, of_variant, whole, windows_of
from nibai.store.windows.stated import declared_flaw, labels
from nibai.store.windows.unread import NOTHING_PULLED, Reads, silent


class LakeWindows:
    """Windows of one change over an engine.

    Two variants are compared over the change's windows (default: all they share); one variant is
    cut at `effective_at` into equal stretches before and after, as far as nothing of `others` is in
    the way, which no placebo pair may span either. `keep_rows` single pairs of
    answers are kept beside their counts. `gaps` are hours of which answers are missing, `reads`
    tells what of the windows was not read yet.
    """

    def __init__(
        self,
        engine: Engine,
        change: Change,
        others: Sequence[Disturbance] = (),
        *,
        with_history: bool = True,
        keep_rows: int = 0,
        gaps: Sequence[CaptureGap] = (),
        reads: Reads = NOTHING_PULLED,
    ) -> None:
        self._engine = engine
        self._reads = reads
        self._gaps = gaps
        self._change = change
        self._others = others
        self._with_history = with_history
        self._keep_rows = keep_rows
        self._found: dict[str, Comparison | None] = {}
        self._samples: list[PredictionSample] | None = None

    def comparison(self, metric: str) -> Comparison | None:
        """Block histograms of a metric; None when the lake has none of it on either side."""
        if metric not in self._found:
            self._found[metric] = self._compare(metric)
        return self._found[metric]

    def predictions(self) -> Sequence[PredictionSample]:
        """Pairs of answers by profile of batch; of one variant, answers before and after."""
        if self._samples is None:
            self._samples = answers_of(
                self._engine,
                self._change,
                self._others,
                within=self._looked_at(),
                keep_rows=self._keep_rows,
                gaps=self._gaps,
            )
        return self._samples

    def _looked_at(self) -> Window | None:
        """The windows that were given, else all time up to now."""
        return hull_of(self._change) or self._reads.begun

    def _compare(self, metric: str) -> Comparison | None:
        change = self._change
        spans = self._engine.spans(change.endpoint, metric, self._looked_at())
        if change.candidate_window is None:
            spans = self._reads.as_read(metric, spans)
        baseline = of_variant(spans, change.baseline_variant)
        candidate = of_variant(spans, change.candidate_variant)
        if not baseline and not candidate:
            return None
        if change.runs:
            return compare_runs(self._engine, change, metric, baseline, candidate)
        return self._live(metric, baseline, candidate)

    def _live(
        self, metric: str, baseline: Sequence[SeriesSpan], candidate: Sequence[SeriesSpan]
    ) -> Comparison:
        change = self._change
        windows = windows_of(change, self._others, baseline, candidate)
        plan = plan_blocks(*windows)
        variants = (change.baseline_variant, change.candidate_variant)
        blocks = [Blocks(window, plan.blocks) for window in (plan.baseline, plan.candidate)]
        load = None if plan.gate is not None else self._stratify(metric, variants, blocks)
        sides = []
        for i, variant in enumerate(variants):
            slots = None
            if load is not None and load.load.edges:
                strata = len(load.load.edges) + 1
                slots = Slots(load.load.slot_seconds, tuple(load.slots[i].tolist()), strata)
            found = self._engine.blocks(change.endpoint, metric, variant, blocks[i], slots)
            sides.append(replica_samples(found, blocks[i].window, plan.blocks))
        names = [{replica.name for replica in side} for side in sides]
        # The same replicas before and after, or one variant cut in time: time blocks are the unit.
        same = names[0] == names[1] or change.baseline_variant == change.candidate_variant
        known = metric_named(metric)
        before, after = labels(change, ("before", "after"))
        history = None
        if same and self._with_history:
            history = past_of(self._engine, change, metric, plan, moments(self._others))
        return Comparison(
            metric=metric,
            kind=WindowKind.LIVE,
            unit=UnitKind.BLOCK if same else UnitKind.HOST,
            baseline=Side(before, sides[0]),
            candidate=Side(after, sides[1]),
            value_unit=known.unit,
            higher_is_better=known.higher_is_better,
            same_hosts=same,
            arrivals_known=True,
            gate=(
                declared_flaw(change)
                or silent(change, metric, whole([*baseline, *candidate]).end)
                or self._unread(metric, baseline, candidate)
                or plan.gate
            ),
            notes=(
                *_cut_notes(plan),
                *self._reads.notes(metric, windows),
                *self._bounds([*baseline, *candidate]),
                *(() if load is None else (load_note(load.load),)),
            ),
            history=history,
            load=None if load is None else load.load,
        )

    def _unread(self, metric: str, *sides: Sequence[SeriesSpan]) -> Reason | None:
        """Windows that nobody gave would go on if more was read: they are judged when it is."""
        windows = windows_of(
            self._change, self._others, *(self._reads.as_due(metric, side) for side in sides)
        )
        spans = [span for side in sides for span in side]
        return self._reads.gate(metric, spans, max(window.end for window in windows))

    def _bounds(self, spans: Sequence[SeriesSpan]) -> list[str]:
        """What ends windows that nobody gave."""
        change = self._change
        if change.candidate_window is not None:
            return []
        if change.effective_at is None:
            return list(undisturbed_alongside(whole(spans), change, self._others)[1])
        return list(undisturbed(whole(spans), change, self._others)[1])

    def _stratify(
        self, metric: str, variants: Sequence[str | None], blocks: Sequence[Blocks]
    ) -> Stratified | None:
        """Strata of load over both windows, None when a side has no requests."""
        if min(one.window.seconds for one in blocks) <= 0:
            return None
        seconds = max(self._engine.slot_seconds(one) for one in blocks)
        baseline, candidate = (
            self._engine.arrivals(self._change.endpoint, metric, variant, one.window, seconds)
            for variant, one in zip(variants, blocks, strict=True)
        )
        if not (baseline.any() and candidate.any()):
            return None
        return stratify(baseline, candidate, seconds)


def _cut_notes(plan: BlockPlan) -> list[str]:
    if not plan.baseline.seconds:
        return []
    return [f"{plan.blocks} blocks of {plan.block_seconds / 60:g} minutes, paired by the clock"]
