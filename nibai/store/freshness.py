"""Until when the pulled sources of an endpoint were read: what came later is not known."""

from __future__ import annotations

import sqlalchemy as sa

from nibai.store.migrations import MAINTENANCE
from nibai.store.state import State

HEAD = "pull:"
CAPTURES = "data_capture"
FILLING_SECONDS = 2 * 3600.0
"""Captures are kept as read up to the hour from which they are listed again."""


def read_until(state: State, endpoint: str) -> tuple[str, float] | None:
    """The source of an endpoint's series that was read least far, and until when; None: no source.

    Series of SageMaker are told by their dimensions, captures by their source and place, those of
    others are not known by name.
    """
    scope, name = endpoint.split("/")[1:3] if endpoint.count("/") > 1 else ("", "")
    account = scope.replace(".", "-")
    query = sa.select(MAINTENANCE).where(MAINTENANCE.c.task.startswith(HEAD))
    with state.begin() as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        source, _, series = row.task.removeprefix(HEAD).partition(":")
        of_endpoint = account in source and f"EndpointName={name}," in f"{series},"
        captures = source == f"{CAPTURES}-{account}-{name}" and series.endswith("/")
        if scope and (of_endpoint or captures):
            found.append((source, float(row.day) + FILLING_SECONDS * captures))
    return min(found, key=lambda one: one[1], default=None)
