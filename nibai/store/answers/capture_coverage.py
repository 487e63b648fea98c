"""Hours of which fewer answers were captured than there should be: counted, and seen in windows."""

from __future__ import annotations

from collections.abc import Sequence

from nibai.conventions import LIVE_SOURCES
from nibai.model import ExpectedAnswers, Window
from nibai.predictions import CaptureGap
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Engine
from nibai.store.state.capture_hours import put_captured
from nibai.store.state.database import State

HOUR = 3600.0
_LIVE = ", ".join(map(literal, LIVE_SOURCES))


def put_coverage(state: State, lake: Lake, expected: Sequence[ExpectedAnswers]) -> None:
    """Keep what is expected of some hours beside what the lake holds of them now."""
    if not expected:
        return
    captured = _captured(lake, expected)
    found = (
        captured.get((one.endpoint, one.variant, int(one.hour // HOUR)), 0) for one in expected
    )
    put_captured(state, zip(expected, found, strict=True))


def gaps_within(
    gaps: Sequence[CaptureGap], sides: Sequence[tuple[str | None, Window]]
) -> tuple[CaptureGap, ...]:
    """The gaps of some variants (None: any), each in its window."""
    return tuple(
        gap
        for gap in gaps
        if any(
            variant in (None, gap.variant)
            and window.start - HOUR < gap.hour
            and gap.hour < window.end
            for variant, window in sides
        )
    )


def _captured(lake: Lake, expected: Sequence[ExpectedAnswers]) -> dict[tuple[str, str, int], int]:
    """Requests whose live answers the lake holds, by endpoint, variant and hour."""
    hours = [one.hour for one in expected]
    window = Window(min(hours), max(hours) + HOUR)
    files = Engine(lake).answer_files(window)
    if not files:
        return {}
    endpoints = ", ".join(literal(name) for name in sorted({one.endpoint for one in expected}))
    hour_us = int(HOUR * 1e6)
    with reading(lake.root):
        found = connect().execute(
            f"SELECT endpoint, variant, at_us // {hour_us}, round(sum(1.0 / batch))::BIGINT "
            f"FROM {files} WHERE endpoint IN ({endpoints}) AND source IN ({_LIVE}) "
            f"AND repeat = 0 AND at_us BETWEEN {int(window.start * 1e6)} AND "
            f"{int(window.end * 1e6)} GROUP BY 1, 2, 3"
        )
    return {(str(e), str(v), int(h)): int(n) for e, v, h, n in found.fetchall()}
