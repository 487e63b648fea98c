"""The dead man's switch of a push collector: nobody has sent for longer than senders use to.

Which silence is usual is learned from the last four weeks, so that nightly and weekly rests are
none of its business: half as long again as the second longest of the days' longest silences (one
outage teaches nothing), and at least an hour. Two weekends have to be seen first. What passed while
nibai itself was down is no silence, but what passed before it was down stays one: a restart is
nobody's data. Nor is a silence what others who share the state received meanwhile: behind a load
balancer senders may have moved to another process. A limit that is configured is this collector's
alone. Arrivals are by the clock of the process that received them; what a clock that was ahead
wrote is brought back, or nothing would be a silence until that time has come.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Literal

from nibai.store.state.database import State
from nibai.store.state.silences import (
    Silences,
    bring_back,
    newest_arrival,
    put_silence,
    silences_of,
)

LEAST_SECONDS = 3600.0
CAUTION = 1.5
LEARNED_DAYS = 14
UNTIL_LEARNED_SECONDS = 3 * 86400.0
"""A weekend with a margin."""

NOTED_EVERY_SECONDS = 60.0
"""Shorter silences are not written down one by one."""

SILENT = "silent:"
"""Begins the name under which a lasting silence is kept."""


class Arrivals:
    """When somebody last sent to a collector, and how long silence may last."""

    def __init__(
        self,
        state: State,
        collector: str,
        since: float,
        allowed: float | Literal["learned", "never"] = "learned",
    ) -> None:
        """`since`: from when on this process listens. `allowed`: as `otlp.quiet_after` says."""
        self._state = state
        self._collector = collector
        self._since = since
        self._allowed = allowed
        self._known = silences_of(state, collector)
        self._before = _silent_before(state, collector, self._known.last_at)
        self._newest: float | None = None
        self._noted_at = since
        self._others_at = -math.inf
        self._asked_at = -math.inf

    def saw(self, last_at: float | None, now: float, *, stopping: bool = False) -> None:
        """The newest batch of this process came then; None: none has come yet.

        Whoever is `stopping` writes down the last one however short the silence was.
        """
        self._look_around(now)
        came = last_at is not None and last_at != self._newest
        if last_at is None or not (came or stopping):
            self._note(now)
            return
        self._newest = last_at
        at, known = min(last_at, now), self._known.last_at
        least = 0.0 if stopping else NOTED_EVERY_SECONDS
        if known is not None and (at <= known or at - known < least):
            self._note(now)
            return
        silence = 0.0 if known is None else self._listened(known, at)
        put_silence(self._state, self._collector, at, silence)
        self._known = silences_of(self._state, self._collector)
        self._before = 0.0

    def _look_around(self, now: float) -> None:
        """Once a minute: what others received, and what a clock dated ahead of now."""
        # A clock that was set back must not stop this until it is where it was.
        self._since, self._noted_at = min(self._since, now), min(self._noted_at, now)
        if 0 <= now - self._asked_at < NOTED_EVERY_SECONDS:
            return
        self._asked_at = now
        known = self._known.last_at
        if bring_back(self._state, now) or (known is not None and known > now):
            self._known = silences_of(self._state, self._collector)
        if self._allowed == "learned":
            self._others_at = newest_arrival(self._state) or -math.inf

    @property
    def last_at(self) -> float | None:
        """When somebody last sent, to within a minute; None: nobody ever did."""
        return self._known.last_at

    @property
    def limit_seconds(self) -> float | None:
        """How long silence may last; None: for ever, or nobody ever sent."""
        if self._allowed == "never" or self._known.last_at is None:
            return None
        return usual(self._known) if self._allowed == "learned" else self._allowed

    def silence_seconds(self, now: float) -> float | None:
        """How long nobody has sent while nibai listened; None: nobody ever did."""
        last = self._known.last_at
        if last is None:
            return None
        return max(min(self._listened(last, now), now - self._others_at), 0.0)

    def _listened(self, last: float, until: float) -> float:
        """How much of the time since the last batch this process or one before it listened."""
        if last >= self._since:
            return max(until - last, 0.0)
        return max(min(self._before + until - self._since, until - last), 0.0)

    def _note(self, now: float) -> None:
        """Keep a lasting silence, so that the next process goes on counting."""
        last = self._known.last_at
        if last is None or now - self._noted_at < NOTED_EVERY_SECONDS:
            return
        self._noted_at = now
        kept = json.dumps([last, self._listened(last, now)])
        self._state.set_watermark(SILENT + self._collector, kept)


def _silent_before(state: State, collector: str, last_at: float | None) -> float:
    """How long earlier processes have listened since the last batch, to within a minute each."""
    kept = state.watermark(SILENT + collector)
    if kept is None or last_at is None:
        return 0.0
    since, seconds = json.loads(kept)
    # A silence that has ended since says nothing of this one.
    return float(seconds) if abs(since - last_at) < 1.0 else 0.0


def usual(known: Silences) -> float:
    """How long silence may last after what was seen.

    >>> night = [(day, 9 * 3600.0) for day in range(20)]
    >>> usual(Silences(0.0, tuple(night))) / 3600
    13.5
    >>> usual(Silences(0.0, tuple(night[:10]))) / 3600
    72.0
    >>> usual(Silences(0.0, (*night, (20, 200 * 3600.0)))) / 3600
    13.5
    """
    longest = max(CAUTION * _second([seconds for _, seconds in known.longest]), LEAST_SECONDS)
    days = [day for day, _ in known.longest]
    if not days or days[-1] - days[0] < LEARNED_DAYS:
        return max(longest, UNTIL_LEARNED_SECONDS)
    return longest


def _second(values: Sequence[float]) -> float:
    return sorted(values)[-2] if len(values) > 1 else 0.0
