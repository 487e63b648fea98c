"""Which minutes the series of a change cover, and the windows that they leave to it."""

from __future__ import annotations

from collections.abc import Sequence

from nibai.model import Change, Window
from nibai.store.series.blocks import SeriesSpan
from nibai.store.windows.disturbances import Disturbance, undisturbed, undisturbed_alongside


def windows_of(
    change: Change,
    others: Sequence[Disturbance],
    baseline: Sequence[SeriesSpan],
    candidate: Sequence[SeriesSpan],
) -> tuple[Window, Window]:
    """The given windows of a change, else what its sides' series cover and no other one is in."""
    if change.baseline_window is not None and change.candidate_window is not None:
        return change.baseline_window, change.candidate_window
    if change.effective_at is None:
        both = (whole(baseline), whole(candidate))
        b, c = (undisturbed_alongside(one, change, others)[0] for one in both)
        return b, c
    return undisturbed(whole([*baseline, *candidate]), change, others)[0]


def hull_of(change: Change) -> Window | None:
    """From the first of the given windows to the last; None: none is given."""
    windows = [w for w in (change.baseline_window, change.candidate_window) if w is not None]
    if not windows:
        return None
    return Window(min(w.start for w in windows), max(w.end for w in windows))


def of_variant(spans: Sequence[SeriesSpan], variant: str | None) -> list[SeriesSpan]:
    """The series of a variant (None: of all)."""
    return [span for span in spans if variant is None or span.variant == variant]


def whole(spans: Sequence[SeriesSpan]) -> Window:
    """From the first minute to the last."""
    if not spans:
        return Window(0.0, 0.0)
    first = min(span.first_minute for span in spans)
    return Window(first * 60.0, (max(span.last_minute for span in spans) + 1) * 60.0)
