"""What was noticed, as the state keeps it."""

from nibai.store.state.detections import events_since


def alarms_since(state, moment):
    """Alarms of all events, in the order they were raised."""
    found = [alarm for event in events_since(state, moment).values() for alarm in event]
    return sorted(found, key=lambda alarm: alarm.raised_at)
