"""Rules, lifecycle, state and receivers behind the one call that `nibai run` makes."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nibai import plugins
from nibai.app.alerting.delivery import Count, Courier, Telling
from nibai.errors import NotifyError, PluginError
from nibai.model import Alert, AlertState, Round
from nibai.protocols import Addressee, Notifier, RuleBook, Surroundings
from nibai.store.state import alerts as table
from nibai.store.state.database import State

LOG = logging.getLogger("nibai.alerts")


@dataclass(frozen=True, slots=True)
class Engine:
    """An `Alerting`: considers a round, keeps the alerts, tells the receivers; thread-safe."""

    book: RuleBook
    state: State
    courier: Courier
    clock: Callable[[], float]
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, seen: Round) -> None:
        """Consider a round and deliver; NotifyError names what was not told and is tried again."""
        self.consider(seen)
        self.deliver()

    def consider(self, seen: Round) -> list[Alert]:
        """The alerts that a round changed; they are durable."""
        back = table.rolled_back(self.state)
        standings = tuple(
            replace(one, rolled_back=True) if one.change.id in back else one
            for one in seen.standings
        )
        found = replace(seen, standings=standings)
        return table.step_alerts(
            self.state,
            lambda known: (self.book.advance(known, found), self.book.forgotten(known, found)),
        )

    def deliver(self) -> None:
        """Tell every receiver what it does not know yet."""
        with self._turn:
            problems = self.courier.deliver(self.clock())
        if problems:
            raise NotifyError("; ".join(problems), retryable=True, reason="not_told")

    def counts(self) -> Mapping[AlertState, int]:
        """How many alerts are in each state."""
        return Counter(alert.state for alert in table.alerts(self.state))


def open_alerting(
    rules: Path,
    state: State,
    surroundings: Surroundings,
    count: Count = lambda _notifier, _result: None,
) -> Engine:
    """Alerting by a rule file; ConfigError lists what is wrong with it, PluginError a receiver's.

    `count` is called with a notifier's name and how a message ended ("ok", or a reason).
    """
    book = rule_book(rules)
    for name, number in _left_open(state, {one.name for one in book.receivers}).items():
        LOG.warning(
            "receiver %s, told of %d alerts that fire, is no longer in %s: end them there by hand",
            name,
            number,
            rules,
        )
    courier = Courier(state, tellings(book.receivers, surroundings), book.route, count)
    return Engine(book, state, courier, surroundings.clock)


def rule_book(rules: Path) -> RuleBook:
    """The rules of a file."""
    book = plugins.load("nibai.rules", "file", {"path": rules})
    if not isinstance(book, RuleBook):
        raise PluginError("the plug-in 'file' in nibai.rules reads no rules: reinstall")
    return book


def _left_open(state: State, names: Collection[str]) -> Mapping[str, int]:
    """Receivers that are gone from the rules while alerts that they were told of fire."""
    return Counter(
        delivery.receiver
        for delivery in table.deliveries(state).values()
        for told in delivery.told.values()
        if delivery.receiver not in names and told is AlertState.FIRING
    )


def tellings(receivers: Sequence[Addressee], surroundings: Surroundings) -> list[Telling]:
    """Receivers with their notifiers, built now: a missing secret is found at once."""
    return [Telling(one.name, one.notifier, _notifier(one, surroundings)) for one in receivers]


def _notifier(receiver: Addressee, surroundings: Surroundings) -> Notifier:
    options = {**receiver.options, "surroundings": surroundings}
    notifier = plugins.load("nibai.notifiers", receiver.notifier, options)
    if not isinstance(notifier, Notifier):
        raise PluginError(
            f"the plug-in {receiver.notifier!r} in nibai.notifiers has no notify method: reinstall"
        )
    return notifier
