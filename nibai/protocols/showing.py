"""Seam of the server's pages: what is shown, and who makes HTML of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nibai.model import CollectorStanding, Standing


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
class EndpointPage:
    """One endpoint: how its changes stand, its series, its audits."""

    endpoint: str
    newest: float | None
    standings: Sequence[Standing]
    series: Sequence[SeriesLine]
    lines: Sequence[AuditLine]


@dataclass(frozen=True, slots=True)
class MissingPage:
    """Nothing of that name."""

    what: str


Page = AuditsPage | EndpointPage | MissingPage


@runtime_checkable
class PageMaker(Protocol):
    """Pages as HTML (entry point group `nibai.pages`); all text from outside is escaped."""

    def make(self, page: Page) -> str:
        """The whole document."""
        ...
