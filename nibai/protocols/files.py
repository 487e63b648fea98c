"""Seams of the readers of files that people already have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import pyarrow as pa

from nibai.predictions import PredictionSample
from nibai.protocols.analysis import Windows


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
