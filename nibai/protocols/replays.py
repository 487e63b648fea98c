"""Seams of replay: captured inputs, and the variants that answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


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
