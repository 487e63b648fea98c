"""Seam of the server's pages: what is shown, and who makes HTML of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nibai.model import CollectorStanding, Detection, Standing


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An audit in a list; `kind` says how it came about: audit, watch, estimate or fleet."""

    id: str
    created_at: float
    kind: str
    verdict: str
    endpoint: str
    change: str
    reason: str


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A series in the newest five minutes it has: quantiles in base units, None for no bound."""

    variant: str
    metric: str
    requests: int
    quantiles: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True)
class AuditsPage:
    """The list of audits, newest first; `endpoint` is the one it is about (empty: all)."""

    lines: Sequence[AuditLine]
    endpoints: Sequence[str]
    endpoint: str
    number: int
    pages: int
    collectors: Sequence[CollectorStanding]


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """An endpoint in a list: how many of its claims have which verdict, in the order of gravity.

    `newest` is the end of its newest minute of the last two days, `silent`: one is missing that was
    to come; `noticed`: changes that detectors noticed and nobody claimed anything of.
    """

    endpoint: str
    verdicts: tuple[tuple[str, int], ...]
    newest: float | None
    silent: bool
    noticed: int


@dataclass(frozen=True, slots=True)
class EndpointsPage:
    """The list of endpoints, the gravest first; `find` is a part of their names (empty: all).

    `unheard`: of which series a source never got anything, and what to do.
    """

    lines: Sequence[EndpointLine]
    find: str
    found: int
    known: int
    number: int
    pages: int
    unheard: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """One endpoint: how its changes stand, what was noticed, its series, its audits.

    `unheard`: of which of its series a source never got anything, and what to do.
    """

    line: EndpointLine
    standings: Sequence[Standing]
    detections: Sequence[Detection]
    series: Sequence[SeriesLine]
    lines: Sequence[AuditLine]
    unheard: Sequence[str] = ()

    @property
    def endpoint(self) -> str:
        """Its name."""
        return self.line.endpoint


@dataclass(frozen=True, slots=True)
class MissingPage:
    """Nothing of that name."""

    what: str


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """What is asked for cannot be shown now."""

    text: str


@dataclass(frozen=True, slots=True)
class RefusedPage:
    """Who asks has not shown that they may, or asks in another way than is answered.

    Nothing is told but what to do.
    """

    text: str
    asks_for_token: bool = True


@dataclass(frozen=True, slots=True)
class BrokenPage:
    """A mistake of nibai's: what it was is in the log, not on the page."""


Page = (
    AuditsPage | EndpointsPage | EndpointPage | MissingPage | ProblemPage | RefusedPage | BrokenPage
)


@runtime_checkable
class PageMaker(Protocol):
    """Pages as HTML (entry point group `nibai.pages`); all text from outside is escaped."""

    def make(self, page: Page) -> str:
        """The whole document."""
        ...
