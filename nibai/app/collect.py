"""`nibai collect`: sources that are asked are read on, differences stored, nothing paid twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nibai import plugins
from nibai.app.keeping import Keeper, Kept
from nibai.app.purse import Purse
from nibai.app.silent import heed_silence
from nibai.config import Config
from nibai.errors import CollectError, ConfigError, PluginError
from nibai.model import Change
from nibai.protocols import Attentive, Preview, Priced, Pulled, Puller, Timely
from nibai.store.state.database import State, open_state
from nibai.store.state.watermarks import keep_only
from nibai.store.wal.ingest import Ingest

PULLED_SECTIONS = ("cloudwatch", "data_capture", "bedrock", "neuron", "spans", "prometheus")
"""Sections of nibai.yaml whose entries are sources: of the plug-in they name or of that name."""

LOOK_SECONDS = 300.0
"""So often it is looked whether a new change wants a source read sooner."""

AWAKE_SECONDS = 0.1
"""A sleep may end a little early."""

UNSETTLED = (
    "minutes changed after the age at which watches had taken them: for a day they wait until "
    "minutes are older"
)
NEVER = "series that never gave anything"
HELD_OTHERWISE = "minutes left as they are: all of the variant was read before, or its replicas"


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source under the name that its progress is kept by.

    Something may be due `every_seconds`, all of it every `whole_every_seconds`. In a month it may
    cost `dollars_per_month`. `learns`: at which age its minutes stop changing.
    """

    name: str
    puller: Puller
    every_seconds: float
    whole_every_seconds: float
    dollars_per_month: float = math.inf
    learns: bool = True


@dataclass(slots=True)
class Collected:
    """What reading a source on brought; `problems` are of series, or ended the reading.

    Of the revised minutes `revised_final` had been final, `unsettled` of them by their age only.
    `silent` tells of series that never gave anything, each once.
    """

    calls: int = 0
    minutes: int = 0
    new_minutes: int = 0
    revised_minutes: int = 0
    revised_final: int = 0
    unsettled: int = 0
    answers: int = 0
    new_answers: int = 0
    dollars: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    def add(self, pulled: Pulled, stored: Kept) -> None:
        """Count one part."""
        self.calls += 1
        self.minutes += len(pulled.observations)
        self.new_minutes += stored.new_minutes
        self.revised_minutes += stored.revised_minutes
        self.revised_final += stored.revised_final
        self.unsettled += stored.unsettled
        self.answers += len(pulled.predictions)
        self.new_answers += stored.new_answers
        self.dollars += pulled.dollars
        self.problems += pulled.problems
        self.changes += stored.changes
        notes = dict(pulled.notes)
        if stored.held_otherwise:
            notes[HELD_OTHERWISE] = stored.held_otherwise
        if stored.unsettled:
            notes[UNSETTLED] = stored.unsettled
        for text, n in notes.items():
            self.notes[text] = self.notes.get(text, 0) + n


def configured(config: Config) -> list[Source]:
    """Every source of the configuration; ConfigError when it has none."""
    sources = []
    for section in PULLED_SECTIONS:
        for one in getattr(config, section):
            plugin = getattr(one, "plugin", section)
            puller = plugins.load("nibai.collectors", plugin, dict(one))
            if not isinstance(puller, Puller):
                raise PluginError(f"the plug-in {plugin!r} in nibai.collectors pulls nothing")
            often = getattr(one, "reading_every", one.every)
            limit = getattr(one, "dollars_per_month", None) or math.inf
            learns = getattr(one, "finality", "learned") == "learned"
            sources.append(Source(one.source_name, puller, often, one.every, limit, learns))
    if not sources:
        raise ConfigError(
            "no source to read: add `cloudwatch` with account, region and endpoints to nibai.yaml "
            "(docs/cloudwatch.md), or `prometheus` (docs/prometheus.md), or `data_capture` "
            "(docs/data-capture.md), or `bedrock` (docs/bedrock.md)"
        )
    return sources


def due_in(source: Source, read_until: Mapping[str, float], now: float) -> float:
    """Seconds until a source is due; a new start pays for no reading that was just made."""
    marks = [read_until.get(one) for one in source.puller.series]
    read = [one for one in marks if one is not None]
    if not read or len(read) < len(marks):
        return 0.0
    return min(max(min(read) + source.every_seconds - now, 0.0), source.every_seconds)


def due_times(config: Config, sources: Sequence[Source], now: float) -> dict[str, float]:
    """When each source is due, by name, from where its last reading left it."""
    with _state(config) as state:
        return {one.name: now + due_in(one, state.read_until(one.name), now) for one in sources}


def wanted_at(source: Source, state: State, after: float) -> float:
    """When something of a source is due before its regular reading: infinite where nothing is."""
    puller = _attending(source, state)
    return puller.due_after(after) if isinstance(puller, Timely) else math.inf


def until_due(
    config: Config,
    sources: Sequence[Source],
    due: Mapping[str, float],
    read: Mapping[str, float],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[Source]:
    """Sleep until something is due and say what: regularly (`due`), or sooner after a change.

    `read`: when each source was asked last. Changes that are declared meanwhile are heeded.
    """
    while True:
        with _state(config) as state:
            at = {
                one.name: min(due[one.name], wanted_at(one, state, read[one.name]))
                for one in sources
            }
        now = clock()
        ready = [one for one in sources if at[one.name] <= now]
        if ready:
            return ready
        sleep(min(min(at.values()) - now, LOOK_SECONDS) + AWAKE_SECONDS)


def previews(config: Config, sources: Sequence[Source]) -> list[tuple[Source, Preview]]:
    """What the next reading would ask and cost; nothing is asked."""
    with _state(config) as state:
        return [
            (source, _attending(source, state).preview(state.read_until(source.name)))
            for source in sources
        ]


def collect(
    config: Config,
    sources: Sequence[Source],
    *,
    clock: Callable[[], float],
    tick: Callable[[Source, Pulled], None] = lambda _source, _part: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Source, Collected]]:
    """Read every source on once, in parts; a part is kept before the next ones are asked.

    A source's rows go through a log of its own (collector id = its name), so that it can run beside
    `nibai run`. A source that cannot be read leaves the others alone and is told among `problems`.
    What a source may cost in a month holds over restarts (`nibai.app.purse`).
    When `stop` says so, the reading ends after what is paid for; the next one goes on from there.
    Raises StoreError when another process reads the same source.
    """
    with _state(config) as state:
        for source in sources:
            if stop():
                return
            ingest = Ingest(
                config.data,
                source.name,
                state,
                clock=clock,
                max_bytes=config.max_wal,
            )
            try:
                keeper = Keeper(config.data, ingest, state, clock, learns=source.learns)
                purse = Purse(state, source.name, source.dollars_per_month, clock)
                yield source, _read_on(source, keeper, purse, tick, stop)
            finally:
                ingest.close()


def _read_on(
    source: Source,
    keeper: Keeper,
    purse: Purse,
    tick: Callable[[Source, Pulled], None],
    stop: Callable[[], bool],
) -> Collected:
    done = Collected()
    try:
        puller, known = _attending(source, keeper.state), keeper.state.read_until(source.name)
        purse.check(puller.first_dollars(known) if isinstance(puller, Priced) else None)
        for part in puller.pull(known):
            # First of all: paid is paid, whatever becomes of it.
            purse.pay(part.dollars, settled=part.settled)
            done.add(part, keeper.keep(source.name, part))
            tick(source, part)
            if part.settled:
                if stop():
                    break
                purse.check(part.next_dollars)
        else:
            keep_only(keeper.state, source.name, source.puller.series)
            _heed_silence(source, keeper, purse, done)
    except CollectError as error:
        done.problems.append(str(error))
    keeper.flush()
    return done


def _heed_silence(source: Source, keeper: Keeper, purse: Purse, done: Collected) -> None:
    keeper.flush()
    found = heed_silence(
        source.name, source.puller, keeper.state, keeper.lake, known=keeper.known, now=keeper.now
    )
    purse.pay(found.dollars, settled=True)
    done.silent, done.dollars = found.told, done.dollars + found.dollars
    if found.series:
        done.notes[NEVER] = found.series


def _attending(source: Source, state: State) -> Puller:
    """The puller with the moments of all known changes, where it heeds them."""
    if isinstance(source.puller, Attentive):
        moments: dict[str, list[float]] = {}
        for document in state.changes():
            window = document.get("candidate_window") or {}
            moment = document.get("effective_at", None) or window.get("start")
            if moment is not None:
                moments.setdefault(str(document["endpoint"]), []).append(float(moment))
        source.puller.attend(moments)
    return source.puller


@contextmanager
def _state(config: Config) -> Iterator[State]:
    state = open_state(config.state_address)
    try:
        yield state
    finally:
        state.close()
