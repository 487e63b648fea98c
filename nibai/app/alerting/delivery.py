"""Telling the receivers: at least once, one open message a group, nothing lost, no flood.

A delivery is claimed in the state before it is made and noted there afterwards: a crash between
the two may repeat one message and never loses one. A receiver that fails is left alone for a
while, longer each time; then one message finds out whether it is back.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from nibai.app.alerting.notices import notice_for
from nibai.errors import NotifyError
from nibai.model import Alert, AlertState, Notice, Severity, Silence
from nibai.protocols import Notifier, Repeating
from nibai.redaction import redacted
from nibai.store.state import alerts as table
from nibai.store.state.alerts import Delivery
from nibai.store.state.database import State

LEASE_SECONDS = 120.0
"""How long a delivery may take until another process may make it again."""

MESSAGES_PER_TURN = 20
"""To one receiver; the rest follows at the next turn, a minute later."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30.0, 300.0
REFUSED_PAUSE_SECONDS = 3600.0
"""After a refusal that trying again does not cure: somebody has to change something first."""

LOUDEST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_Heard = Mapping[str, Mapping[str, AlertState]]
"""Of an alert's fingerprint: who was told of it, and in which state."""

Route = Callable[[Alert], Sequence[str]]
Count = Callable[[str, str], None]
"""(receiver's notifier, how the message ended)."""


@dataclass(frozen=True, slots=True)
class Telling:
    """A receiver as it is told: its name in the state, the name of its notifier, and that."""

    name: str
    kind: str
    notifier: Notifier


@dataclass(slots=True)
class Courier:
    """Brings every receiver what it does not know yet."""

    state: State
    receivers: Sequence[Telling]
    route: Route
    count: Count
    _paused: dict[str, float] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    def deliver(self, now: float) -> list[str]:
        """One turn; the problems of this turn, a line each."""
        alerts, silences, known = table.everything(self.state)
        fired = [alert for alert in alerts if alert.fired_at is not None]
        problems: list[str] = []
        heard = _heard(known.values())
        for receiver in self.receivers:
            mine = [alert for alert in fired if self._concerns(receiver.name, alert, heard)]
            if now >= self._paused.get(receiver.name, now):
                problems += self._turn(receiver, mine, silences, known, now)
        return problems

    def _concerns(self, receiver: str, alert: Alert, heard: _Heard) -> bool:
        """Whether a receiver is to hear of an alert, also where routes were changed meanwhile.

        Who was told that it fires is told its end. One that is over, and that somebody heard of who
        would not today, began and ended elsewhere.
        """
        states = heard.get(alert.fingerprint, {})
        if states.get(receiver) is AlertState.FIRING:
            return True
        routed = self.route(alert)
        elsewhere = alert.state is AlertState.RESOLVED and not states.keys() <= {*routed}
        return receiver in routed and (receiver in states or not elsewhere)

    def _turn(
        self,
        receiver: Telling,
        alerts: Sequence[Alert],
        silences: Sequence[Silence],
        known: Mapping[tuple[str, str], Delivery],
        now: float,
    ) -> list[str]:
        if not any(name == receiver.name for _, name in known):
            self._introduce(receiver, alerts)
            known = table.deliveries(self.state)
        notifier = receiver.notifier
        repeat = notifier.repeat_seconds if isinstance(notifier, Repeating) else None
        problems: list[str] = []
        made = 0
        for group, together in _groups(alerts):
            delivery = known.get((group, receiver.name), Delivery(group, receiver.name))
            due = notice_for(delivery, together, silences, now, repeat)
            if due is None or delivery.due_at > now:
                continue
            # A receiver that forgets must hear everything in time.
            if made == MESSAGES_PER_TURN and repeat is None:
                break
            claimed = table.claim_delivery(
                self.state, group, receiver.name, now, now + LEASE_SECONDS
            )
            # What another process told meanwhile is not told again.
            if claimed is None:
                continue
            notice = notice_for(claimed, together, silences, now, repeat)
            if notice is None:
                continue
            made += 1
            problem = self._tell(receiver, claimed, notice, now)
            problems += [] if problem is None else [problem]
            if receiver.name in self._paused:
                break
        return problems

    def _introduce(self, receiver: Telling, alerts: Sequence[Alert]) -> None:
        """A receiver that is new is not told of what was over before it came."""
        for group, together in _groups(alerts):
            over = {a.fingerprint: a.state for a in together if a.state is AlertState.RESOLVED}
            if over:
                table.put_delivery(self.state, Delivery(group, receiver.name, over))

    def _tell(self, receiver: Telling, claimed: Delivery, notice: Notice, now: float) -> str | None:
        try:
            message_id = receiver.notifier.notify(notice)
        except NotifyError as error:
            return self._failed(receiver, claimed, notice, error, now)
        except Exception as error:  # noqa: BLE001 - a plug-in's defect must not silence the others
            # Where, not what: the text of a stranger's error may hold the address with its token.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            broken = NotifyError(
                f"{receiver.kind}: unexpected {type(error).__name__} in {frame.name} "
                f"({Path(frame.filename).name}:{frame.lineno})",
                retryable=True,
                reason="unexpected",
            )
            return self._failed(receiver, claimed, notice, broken, now)
        told = {alert.fingerprint: alert.state for alert in notice.alerts}
        told_as = {alert.fingerprint: alert.severity for alert in notice.alerts}
        table.put_delivery(
            self.state,
            Delivery(
                claimed.group,
                receiver.name,
                {**claimed.told, **told},
                message_id if message_id is not None else notice.message_id,
                due_at=now,
                told_at=now,
                told_as={**claimed.told_as, **told_as},
            ),
        )
        self._failures.pop(receiver.name, None)
        self._paused.pop(receiver.name, None)
        self.count(receiver.kind, "ok")
        return None

    def _failed(
        self, receiver: Telling, claimed: Delivery, notice: Notice, error: NotifyError, now: float
    ) -> str:
        pause = REFUSED_PAUSE_SECONDS
        if error.retryable:
            failures = self._failures.get(receiver.name, 0)
            self._failures[receiver.name] = failures + 1
            # Bounded before it is raised to a power: after days of outage no float holds it.
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
            pause = max(pause, error.retry_after_seconds or 0.0)
            self._paused[receiver.name] = now + pause
        failed = replace(
            claimed,
            due_at=now + pause,
            attempts=claimed.attempts + 1,
            problem=redacted(str(error)),
            message_id=error.message_id or notice.message_id,
        )
        table.put_delivery(self.state, failed)
        self.count(receiver.kind, error.reason)
        return f"{receiver.name}: {error} (tried again in {pause:.0f} s)"


def _heard(known: Iterable[Delivery]) -> _Heard:
    found: dict[str, dict[str, AlertState]] = {}
    for delivery in known:
        for fingerprint, state in delivery.told.items():
            found.setdefault(fingerprint, {})[delivery.receiver] = state
    return found


def _groups(alerts: Iterable[Alert]) -> list[tuple[str, list[Alert]]]:
    """Alerts that are told together; groups with the loudest firing alert first."""
    together = groupby(sorted(alerts, key=lambda a: (a.group, a.since)), key=lambda a: a.group)
    groups = [(group, list(several)) for group, several in together]
    return sorted(groups, key=lambda one: _urgency(one[1]))


def _urgency(alerts: Sequence[Alert]) -> tuple[int, float]:
    firing = [LOUDEST.index(a.severity) for a in alerts if a.state is AlertState.FIRING]
    return min(firing, default=len(LOUDEST)), min(alert.changed_at for alert in alerts)
