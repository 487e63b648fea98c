"""Alarms of detectors as detections: those of one event together, and what explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nibai.app.audit import Desk
from nibai.model import Change, Detection
from nibai.store.detections import Alarmed, alarms_since
from nibai.store.past import moment_of

DAY_SECONDS = 86400.0
TOLD_SECONDS = 7 * DAY_SECONDS
SHOWN_SECONDS = 9 * DAY_SECONDS
"""Longer than an alert lives, so that none loses what it is about."""

ONE_EVENT_SECONDS = DAY_SECONDS
"""Alarms of an endpoint in the same direction, raised within it, tell of one event."""

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
        found = alarms_since(self.desk.state, now - SHOWN_SECONDS)
        if not found:
            return ()
        there = {alarm.endpoint for alarm in found}
        changes = [one for one in self.desk.changes() if one.endpoint in there]
        claimed = [one for one in map(self.claimed, changes) if one.sentences and not one.runs]
        return tuple(_detection(event, claimed) for event in events(found))


def events(alarms: Sequence[Alarmed]) -> list[list[Alarmed]]:
    """Alarms in the order they were raised, those of one event together."""
    found: list[list[Alarmed]] = []
    for alarm in alarms:
        for event in reversed(found):
            first = event[0]
            same = (first.endpoint, first.moved) == (alarm.endpoint, alarm.moved)
            if same and alarm.raised_at - first.raised_at <= ONE_EVENT_SECONDS:
                event.append(alarm)
                break
        else:
            found.append([alarm])
    return found


def _detection(event: Sequence[Alarmed], claimed: Sequence[Change]) -> Detection:
    first = event[0]
    began = min(alarm.began_at for alarm in event)
    explaining = [
        change.id
        for change in claimed
        if change.endpoint == first.endpoint
        and began - EXPLAINED_SECONDS <= (moment_of(change) or 0.0) <= first.raised_at
    ]
    return Detection(
        id=first.id,
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
