"""What else happened to an endpoint while it was judged: capacity, captures, roll-backs."""

from __future__ import annotations

import time
from dataclasses import replace

from nibai.model import Audit
from nibai.store.state.database import State
from nibai.store.state.deployments import Deployments

MOST_NOTES = 5


def with_covariates(audit: Audit, state: State) -> Audit:
    """The audit with a note of what was deployed inside its windows beside the change itself.

    No verdict depends on it: a reader who wonders about a figure finds it here.
    """
    sides = (audit.baseline, audit.candidate)
    starts = [side.from_seconds for side in sides if side.from_seconds is not None]
    ends = [side.until_seconds for side in sides if side.until_seconds is not None]
    if not starts or not ends:
        return audit
    seen = Deployments(state).between(audit.change.endpoint, min(starts), max(ends))
    said = [f"{_minute(one.first_seen)} {note}" for one in seen for note in one.notes]
    if not said:
        return audit
    more = f"; and {len(said) - MOST_NOTES} more" if len(said) > MOST_NOTES else ""
    text = f"seen in the time of both windows: {'; '.join(said[:MOST_NOTES])}{more}"
    return replace(audit, notes=(*audit.notes, text))


def _minute(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))
