"""The answers of a change from the lake: pairs of two variants, or one variant before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nibai.model import Change, Window
from nibai.predictions import CaptureGap, PredictionSample
from nibai.store.answers.capture_coverage import gaps_within
from nibai.store.answers.periods import answer_periods
from nibai.store.answers.prediction_samples import prediction_samples
from nibai.store.series.blocks import Engine, SeriesSpan
from nibai.store.windows.disturbances import Disturbance, undisturbed_alongside
from nibai.store.windows.spans import of_variant, whole, windows_of

NEVER = Window(0.0, 0.0)


def answers_of(
    engine: Engine,
    change: Change,
    others: Sequence[Disturbance],
    *,
    within: Window | None,
    keep_rows: int = 0,
    gaps: Sequence[CaptureGap] = (),
) -> list[PredictionSample]:
    """A sample per profile of batch; nothing of `others` is in them.

    Of one variant the series `within` a stretch of time say which windows there are.
    """
    if change.baseline_variant != change.candidate_variant:
        return _of_two(engine, change, others, keep_rows, gaps)
    variant = change.baseline_variant
    spans = of_variant(engine.spans(change.endpoint, "latency", within), variant) or _answer_spans(
        engine, change.endpoint, variant
    )
    windows = windows_of(change, others, spans, spans)
    found = answer_periods(engine, change, windows)
    if found is None:
        return []
    own = gaps_within(gaps, [(variant, window) for window in windows])
    return [replace(found, gaps=own)]


def _of_two(
    engine: Engine,
    change: Change,
    others: Sequence[Disturbance],
    keep_rows: int,
    gaps: Sequence[CaptureGap],
) -> list[PredictionSample]:
    kept = whole(_answer_spans(engine, change.endpoint, None)) if others or gaps else NEVER
    kept, said = undisturbed_alongside(kept, change, others)
    variants = (change.baseline_variant, change.candidate_variant)
    windows = (change.baseline_window or kept, change.candidate_window or kept)
    own = gaps_within(gaps, list(zip(variants, windows, strict=True)))
    if said:
        change = replace(change, baseline_window=windows[0], candidate_window=windows[1])
    samples = prediction_samples(engine, change, keep_rows=keep_rows, gaps=own)
    return [replace(found, notes=(*found.notes, *said)) for found in samples]


def _answer_spans(engine: Engine, endpoint: str, variant: str | None) -> list[SeriesSpan]:
    """Minutes that answers are kept of: captures tell no latency."""
    found = [
        SeriesSpan(named, "", first, last, n)
        for name, named, _, first, last, n in engine.answers()
        if name == endpoint
    ]
    return of_variant(found, variant)
