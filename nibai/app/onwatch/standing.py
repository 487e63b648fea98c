"""How everything stood at the last look, for whoever shows or tells it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from nibai.model import CollectorStanding, Round, Standing
from nibai.redaction import redacted
from nibai.store.state.freshness import of_scope


@dataclass(frozen=True, slots=True)
class Reading:
    """How a collector stands: until when it has read, how often it reads, what failed.

    Minutes are provisional for `provisional_seconds` after they were read first. Of one to which
    others send: when they last did, how long they have been silent for (while it listened), and how
    long they may be. `unheard`: how many of its series never gave anything. Of one that has read
    nothing yet, `awaited_since` says from when on it should have. `endpoints` are those whose
    minutes it is known to bring.
    """

    read_until: float | None = None
    every_seconds: float = 0.0
    problem: str | None = None
    sent_at: float | None = None
    silence_seconds: float | None = None
    silence_limit_seconds: float | None = None
    provisional_seconds: float = 0.0
    awaited_since: float | None = None
    unheard: int | None = None
    endpoints: frozenset[str] = frozenset()

    @property
    def final_until(self) -> float | None:
        """Until when its minutes are final."""
        return None if self.read_until is None else self.read_until - self.provisional_seconds


class Board:
    """The newest standings and the newest reading of every collector; thread-safe."""

    def __init__(self, quiet_seconds: float, since: float) -> None:
        self._lock = threading.Lock()
        self._quiet = quiet_seconds
        self._since = since
        self._standings: tuple[Standing, ...] = ()
        self._unseen: frozenset[str] = frozenset()
        self._at: float | None = None
        self._readings: dict[str, Reading] = {}

    def looked(
        self, at: float, standings: tuple[Standing, ...], unseen: frozenset[str] = frozenset()
    ) -> None:
        """A look at all changes is over; those of `unseen` could not be looked at."""
        with self._lock:
            self._at, self._standings, self._unseen = at, standings, unseen

    def read(self, collector: str, reading: Reading) -> None:
        """A collector has read on, or failed to; what it had read before stays so."""
        with self._lock:
            known = self._readings.get(collector, Reading())
            until = reading.read_until if reading.read_until is not None else known.read_until
            # It is shown on pages and told by alerts.
            problem = None if reading.problem is None else redacted(reading.problem)
            self._readings[collector] = replace(reading, read_until=until, problem=problem)

    def readings(self) -> dict[str, Reading]:
        """The newest reading of every collector."""
        with self._lock:
            return dict(self._readings)

    def final_until(self) -> float | None:
        """Until when every collector's minutes are final; None before one said so."""
        known = [reading.final_until for reading in self.readings().values()]
        found = [until for until in known if until is not None]
        return min(found) if found and len(found) == len(known) else None

    def allowed_seconds(self, endpoint: str) -> float:
        """How old the newest minute of an endpoint may be: its source reads only so often."""
        readings = self.readings().items()
        own = [
            reading.every_seconds
            for name, reading in readings
            if endpoint in reading.endpoints or of_scope(name, endpoint)
        ]
        return self._quiet + 2 * max(own, default=0.0)

    def round(self, now: float) -> Round | None:
        """Everything as it is known now; None before the first look."""
        with self._lock:
            at, standings, unseen = self._at, self._standings, self._unseen
        if at is None:
            return None
        return Round(at, standings, self._collectors(now), unseen)

    def health(self, now: float) -> Round:
        """How the collectors stand now, without any change: looks fail, or are another's."""
        return Round(now, (), self._collectors(now), looked=False)

    def _collectors(self, now: float) -> tuple[CollectorStanding, ...]:
        found = sorted(self.readings().items())
        return tuple(self._collector(name, reading, now) for name, reading in found)

    def _collector(self, name: str, reading: Reading, now: float) -> CollectorStanding:
        until = reading.read_until
        quiet_since = self._newest(reading)
        allowed = self.lag_limit_seconds(reading)
        silence, usual = reading.silence_seconds, reading.silence_limit_seconds
        silent = silence is not None and usual is not None and silence > usual
        return CollectorStanding(
            collector=name,
            lag_seconds=None if until is None else max(now - until, 0.0),
            quiet_since=quiet_since if now - quiet_since > allowed else None,
            problem=reading.problem,
            unsent_since=reading.sent_at if silent else None,
            usual_seconds=usual,
        )

    def lag_seconds(self, reading: Reading, now: float) -> float:
        """How old a collector's newest minute is; one that never read is as old as the wait."""
        return max(now - self._newest(reading), 0.0)

    def _newest(self, reading: Reading) -> float:
        since = self._since if reading.awaited_since is None else reading.awaited_since
        return since if reading.read_until is None else reading.read_until

    def lag_limit_seconds(self, reading: Reading) -> float:
        """How old the newest minute may be: as often as it is read, twice, and patience."""
        return self._quiet + 2 * reading.every_seconds
