"""What a receiver does not know yet: the difference between how alerts stand and what was told.

Not a queue of messages: after an outage of a receiver only the newest state is left to tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from nibai.model import Alert, AlertState, Notice, Silence
from nibai.store.state.alerts import Delivery


def notice_for(
    delivery: Delivery,
    alerts: Sequence[Alert],
    silences: Sequence[Silence],
    now: float,
    repeat_seconds: float | None,
) -> Notice | None:
    """What a receiver is to be told of the alerts of one group; None: it knows everything.

    Alerts that never fired, and those that began and ended in a silence, are told to nobody. While
    a message is open everything of the group belongs to it; afterwards news begin another.
    """
    told = delivery.told
    everything = Notice(delivery.group, tuple(alerts), told, told_as=delivery.told_as)
    audible = [
        alert for alert in alerts if told.get(alert.fingerprint) or _audible(alert, silences, now)
    ]
    news = [alert for alert in audible if alert in everything.news]
    open_ = any(state is AlertState.FIRING for state in told.values())
    if not news and not (open_ and _to_repeat(delivery, now, repeat_seconds)):
        return None
    belong = audible if open_ else news
    kept = {a.fingerprint: told[a.fingerprint] for a in belong if a.fingerprint in told}
    # A failed delivery may have told the message, only not all that belongs to it.
    message_id = delivery.message_id if open_ or delivery.problem is not None else None
    told_as = {key: delivery.told_as[key] for key in kept if key in delivery.told_as}
    return Notice(delivery.group, tuple(belong), kept, message_id, told_as)


def _audible(alert: Alert, silences: Sequence[Silence], now: float) -> bool:
    if alert.fired_at is None or alert.state is AlertState.PENDING:
        return False
    moment = now if alert.state is AlertState.FIRING else alert.changed_at
    return not any(silence.covers(alert, moment) for silence in silences)


def _to_repeat(delivery: Delivery, now: float, repeat_seconds: float | None) -> bool:
    if repeat_seconds is None:
        return False
    return delivery.told_at is None or now - delivery.told_at >= repeat_seconds
