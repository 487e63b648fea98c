"""The seams of nibai: each a protocol with one method, met by plug-ins through entry points.

A plug-in is a module that exports `build(options: Mapping[str, object])` returning the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import pyarrow as pa

from nibai.history import Movement, Scan, SeriesHistory, Suspect
from nibai.model import Audit, Change, Comparison, Finding, Observation, Window
from nibai.predictions import PredictionSample


@runtime_checkable
class Collector(Protocol):
    """A source that is asked (entry point group `nibai.collectors`)."""

    def collect(self, interval: Window) -> Iterable[Observation]:
        """Everything the source knows of a half-open interval; asking again gives the same."""
        ...


@dataclass(frozen=True, slots=True)
class Pulled:
    """A part of what a source was asked: observations inside `window`.

    `read_until` says how far (seconds since the epoch) the part takes each series that came whole;
    keep it once the observations are durable. `notes` count what was wrong.
    """

    observations: Sequence[Observation]
    window: Window
    read_until: Mapping[str, float]
    dollars: float
    notes: Mapping[str, int]


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

        Answers have the columns that `nibai.store.prediction_rows.to_batch` makes.
        """
        ...


@runtime_checkable
class Windows(Protocol):
    """Both sides of a change, from the lake or from files; an analyzer cannot tell which."""

    def comparison(self, metric: str) -> Comparison | None:
        """Block histograms of a metric on both sides; None when neither side has it."""
        ...


@runtime_checkable
class PredictionWindows(Protocol):
    """What both variants answered; windows that know it have this beside `comparison`."""

    def predictions(self) -> Sequence[PredictionSample]:
        """One sample per profile of batch and concurrency, the latency's own first; may be none."""
        ...


@runtime_checkable
class Analyzer(Protocol):
    """One question (entry point group `nibai.analyzers`).

    It answers the claim parts it understands, in order, and leaves out all others.
    """

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """Findings for the parts of `change.sentences` that are this analyzer's."""
        ...


@runtime_checkable
class History(Protocol):
    """The recorded past of many series, one after the other."""

    def series(self) -> Iterable[SeriesHistory]:
        """Every series once, in order of endpoint."""
        ...


@runtime_checkable
class Scanner(Protocol):
    """One question to the past itself, without a change and a claim (`nibai.scanners`)."""

    def scan(self, history: History, known: Sequence[Change]) -> Scan:
        """What was found in all series; `known` changes may explain it."""
        ...


@runtime_checkable
class Describer(Protocol):
    """A scanner that says how far one view of a series moved at a known block."""

    def describe(
        self, one: SeriesHistory, view: str, cut: int, known: Sequence[Change]
    ) -> tuple[Movement, Suspect | None]:
        """Blocks before `cut` against those from it on, and the change that may be the reason."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """Tells somebody (entry point group `nibai.notifiers`); raises NotifyError."""

    def notify(self, alerts: Sequence[object]) -> None:
        """Deliver alerts; resolved ones too."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """An audit as a document (entry point group `nibai.renderers`)."""

    def render(self, audit: Audit) -> str:
        """The whole document."""
        ...


@dataclass(frozen=True, slots=True)
class FileRequest:
    """What to compare: paths (or Arrow tables) of both sides and how to read their columns.

    With `at` (seconds since the epoch) or `split` (a column, optionally "COLUMN=BASE,CAND") the one
    baseline source holds both sides. `offered` counts requests sent, per source, baseline first.
    `history`: sources of the unchanged past of the baseline, read as the baseline is.
    """

    baseline: tuple[str | pa.Table, ...]
    candidate: tuple[str | pa.Table, ...] = ()
    at: float | None = None
    split: str | None = None
    metric: str | None = None
    value: str | None = None
    unit: str | None = None
    higher_is_better: bool = False
    time: str | None = None
    segments: tuple[str, ...] = ()
    replica: str | None = None
    ok: str | None = None
    offered: tuple[int, ...] = ()
    runs: bool = False
    history: tuple[str | pa.Table, ...] = ()


@runtime_checkable
class FileWindows(Windows, Protocol):
    """Windows read from files, and the metric that claims without a metric are about."""

    @property
    def metric(self) -> str:
        """Name of the value column's metric."""
        ...


@runtime_checkable
class FileReader(Protocol):
    """Reads measurements that people already have (entry point group `nibai.readers`)."""

    def read(self, request: FileRequest) -> FileWindows:
        """Both sides; UsageError for wrong files and columns, CollectError for unreadable ones."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayInput:
    """A captured request to be answered again.

    `payload` is a JSON value, text, or bytes with their `content_type`; `truth` the known right
    answer.
    """

    request_id: str
    input_hash: str
    payload: object
    segment: str = ""
    truth: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target answered to one input: a payload, or the kind of failure (`invalid`)."""

    payload: object = None
    invalid: str = ""


@runtime_checkable
class Target(Protocol):
    """A variant that captured inputs are sent to (entry point group `nibai.targets`)."""

    def send(self, inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
        """One request for a batch; its answers in the order of the inputs.

        Called from several threads. Raises ThrottledError when asked to come back later, AuthError
        when the credentials are refused, CollectError for every other failure of the request; its
        `reason` is the kind of invalid answer that stays when retries do not help.
        """
        ...


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """Which captured requests to read: a file or "-", or the inputs themselves.

    `columns` renames: role (id, input, segment, label) to column. `sample` inputs at most, chosen
    by `seed`; `repeated` keeps inputs that occur again, `binary` those that are no text.
    """

    source: str | Sequence[object]
    columns: Mapping[str, str] = field(default_factory=dict)
    sample: int | None = None
    seed: int = 0
    repeated: bool = False
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Captures:
    """What was read: inputs that can be sent, and what could not be used, by reason.

    `rejected` are samples of the latter (line, reason, bytes, start of the text); `repeats` inputs
    were left out because the same input was there already. `digest` identifies the inputs.
    """

    name: str
    format: str
    inputs: tuple[ReplayInput, ...]
    rows: int
    digest: str
    repeats: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    rejected: tuple[Mapping[str, object], ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class CaptureReader(Protocol):
    """Reads captured requests (entry point `captures` in group `nibai.readers`)."""

    def read(self, request: CaptureRequest) -> Captures:
        """The inputs; UsageError for wrong files and columns, CollectError for unreadable ones."""
        ...


@dataclass(frozen=True, slots=True)
class OutputsRequest:
    """Answers before and after, to different requests: which column holds them, what is known.

    `files` says which sources are before and after (or how one is cut) and which columns are times
    and segments; its `history` holds answers before the baseline while nothing changed. `inputs`
    are columns that describe a request. `output` is "class" or "score"; None: guessed and said.
    """

    files: FileRequest
    prediction: str
    inputs: tuple[str, ...] = ()
    output: str | None = None


@runtime_checkable
class OutputsReader(Protocol):
    """Reads answers to different requests (entry point group `nibai.prediction_readers`)."""

    def read(self, request: OutputsRequest) -> Sequence[PredictionSample]:
        """The samples; UsageError and CollectError as a `FileReader`."""
        ...


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """Which files hold pairs of answers, and how to read them.

    `columns` renames: role (baseline, candidate, request_id, input_hash, label, segment, margin
    …) to column. `noise` files hold two answers of one variant in each row. `output` is a kind of
    `nibai.outputs.OutputKind`, with ":PATH" behind it where the answer lies inside a JSON document;
    None: guessed and said. `schema` is the file of a JSON schema that JSON answers ought to fit.
    `keep_rows`: so many single pairs are kept beside the counts. `shadow`: the same live requests
    were answered by both variants.
    """

    sources: tuple[str | pa.Table, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[str, ...] = ()
    noise: tuple[str | pa.Table, ...] = ()
    noise_floor: float | None = None
    output: str | None = None
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    tolerance: float | None = None
    shadow: bool = False
    schema: str | None = None
    keep_rows: int = 0


@runtime_checkable
class PairsReader(Protocol):
    """Reads pairs of answers (entry point group `nibai.prediction_readers`)."""

    def read(self, request: PairsRequest) -> Sequence[PredictionSample]:
        """The samples, one per profile; UsageError and CollectError as a `FileReader`."""
        ...
