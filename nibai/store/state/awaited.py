"""Since when a source that reads nothing is waited for: the start of a process is no answer."""

from __future__ import annotations

from nibai.store.state.database import State
from nibai.store.state.notes import drop_notes

HEAD = "awaited:"


def awaited_since(state: State, source: str, now: float) -> float:
    """From when on a source is waited for: now, unless it was already.

    A moment that a clock wrote which was ahead is brought back.
    """
    since = waited_for(state, source)
    if since is None or since > now:
        state.set_watermark(HEAD + source, repr(now))
        return now
    return since


def waited_for(state: State, source: str) -> float | None:
    """Since when a source is waited for; None: it read when it was last seen."""
    stored = state.watermark(HEAD + source)
    return None if stored is None else float(stored)


def arrived(state: State, source: str) -> None:
    """A source has read; what it fails to do from now on is counted anew."""
    with state.begin() as connection:
        drop_notes(connection, [HEAD + source])
