"""`nibai collect`: sources that are asked are read on, differences stored, nothing paid twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nibai import plugins
from nibai.config import Config
from nibai.errors import ConfigError, PluginError
from nibai.protocols import Preview, Pulled, Puller
from nibai.store.ingest import Ingest
from nibai.store.observations import difference
from nibai.store.state import State, open_state
from nibai.store.stored import stored_minutes


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source under the name that its progress is kept by."""

    name: str
    puller: Puller


@dataclass(slots=True)
class Collected:
    """What reading a source on brought."""

    calls: int = 0
    minutes: int = 0
    new_minutes: int = 0
    revised_minutes: int = 0
    dollars: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, pulled: Pulled, new: int, revised: int) -> None:
        """Count one part."""
        self.calls += 1
        self.minutes += len(pulled.observations)
        self.new_minutes += new
        self.revised_minutes += revised
        self.dollars += pulled.dollars
        for text, n in pulled.notes.items():
            self.notes[text] = self.notes.get(text, 0) + n


def configured(config: Config) -> list[Source]:
    """Every source of the configuration; ConfigError when it has none."""
    sources = []
    for one in config.cloudwatch:
        options = one.model_dump()
        puller = plugins.load("nibai.collectors", "cloudwatch", options)
        if not isinstance(puller, Puller):
            raise PluginError("the plug-in 'cloudwatch' in nibai.collectors pulls nothing")
        # Not by place in the file: progress must survive an entry put before it.
        sources.append(Source(f"cloudwatch-{one.account}-{one.region}", puller))
    if not sources:
        raise ConfigError(
            "no source to read: add `cloudwatch` with account, region and endpoints to nibai.yaml "
            "(docs/cloudwatch.md)"
        )
    return sources


def previews(config: Config, sources: Sequence[Source]) -> list[tuple[Source, Preview]]:
    """What the next reading would ask and cost; nothing is asked."""
    with _state(config) as state:
        return [
            (source, source.puller.preview(state.read_until(source.name))) for source in sources
        ]


def collect(
    config: Config,
    sources: Sequence[Source],
    *,
    clock: Callable[[], float],
    tick: Callable[[Source, Pulled], None] = lambda _source, _part: None,
) -> Iterator[tuple[Source, Collected]]:
    """Read every source on once, in parts; a part is kept before the next ones are asked.

    A source's rows go through a log of its own (collector id = its name), so that it can run beside
    `nibai run`. Raises StoreError when another process reads the same source.
    """
    with _state(config) as state:
        for source in sources:
            ingest = Ingest(
                config.data,
                source.name,
                state,
                clock=clock,
                max_bytes=config.max_wal,
            )
            try:
                yield source, _read_on(source, ingest, state, tick)
            finally:
                ingest.close()


def _read_on(
    source: Source, ingest: Ingest, state: State, tick: Callable[[Source, Pulled], None]
) -> Collected:
    # What an earlier process left in the log belongs to what is stored.
    ingest.flush()
    done = Collected()
    for part in source.puller.pull(state.read_until(source.name)):
        new, revised = _store(part, ingest)
        # Only now: killed before, the part is read again and differs by nothing.
        state.set_read_until(source.name, part.read_until)
        done.add(part, new, revised)
        tick(source, part)
    return done


def _store(part: Pulled, ingest: Ingest) -> tuple[int, int]:
    endpoints = {one.key.endpoint for one in part.observations}
    metrics = {one.key.metric for one in part.observations}
    stored = stored_minutes(ingest.lake, endpoints, metrics, part.window)
    found = difference(part.observations, stored)
    if found.rows.num_rows:
        ingest.append(found.rows)
        ingest.flush()
    return found.new_minutes, found.revised_minutes


@contextmanager
def _state(config: Config) -> Iterator[State]:
    state = open_state(config.state_address)
    try:
        yield state
    finally:
        state.close()
