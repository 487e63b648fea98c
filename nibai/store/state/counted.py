"""Until when minutes of an endpoint's metric have ever counted as final, for all of them together.

Whoever watches counts the minutes of a metric up to where every series that is still read is final,
whatever variant, replica, segment or source they are of. A series that fell a day behind is not
waited for, and a new one was not known: what they bring later changes minutes that were counted,
though no mark of their own says so. Hence this mark, which never falls.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.tables import MAINTENANCE
from nibai.store.state.watermarks import watermarks

HEAD = "counted:"

Counted = tuple[str, str]
"""Endpoint and metric."""


def raise_counted(state: State, endpoints: Collection[str]) -> None:
    """Series of some endpoints were read on."""
    found = {
        f"{HEAD}{endpoint}:{metric}": mark.final_until
        for endpoint in endpoints
        for metric, mark in watermarks(state, endpoint).items()
    }
    table = MAINTENANCE
    with state.begin() as connection:
        query = sa.select(table).where(table.c.task.in_(list(found)))
        known = {row.task: float(row.day) for row in connection.execute(query)}
        risen = {task: until for task, until in found.items() if until > known.get(task, 0.0)}
        if risen:
            connection.execute(table.delete().where(table.c.task.in_(list(risen))))
            rows = [{"task": task, "day": repr(until)} for task, until in risen.items()]
            connection.execute(table.insert(), rows)


def counted_marks(state: State) -> dict[Counted, float]:
    """Of everything that pulled sources ever brought."""
    query = sa.select(MAINTENANCE).where(MAINTENANCE.c.task.startswith(HEAD))
    with state.begin() as connection:
        rows = connection.execute(query).all()
    found: dict[Counted, float] = {}
    for row in rows:
        endpoint, _, metric = row.task.removeprefix(HEAD).rpartition(":")
        found[endpoint, metric] = float(row.day)
    return found
