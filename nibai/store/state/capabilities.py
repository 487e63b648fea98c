"""What `nibai doctor` found out, with the date on which it became so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from nibai.protocols import Capability, Standing
from nibai.store.state.database import State
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
    table = CAPABILITIES
    with state.begin() as connection:
        rows = connection.execute(sa.select(table)).all()
        before = {
            (row.topic, row.name): Known(Standing(row.standing), row.since, row.checked_at)
            for row in rows
        }
        for one in found:
            key = (one.topic, one.name)
            known = before.get(key)
            same = known is not None and known.standing is one.standing
            since = known.since if known is not None and same else now
            here = sa.and_(table.c.topic == one.topic, table.c.name == one.name)
            connection.execute(table.delete().where(here))
            row = {
                "topic": one.topic,
                "name": one.name,
                "standing": one.standing.value,
                "since": since,
                "checked_at": now,
                "said": one.said,
            }
            connection.execute(table.insert().values(row))
    return before
