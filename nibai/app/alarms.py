"""Alarms of the detector of latencies and failures in words, as the state keeps them."""

from __future__ import annotations

from nibai.app.changes import declare_line
from nibai.conventions import metric_named
from nibai.document import iso
from nibai.history import Alarm, Suspect
from nibai.model import Moved
from nibai.store.state.detections import Alarmed

DAY_SECONDS = 86400.0


def latency_alarm(alarm: Alarm, series: str, tolerate_seconds: float) -> Alarmed:
    """An alarm of the detector of latencies and failures."""
    days = tolerate_seconds / DAY_SECONDS
    name = (alarm.variant or "all variants together", alarm.metric, alarm.segment)
    return Alarmed(
        endpoint=alarm.endpoint,
        series=series,
        moved=_direction(alarm),
        began_at=alarm.at,
        raised_at=alarm.raised_at,
        text=f"{', '.join(one for one in name if one)}: {alarm.movement.text}",
        tolerated=f"one of all series together in {days:g} days is tolerated",
        suspect=_suspected(alarm.suspect, alarm.endpoint),
        declare=declare_line(alarm),
    )


def _direction(alarm: Alarm) -> Moved:
    """For the worse, unless what moved is known to have become better."""
    size = alarm.movement.size.value
    if size is None:
        return Moved.WORSE
    if alarm.movement.view == "errors":
        return Moved.BETTER if size < 0 else Moved.WORSE
    higher = metric_named(alarm.metric).higher_is_better
    return Moved.BETTER if (size > 1) is not higher else Moved.WORSE


def _suspected(suspect: Suspect | None, endpoint: str) -> str:
    if suspect is None:
        return ""
    kinds = f" ({', '.join(suspect.kinds)})" if suspect.kinds else ""
    where = "" if suspect.endpoint == endpoint else f" of {suspect.endpoint}"
    return f"change {suspect.change_id}{kinds}{where} at {iso(suspect.effective_at)}"
