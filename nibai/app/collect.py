"""`nibai collect`: sources that are asked are read on, differences stored, nothing paid twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from nibai import plugins
from nibai.app.audit import change_document
from nibai.config import Config
from nibai.errors import CollectError, ConfigError, PluginError
from nibai.model import Change
from nibai.prediction_plans import plans_of
from nibai.protocols import Attentive, Preview, Pulled, Puller
from nibai.store.capture_coverage import put_coverage
from nibai.store.ingest import Ingest
from nibai.store.known_answers import unknown_answers
from nibai.store.observations import difference
from nibai.store.prediction_rows import to_batch
from nibai.store.quarantine import set_aside
from nibai.store.state import State, open_state
from nibai.store.stored import stored_minutes

PULLED_SECTIONS = ("cloudwatch", "data_capture", "bedrock", "neuron", "spans", "prometheus")
"""Sections of nibai.yaml whose entries are sources: of the plug-in they name or of that name."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source under the name that its progress is kept by.

    Something may be due `every_seconds`, all of it every `whole_every_seconds`.
    """

    name: str
    puller: Puller
    every_seconds: float
    whole_every_seconds: float


@dataclass(slots=True)
class Collected:
    """What reading a source on brought; `problems` are of series, or ended the reading."""

    calls: int = 0
    minutes: int = 0
    new_minutes: int = 0
    revised_minutes: int = 0
    answers: int = 0
    new_answers: int = 0
    dollars: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def add(self, pulled: Pulled, stored: _Stored) -> None:
        """Count one part."""
        self.calls += 1
        self.minutes += len(pulled.observations)
        self.new_minutes += stored.new_minutes
        self.revised_minutes += stored.revised_minutes
        self.answers += len(pulled.predictions)
        self.new_answers += stored.new_answers
        self.dollars += pulled.dollars
        self.problems += pulled.problems
        self.changes += stored.changes
        for text, n in pulled.notes.items():
            self.notes[text] = self.notes.get(text, 0) + n


@dataclass(frozen=True, slots=True)
class _Stored:
    """What of a part the lake did not hold yet."""

    new_minutes: int
    revised_minutes: int
    new_answers: int
    changes: tuple[Change, ...] = ()


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
            sources.append(Source(one.source_name, puller, often, one.every))
    if not sources:
        raise ConfigError(
            "no source to read: add `cloudwatch` with account, region and endpoints to nibai.yaml "
            "(docs/cloudwatch.md), or `prometheus` (docs/prometheus.md), or `data_capture` "
            "(docs/data-capture.md), or `bedrock` (docs/bedrock.md)"
        )
    return sources


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
    When `stop` says so, the reading ends after the part at hand; the next one goes on from there.
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
                keeper = _Keeper(config.data, ingest, state, clock)
                yield source, _read_on(source, keeper, tick, stop)
            finally:
                ingest.close()


def _read_on(
    source: Source,
    keeper: _Keeper,
    tick: Callable[[Source, Pulled], None],
    stop: Callable[[], bool],
) -> Collected:
    # What an earlier process left in the log belongs to what is stored.
    keeper.ingest.flush()
    done = Collected()
    try:
        for part in _attending(source, keeper.state).pull(keeper.state.read_until(source.name)):
            done.add(part, keeper.keep(source.name, part))
            tick(source, part)
            if stop():
                break
    except CollectError as error:
        done.problems.append(str(error))
    return done


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


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Where a source's parts are kept."""

    data: Path
    ingest: Ingest
    state: State
    clock: Callable[[], float]

    def keep(self, source: str, part: Pulled) -> _Stored:
        """Make a part durable, then how far it goes."""
        stored = self._store(part)
        put_coverage(self.state, self.ingest.lake, part.expected)
        changes = [change for change in part.changes if self._is_new(change)]
        set_aside(self.data, source, part.rejected)
        # Only now: killed before, the part is read again and differs by nothing.
        self.state.set_read_until(source, part.read_until, part.finished)
        return replace(stored, changes=tuple(changes))

    def _store(self, part: Pulled) -> _Stored:
        lake = self.ingest.lake
        endpoints = {one.key.endpoint for one in part.observations}
        metrics = {one.key.metric for one in part.observations}
        stored = stored_minutes(lake, endpoints, metrics, part.window)
        found = difference(part.observations, stored)
        answers = unknown_answers(lake, to_batch(part.predictions))
        if found.rows.num_rows or answers.num_rows:
            self.ingest.append(found.rows, None, answers if answers.num_rows else None)
            self.ingest.flush()
        return _Stored(found.new_minutes, found.revised_minutes, answers.num_rows)

    def _is_new(self, change: Change) -> bool:
        """Store a change; seen again after an interruption, it is the same one."""
        if self.state.change(change.id) is not None:
            return False
        stored = replace(change, declared_at=self.clock(), predictions=plans_of(change))
        self.state.put_change(change_document(stored))
        return True


@contextmanager
def _state(config: Config) -> Iterator[State]:
    state = open_state(config.state_address)
    try:
        yield state
    finally:
        state.close()
