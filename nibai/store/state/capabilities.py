"""What `nibai doctor` found out, with the date on which it became so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from nibai.protocols import Capability, Standing
from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import CAPABILITIES


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out earlier: since when it stands so, and when it was looked at last."""

    standing: Standing
    since: float
    checked_at: float


def put_capabilities(
    state: State, found: Iterable[Capability], now: float
) -> dict[tuple[str, str], Known]:
    """Store what was found; what was known of each (topic, name) before."""
    with state.begin() as connection:
        before = {
            (row.topic, row.name): Known(Standing(row.standing), row.since, row.checked_at)
            for row in connection.execute(sa.select(CAPABILITIES))
        }
        rows = {
            (one.topic, one.name): _row(one, before.get((one.topic, one.name)), now)
            for one in found
        }
        replace_rows(connection, CAPABILITIES, list(rows.values()))
    return before


def _row(one: Capability, known: Known | None, now: float) -> dict[str, object]:
    same = known is not None and known.standing is one.standing
    return {
        "topic": one.topic,
        "name": one.name,
        "standing": one.standing.value,
        "since": known.since if known is not None and same else now,
        "checked_at": now,
        "said": one.said,
    }
