"""The two sides of a change from the lake, as analyzers want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nibai.conventions import METRICS
from nibai.errors import UsageError
from nibai.model import (
    Change,
    Comparison,
    Reason,
    ReasonCode,
    ReplicaSample,
    Side,
    UnitKind,
    Window,
    WindowKind,
)
from nibai.predictions import CaptureGap, PredictionSample
from nibai.stats.clock import BlockPlan, plan_blocks
from nibai.stats.load import Stratified, load_note, stratify
from nibai.store.answers.capture_coverage import gaps_within
from nibai.store.answers.periods import answer_periods
from nibai.store.answers.prediction_samples import prediction_samples
from nibai.store.series.blocks import Blocks, Engine, SeriesSpan, Slots
from nibai.store.windows.disturbances import (
    Disturbance,
    moments,
    undisturbed,
    undisturbed_alongside,
)
from nibai.store.windows.past import past_of
from nibai.store.windows.replica_samples import empty_blocks, replica_samples
from nibai.store.windows.unread import NOTHING_PULLED, Reads, silent

NEVER = Window(0.0, 0.0)
RUN_BLOCKS = 1
"""Runs are shorter than a minute table resolves: each is one block, the run is the unit."""


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
            self._samples = self._answered()
        return self._samples

    def _answered(self) -> list[PredictionSample]:
        change = self._change
        variants = (change.baseline_variant, change.candidate_variant)
        if variants[0] != variants[1]:
            kept = _whole(self._answer_spans(None)) if self._others or self._gaps else NEVER
            kept, said = undisturbed_alongside(kept, change, self._others)
            windows = (change.baseline_window or kept, change.candidate_window or kept)
            gaps = gaps_within(self._gaps, list(zip(variants, windows, strict=True)))
            if said:
                change = replace(change, baseline_window=windows[0], candidate_window=windows[1])
            return [
                replace(found, notes=(*found.notes, *said))
                for found in prediction_samples(
                    self._engine, change, keep_rows=self._keep_rows, gaps=gaps
                )
            ]
        spans = _of_variant(
            self._engine.spans(change.endpoint, "latency", self._looked_at()), variants[0]
        ) or self._answer_spans(variants[0])
        windows = self._live_windows(spans, spans)
        found = answer_periods(self._engine, change, windows)
        if found is None:
            return []
        gaps = gaps_within(self._gaps, [(variants[0], window) for window in windows])
        return [replace(found, gaps=gaps)]

    def _looked_at(self) -> Window | None:
        """The windows that were given, else all time up to now."""
        return _hull(self._change) or self._reads.begun

    def _answer_spans(self, variant: str | None) -> list[SeriesSpan]:
        """Minutes that answers are kept of: captures tell no latency."""
        found = [
            SeriesSpan(named, "", first, last, n)
            for endpoint, named, _, first, last, n in self._engine.answers()
            if endpoint == self._change.endpoint
        ]
        return _of_variant(found, variant)

    def _compare(self, metric: str) -> Comparison | None:
        change = self._change
        spans = self._engine.spans(change.endpoint, metric, self._looked_at())
        if change.candidate_window is None:
            spans = self._reads.as_read(metric, spans)
        baseline = _of_variant(spans, change.baseline_variant)
        candidate = _of_variant(spans, change.candidate_variant)
        if not baseline and not candidate:
            return None
        if change.runs:
            return self._runs(metric, baseline, candidate)
        return self._live(metric, baseline, candidate)

    # -- runs -----------------------------------------------------------------------------
    def _runs(
        self, metric: str, baseline: Sequence[SeriesSpan], candidate: Sequence[SeriesSpan]
    ) -> Comparison:
        change = self._change
        sides = [self._run_side(metric, spans) for spans in (baseline, candidate)]
        points = [[replica.design_point for replica in side] for side in sides]
        matched = set(points[0]) == set(points[1]) and len(set(points[0])) == len(points[0])
        if matched:
            sides = [sorted(side, key=lambda r: r.design_point or "") for side in sides]
        return Comparison(
            metric=metric,
            kind=WindowKind.RUNS,
            unit=UnitKind.RUN,
            baseline=Side(_label(change.baseline_variant, "baseline"), tuple(sides[0])),
            candidate=Side(_label(change.candidate_variant, "candidate"), tuple(sides[1])),
            value_unit=_unit(metric),
            higher_is_better=_higher(metric),
            matched=matched,
            arrivals_known=True,
            sweep_order=(change.evidence.get("order"), change.evidence.get("order")),
            gate=_defect(change),
            notes=(_matching(matched=matched),),
        )

    def _run_side(self, metric: str, spans: Sequence[SeriesSpan]) -> list[ReplicaSample]:
        if not spans:
            return []
        window = Window(
            min(span.first_minute for span in spans) * 60.0,
            (max(span.last_minute for span in spans) + 1) * 60.0,
        )
        variant = spans[0].variant
        found = self._engine.blocks(
            self._change.endpoint, metric, variant, Blocks(window, RUN_BLOCKS)
        )
        replicas = []
        for span in spans:
            own = Window(span.first_minute * 60.0, (span.last_minute + 1) * 60.0)
            segments = found.get(span.replica) or {"": empty_blocks(1)}
            replicas.append(
                ReplicaSample(
                    span.replica,
                    segments,
                    np.array([own.start]),
                    own.seconds,
                    window=own,
                    design_point=design_point(span),
                )
            )
        return replicas

    # -- live traffic ---------------------------------------------------------------------
    def _live(
        self, metric: str, baseline: Sequence[SeriesSpan], candidate: Sequence[SeriesSpan]
    ) -> Comparison:
        change = self._change
        windows = self._live_windows(baseline, candidate)
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
        history = None
        if same and self._with_history:
            history = past_of(self._engine, change, metric, plan, moments(self._others))
        return Comparison(
            metric=metric,
            kind=WindowKind.LIVE,
            unit=UnitKind.BLOCK if same else UnitKind.HOST,
            baseline=Side(_label(change.baseline_variant, "before"), sides[0]),
            candidate=Side(_label(change.candidate_variant, "after"), sides[1]),
            value_unit=_unit(metric),
            higher_is_better=_higher(metric),
            same_hosts=same,
            arrivals_known=True,
            gate=(
                _defect(change)
                or silent(change, metric, _whole([*baseline, *candidate]).end)
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
        windows = self._live_windows(*(self._reads.as_due(metric, side) for side in sides))
        spans = [span for side in sides for span in side]
        return self._reads.gate(metric, spans, max(window.end for window in windows))

    def _bounds(self, spans: Sequence[SeriesSpan]) -> list[str]:
        """What ends windows that nobody gave."""
        change = self._change
        if change.candidate_window is not None:
            return []
        if change.effective_at is None:
            return list(undisturbed_alongside(_whole(spans), change, self._others)[1])
        return list(undisturbed(_whole(spans), change, self._others)[1])

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

    def _live_windows(
        self, baseline: Sequence[SeriesSpan], candidate: Sequence[SeriesSpan]
    ) -> tuple[Window, Window]:
        change = self._change
        if change.baseline_window is not None and change.candidate_window is not None:
            return change.baseline_window, change.candidate_window
        if change.effective_at is None:
            both = (_whole(baseline), _whole(candidate))
            b, c = (undisturbed_alongside(one, change, self._others)[0] for one in both)
            return b, c
        return undisturbed(_whole([*baseline, *candidate]), change, self._others)[0]


def design_point(span: SeriesSpan) -> str:
    """What matches a run with one of the other variant: its name without the variant's.

    >>> design_point(SeriesSpan("fp32", "fp32-r1", 0, 0, 1))
    'r1'
    """
    rest = span.replica.removeprefix(span.variant)
    return rest.lstrip("-_./: ") or span.replica


def _defect(change: Change) -> Reason | None:
    """A flaw of the measurement that was declared with the change."""
    text = change.evidence.get("setup_defect")
    return Reason(ReasonCode.SETUP_DEFECT, f"the measurement is flawed: {text}") if text else None


def _hull(change: Change) -> Window | None:
    windows = [w for w in (change.baseline_window, change.candidate_window) if w is not None]
    if not windows:
        return None
    return Window(min(w.start for w in windows), max(w.end for w in windows))


def _of_variant(spans: Sequence[SeriesSpan], variant: str | None) -> list[SeriesSpan]:
    return [span for span in spans if variant is None or span.variant == variant]


def _whole(spans: Sequence[SeriesSpan]) -> Window:
    if not spans:
        return Window(0.0, 0.0)
    first = min(span.first_minute for span in spans)
    return Window(first * 60.0, (max(span.last_minute for span in spans) + 1) * 60.0)


def _cut_notes(plan: BlockPlan) -> list[str]:
    if not plan.baseline.seconds:
        return []
    return [f"{plan.blocks} blocks of {plan.block_seconds / 60:g} minutes, paired by the clock"]


def _label(variant: str | None, otherwise: str) -> str:
    return variant or otherwise


def _matching(*, matched: bool) -> str:
    return (
        "runs are matched by their names without the variant's"
        if matched
        else "runs of the two sides do not match by name and are compared unmatched"
    )


def _unit(metric: str) -> str:
    known = METRICS.get(metric)
    return known.unit if known is not None else "s"


def _higher(metric: str) -> bool:
    known = METRICS.get(metric)
    return known is not None and known.higher_is_better


def require_sides(change: Change) -> None:
    """UsageError when a change does not say what to compare."""
    if change.effective_at is None and change.baseline_variant is None:
        if change.baseline_window is not None:
            return
        raise UsageError(
            f"change {change.id}: nothing says what to compare: declare --at TIME, two variants, "
            "or two windows (--baseline START/END --candidate START/END)"
        )
