"""Seams of the collectors: sources that are pulled, sources that push, and the sink."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import pyarrow as pa

from nibai.model import Change, ExpectedAnswers, Observation, Window
from nibai.predictions import PredictionRecord

AGAIN = "again:"
"""What the name of a mark begins with that remembers what to ask again: it is of no series."""

UNIT = "unit:"
"""The same of a mark that remembers that a unit is settled."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A part of what a source was asked: observations inside `window`, and answers.

    `read_until` says how far (seconds since the epoch) the part takes each series that came whole;
    keep it once the rows are durable, and forget the `finished` ones. `notes` count what was wrong,
    `rejected` describes some of it without quoting it; a problem (object, fact, remedy) is of one
    series, the others are read on. `expected`: how many requests there were to be answered.
    `changes` were seen in what was read; each has an id of its own and is stored once. `settled`:
    no part that was paid for follows at once, so that whoever stops here wastes nothing;
    `next_dollars`: what is paid at most until the next settled part, where that is known. `left`:
    how many parts follow, where that is known better than it was before.
    `final_until`: no minute before that is asked for again, by series; `brings` says of what these
    are minutes, as (endpoint, variant, metric). Minutes of a source that does not say so are final
    when they are there.
    """

    observations: Sequence[Observation]
    window: Window
    read_until: Mapping[str, float]
    dollars: float
    notes: Mapping[str, int]
    predictions: Sequence[PredictionRecord] = ()
    finished: Sequence[str] = ()
    rejected: Sequence[Mapping[str, object]] = ()
    problems: Sequence[str] = ()
    expected: Sequence[ExpectedAnswers] = ()
    changes: Sequence[Change] = ()
    settled: bool = True
    next_dollars: float | None = None
    left: int | None = None
    final_until: Mapping[str, float] = field(default_factory=dict)
    brings: Mapping[str, Collection[tuple[str, str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pull would ask and cost."""

    calls: int
    datapoints: int
    dollars: float
    dollars_per_month: float
    said: str


@runtime_checkable
class Puller(Protocol):
    """A source that is asked and remembers nothing (entry point group `nibai.collectors`).

    `read_until` tells how far each of its `series` was read; a series that is missing is new.
    """

    @property
    def series(self) -> Sequence[str]:
        """Names of what it reads, stable over restarts."""
        ...

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """What `pull` would do, without asking."""
        ...

    def pull(self, read_until: Mapping[str, float]) -> Iterable[Pulled]:
        """Everything since, and the last hours again: in parts that fit into memory."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A puller that knows beforehand what a question costs at most."""

    def first_dollars(self, read_until: Mapping[str, float]) -> float:
        """What is paid at most until the first settled part, without asking."""
        ...


@runtime_checkable
class Naming(Protocol):
    """A puller that can look what there is in the place of series that gave nothing."""

    def missing(
        self, series: Sequence[tuple[str, str]]
    ) -> tuple[Mapping[tuple[str, str], str], float]:
        """(fact and remedy of each that is not there by its name or metric, what asking cost).

        By name of a series and variant. Those that exist and merely had no requests are left out.
        Raises CollectError where nobody can be asked.
        """
        ...


@runtime_checkable
class Divided(Protocol):
    """A puller some of whose series bring single replicas of what others bring, too."""

    @property
    def replicas(self) -> Mapping[str, str]:
        """The replica that such a series brings, by the name of the series."""
        ...


@runtime_checkable
class Attentive(Protocol):
    """A puller that reads more often around changes."""

    def attend(self, changes: Mapping[str, Sequence[float]]) -> None:
        """Moments of changes by endpoint, as they are known before a pull or a preview."""
        ...


@runtime_checkable
class Timely(Protocol):
    """A puller of which something may be due before its regular reading."""

    def due_after(self, moment: float) -> float:
        """When, after a moment (seconds since the epoch; infinite: not before); after `attend`."""
        ...


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What a client posted, already stripped of the web framework. Header names are lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class PushResponse:
    """What the client is answered."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


@runtime_checkable
class Receiver(Protocol):
    """A source that pushes (entry point group `nibai.collectors`); `paths` are its routes."""

    @property
    def paths(self) -> Sequence[str]:
        """Routes that this receiver serves."""
        ...

    def receive(self, request: PushRequest, sink: Sink) -> PushResponse:
        """Decode, hand to the sink, and only after the sink has it durably answer 200."""
        ...


Allowed = Callable[[str, tuple[str, ...] | None], bool]
"""Whether a client may send: its authorization, and the names of its certificate (None: none)."""


@runtime_checkable
class Listener(Protocol):
    """Another way in to a receiver (entry point group `nibai.listeners`)."""

    def listen(
        self, receiver: Receiver, sink: Sink, allowed: Allowed
    ) -> tuple[str, Callable[[], None]]:
        """Begin to serve: the address, and a function that stops.

        Raises ConfigError where the address cannot be opened.
        """
        ...


@runtime_checkable
class Sink(Protocol):
    """Where measurements go: durable when `append` returns.

    Raises StoreError when the disk refuses, ThrottledError under back-pressure; then nothing of
    the batch is stored. A `digest` (16 bytes) seen in the last 15 minutes is acknowledged and not
    appended again.
    """

    def append(
        self,
        batch: pa.RecordBatch | None,
        digest: bytes | None = None,
        predictions: pa.RecordBatch | None = None,
    ) -> None:
        """Store rows of `nibai.conventions.WAL_COLUMNS`, answers of one payload, or both.

        Answers have the columns that `nibai.store.wal.prediction_rows.to_batch` makes.
        """
        ...
