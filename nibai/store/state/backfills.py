"""Past that is being pushed: until it is there, blocks that ended long ago may still be empty.

Whoever pushes days of the past needs minutes for it, one variant after the other or in any order.
Pushing of old minutes is an episode that ends when none came for a while; one that goes on for more
than six hours is how an endpoint always sends, and nothing is waited for. Source: nibai's
storage.md, section 4 (old data), and aws.md, R4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from nibai.store.state.database import State
from nibai.store.state.notes import note, put_notes

OLD_SECONDS = 1800.0
"""Minutes that are pushed so long after their end are past; younger ones are merely late."""

WAIT_SECONDS = 900.0
"""So long one waits for more."""

LONGEST_SECONDS = 6 * 3600.0
HEAD = "backfill:"


@dataclass(frozen=True, slots=True)
class Backfill:
    """An episode: when past was first pushed, and until when more is waited for."""

    begun: float
    until: float

    def goes_on(self, now: float) -> bool:
        """Whether more of it is waited for."""
        return now < self.until and now - self.begun < LONGEST_SECONDS

    def after(self, now: float, wait: float = WAIT_SECONDS) -> Backfill:
        """With more of the past, or a new episode.

        >>> Backfill(0.0, 900.0).after(800.0), Backfill(0.0, 900.0).after(900.0)
        (Backfill(begun=0.0, until=1700.0), Backfill(begun=900.0, until=1800.0))
        """
        begun = self.begun if now < self.until else now
        return Backfill(begun, now + wait)


def note_pushed(
    state: State, oldest: Mapping[str, float], now: float, wait: float = WAIT_SECONDS
) -> None:
    """Before it is stored: the oldest moment of what was pushed, by endpoint."""
    past = [name for name, moment in oldest.items() if now - moment > OLD_SECONDS]
    if not past:
        return
    with state.begin() as connection:
        known = {name: _read(connection, name) or Backfill(now, now) for name in past}
        longer = {HEAD + name: one.after(now, wait) for name, one in known.items()}
        put_notes(connection, {name: json.dumps(asdict(one)) for name, one in longer.items()})


def is_filling(state: State, endpoint: str, now: float) -> bool:
    """Whether past of an endpoint is being pushed."""
    with state.begin() as connection:
        known = _read(connection, endpoint)
    return known is not None and known.goes_on(now)


def _read(connection: sa.Connection, endpoint: str) -> Backfill | None:
    found = note(connection, HEAD + endpoint)
    return None if found is None else Backfill(**json.loads(found))
