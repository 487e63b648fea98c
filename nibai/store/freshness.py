"""Until when the pulled sources of an endpoint were read: what came later is not known."""

from __future__ import annotations

import sqlalchemy as sa

from nibai.store.migrations import MAINTENANCE
from nibai.store.state import State

HEAD = "pull:"


def read_until(state: State, endpoint: str) -> tuple[str, float] | None:
    """The source of an endpoint's series that was read least far, and until when; None: no source.

    Series of SageMaker are told by their dimensions, those of others are not known by name.
    """
    scope, name = endpoint.split("/")[1:3] if endpoint.count("/") > 1 else ("", "")
    query = sa.select(MAINTENANCE).where(MAINTENANCE.c.task.startswith(HEAD))
    with state.begin() as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        source, _, series = row.task.removeprefix(HEAD).partition(":")
        of_endpoint = f"EndpointName={name}," in f"{series},"
        if scope and scope.replace(".", "-") in source and of_endpoint:
            found.append((source, float(row.day)))
    return min(found, key=lambda one: one[1], default=None)
