"""How many answers of each hour were captured, and how many there should be.

The count is taken when a source says how many requests there were, so it outlives the answers.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from nibai.model import ExpectedAnswers
from nibai.predictions import CaptureGap
from nibai.stats.coverage import falls_short
from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import CAPTURE_HOURS


def put_captured(state: State, counted: Iterable[tuple[ExpectedAnswers, int]]) -> None:
    """Keep what is expected of some hours beside how many were captured; an hour's last counts."""
    rows = {
        (one.endpoint, one.variant, one.hour): {
            "endpoint": one.endpoint,
            "variant": one.variant,
            "hour": one.hour,
            "requests": one.requests,
            "share": one.share,
            "captured": captured,
        }
        for one, captured in counted
    }
    with state.begin() as connection:
        replace_rows(connection, CAPTURE_HOURS, list(rows.values()))


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
