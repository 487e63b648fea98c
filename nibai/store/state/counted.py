"""Until when minutes of an endpoint's metric have ever counted as final, for all of them together.

Whoever watches counts the minutes of a metric up to where every series that is still read is final,
whatever variant, replica, segment or source they are of. A series that fell a day behind is not
waited for, and a new one was not known: what they bring later changes minutes that were counted,
though no mark of their own says so. Hence this mark, which never falls.
"""

from __future__ import annotations

from collections.abc import Collection

from nibai.store.state.database import State
from nibai.store.state.notes import notes, put_notes
from nibai.store.state.watermarks import watermarks

HEAD = "counted:"

Counted = tuple[str, str]
"""Endpoint and metric."""


def raise_counted(state: State, endpoints: Collection[str]) -> None:
    """Series of some endpoints were read on."""
    found = {
        f"{endpoint}:{metric}": mark.final_until
        for endpoint in endpoints
        for metric, mark in watermarks(state, endpoint).items()
    }
    with state.begin() as connection:
        known = notes(connection, HEAD)
        risen = {one: until for one, until in found.items() if until > float(known.get(one, 0.0))}
        put_notes(connection, {HEAD + one: repr(until) for one, until in risen.items()})


def counted_marks(state: State) -> dict[Counted, float]:
    """Of everything that pulled sources ever brought."""
    with state.begin() as connection:
        known = notes(connection, HEAD)
    found: dict[Counted, float] = {}
    for one, until in known.items():
        endpoint, _, metric = one.rpartition(":")
        found[endpoint, metric] = float(until)
    return found
