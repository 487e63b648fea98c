"""How many answers of each hour were captured, and how many there should be: kept in the state.

The count is taken when a source says how many requests there were, so it outlives the answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import sqlalchemy as sa

from nibai.conventions import LIVE_SOURCES
from nibai.model import ExpectedAnswers, Window
from nibai.predictions import CaptureGap
from nibai.stats.coverage import falls_short
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Engine, unreadable
from nibai.store.state.database import State
from nibai.store.state.tables import CAPTURE_HOURS

HOUR = 3600.0
_LIVE = ", ".join(map(literal, LIVE_SOURCES))


def put_coverage(state: State, lake: Lake, expected: Sequence[ExpectedAnswers]) -> None:
    """Keep what is expected of some hours beside what the lake holds of them now."""
    if not expected:
        return
    captured = _captured(lake, expected)
    table = CAPTURE_HOURS
    with state.begin() as connection:
        for one in expected:
            key = {"endpoint": one.endpoint, "variant": one.variant, "hour": one.hour}
            connection.execute(table.delete().where(*(table.c[k] == v for k, v in key.items())))
            found = captured.get((one.endpoint, one.variant, int(one.hour // HOUR)), 0)
            row = {**key, "requests": one.requests, "share": one.share, "captured": found}
            connection.execute(table.insert().values(row))


def capture_gaps(state: State, endpoint: str) -> list[CaptureGap]:
    """Hours of which too little was captured, in order of time."""
    table = CAPTURE_HOURS
    query = sa.select(table).where(table.c.endpoint == endpoint)
    with state.begin() as connection:
        rows = connection.execute(query.order_by(table.c.hour, table.c.variant)).all()
    return [
        CaptureGap(row.variant, row.hour, row.captured, round(row.requests * row.share))
        for row in rows
        if falls_short(row.captured, row.requests, row.share)
    ]


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
    try:
        found = connect().execute(
            f"SELECT endpoint, variant, at_us // {hour_us}, round(sum(1.0 / batch))::BIGINT "
            f"FROM {files} WHERE endpoint IN ({endpoints}) AND source IN ({_LIVE}) "
            f"AND repeat = 0 AND at_us BETWEEN {int(window.start * 1e6)} AND "
            f"{int(window.end * 1e6)} GROUP BY 1, 2, 3"
        )
    except duckdb.Error as error:
        raise unreadable(lake.root, error) from error
    return {(str(e), str(v), int(h)): int(n) for e, v, h, n in found.fetchall()}
