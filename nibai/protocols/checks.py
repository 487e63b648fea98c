"""Seam of `nibai doctor`: what can be read from where, as facts with a remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Standing(StrEnum):
    """What was found out about a capability."""

    PRESENT = "present"
    ABSENT = "absent"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that may be there or not.

    `topic` is whom it is about ("account 123456789012 eu-west-1"), `name` is stable within it,
    `said` the fact, `remedy` what to do exactly when it is not as wished. `number` counts it among
    the points of docs/sagemaker.md that no document settles.
    """

    topic: str
    name: str
    standing: Standing
    said: str
    remedy: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """What looking takes: `reads` and their price, at most."""

    topic: str
    reads: int
    dollars: float


@runtime_checkable
class Examiner(Protocol):
    """Looks at one system and only reads (entry point group `nibai.examiners`).

    `build(options)` gets {"config": the whole configuration as plain data, "endpoint": a name or
    None, "save_fixtures": a new folder for redacted answers or None} and returns an examiner that
    has nothing to do where its section is missing.
    """

    def effort(self) -> Iterable[Effort]:
        """What `examine` will ask, said before it asks."""
        ...

    def examine(self) -> Iterable[Capability]:
        """Everything that was found out; raises nothing for what cannot be reached."""
        ...
