"""All findings about one change at one time."""

from __future__ import annotations

from dataclasses import dataclass

from nibai.model.exhibits import Exhibits
from nibai.model.findings import Finding, SentenceResult
from nibai.model.promises import Change
from nibai.model.verdicts import Reason, Verdict


@dataclass(frozen=True, slots=True)
class SideSummary:
    """Who the two sides are, in one line each."""

    label: str
    requests: int
    replicas: int
    from_seconds: float | None = None
    until_seconds: float | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings for one change at one time; immutable once stored."""

    id: str
    created_at: float
    change: Change
    verdict: Verdict
    reason: Reason
    sentences: tuple[SentenceResult, ...]
    baseline: SideSummary
    candidate: SideSummary
    exhibits: tuple[Exhibits, ...] = ()
    notes: tuple[str, ...] = ()
    nibai_version: str = ""
    level: float = 0.95

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings in the order of the sentences."""
        return tuple(finding for result in self.sentences for finding in result.findings)
