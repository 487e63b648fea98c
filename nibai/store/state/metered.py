"""What reading each source was billed, by month: kept in the state, restarts forget nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import METERED


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars of a month; `dearest` is the most that was paid at a time.

    A month in which nothing was paid yet has the dearest of the last one.
    """

    dollars: float = 0.0
    dearest: float = 0.0


def bill(state: State, source: str, month: str) -> Bill:
    """What a source was billed in a month ("2026-03")."""
    with state.begin() as connection:
        found = _bill(connection, source, month)
        if found is not None:
            return found
        earlier = (METERED.c.source == source, METERED.c.month < month)
        query = sa.select(METERED.c.dearest).where(*earlier).order_by(METERED.c.month.desc())
        return Bill(dearest=float(connection.execute(query.limit(1)).scalar() or 0.0))


def put_paid(state: State, source: str, month: str, dollars: float, at_a_time: float) -> Bill:
    """Something was paid, as a part of `at_a_time`; the month's bill with it."""
    with state.begin() as connection:
        before = _bill(connection, source, month) or Bill()
        after = Bill(before.dollars + dollars, max(before.dearest, at_a_time))
        replace_rows(connection, METERED, [{"source": source, "month": month, **asdict(after)}])
    return after


def _bill(connection: sa.Connection, source: str, month: str) -> Bill | None:
    query = sa.select(METERED.c.dollars, METERED.c.dearest).where(
        METERED.c.source == source, METERED.c.month == month
    )
    row = connection.execute(query).first()
    return None if row is None else Bill(float(row[0]), float(row[1]))
