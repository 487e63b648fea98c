"""Alarms of detectors as detections: those of one event together, and what explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nibai.app.audit import Desk
from nibai.model import Change, Detection
from nibai.store.state.detections import Alarmed, events_since
from nibai.store.windows.past import moment_of

DAY_SECONDS = 86400.0
TOLD_SECONDS = 7 * DAY_SECONDS
SHOWN_SECONDS = 9 * DAY_SECONDS
"""Longer than an alert lives, so that none loses what it is about."""

EXPLAINED_SECONDS = 6 * 3600.0
"""A change explains what is estimated to have begun so long after it, or before the alarm."""


def unchanged(change: Change) -> Change:
    """No rule claims anything."""
    return change


@dataclass(frozen=True, slots=True)
class Detections:
    """What the detectors of a desk noticed lately; `claimed` adds what rules claim of a change."""

    desk: Desk
    claimed: Callable[[Change], Change] = unchanged

    def __call__(self, now: float) -> tuple[Detection, ...]:
        """Everything that may still concern somebody at a moment."""
        found = events_since(self.desk.state, now - SHOWN_SECONDS)
        if not found:
            return ()
        there = {event[0].endpoint for event in found.values()}
        changes = [one for one in self.desk.changes() if one.endpoint in there]
        claimed = [one for one in map(self.claimed, changes) if one.sentences and not one.runs]
        return tuple(_detection(name, event, claimed) for name, event in found.items())


def _detection(name: str, event: Sequence[Alarmed], claimed: Sequence[Change]) -> Detection:
    first = event[0]
    began = min(alarm.began_at for alarm in event)
    explaining = [
        change.id
        for change in claimed
        if change.endpoint == first.endpoint
        and began - EXPLAINED_SECONDS <= (moment_of(change) or 0.0) <= first.raised_at
    ]
    return Detection(
        id=name,
        endpoint=first.endpoint,
        moved=first.moved,
        at=began,
        raised_at=first.raised_at,
        movements=tuple(dict.fromkeys(alarm.text for alarm in event)),
        tolerated=first.tolerated,
        suspect=next((alarm.suspect for alarm in event if alarm.suspect), ""),
        declare=first.declare,
        followed_by=min(explaining, default=None),
    )


def unannounced(detections: Sequence[Detection], now: float) -> Counter[tuple[str, str]]:
    """How many an endpoint has of each kind that no claim is about."""
    return Counter(
        (one.endpoint, one.moved.value)
        for one in detections
        if one.followed_by is None and now - one.raised_at < TOLD_SECONDS
    )
