"""Alerting as the configuration asks for it, with nibai's own counters and charts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nibai import plugins
from nibai.app.alerting.engine import Engine, open_alerting
from nibai.app.alerting.segments import Segments
from nibai.app.audit import Desk
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.errors import PluginError, UsageError
from nibai.model import AlertState, Audit, Change, Round
from nibai.protocols import Illustrator, Surroundings


def alerting_of(
    config: Config, desk: Desk, tally: Tally, environment: Mapping[str, str]
) -> Counted | None:
    """The alerting of `nibai run`; None without a rule file.

    ConfigError lists what is wrong with the rules, or names a secret that is missing.
    """
    if config.rules is None:
        return None

    def count(notifier: str, result: str) -> None:
        tally.add("nibai_notifications_total", notifier=notifier, result=result)

    horizon = max(config.schedule.follow_for, config.minute_horizon)
    around = Surroundings(environment, charts(desk), desk.clock)
    return Counted(
        open_alerting(config.rules, desk.state, around, count), tally, Segments(desk, horizon)
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """An alerting that exports how many alerts there are."""

    engine: Engine
    tally: Tally
    segments: Segments

    def __call__(self, seen: Round) -> None:
        """Consider a round, whatever becomes of the messages count the alerts."""
        try:
            self.engine(seen)
        finally:
            self._count()

    def _count(self) -> None:
        counts = self.engine.counts()
        for state in AlertState:
            self.tally.set("nibai_alerts", counts.get(state, 0), state=state.value)

    def claimed(self, change: Change) -> Change:
        """The change with what the rules claim of it beside what was declared."""
        known = {sentence.parts for sentence in change.sentences}
        values, book = functools.partial(self.segments.values, change), self.engine.book
        more = [s for s in book.claims(change, values) if s.parts not in known]
        found = (*change.sentences, *dict.fromkeys(more))
        sentences = tuple(replace(one, asked=book.asked(change, one)) for one in found)
        return replace(change, sentences=sentences)


def charts(desk: Desk) -> Callable[[str], bytes | None]:
    """Draws an audit by its id; None for one that is not stored or has nothing to show."""

    def draw(audit_id: str) -> bytes | None:
        if not audit_id:
            return None
        try:
            audit = desk.stored(audit_id)
        except UsageError:
            return None
        return _illustrator().draw(audit) if isinstance(audit, Audit) else None

    return draw


def _illustrator() -> Illustrator:
    found = plugins.load("nibai.pictures", "chart")
    if not isinstance(found, Illustrator):
        raise PluginError("the plug-in 'chart' in nibai.pictures draws nothing: reinstall")
    return found
