"""Reports that other tools make of single answers, beside an audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nibai.answer_rows import AnswerRows
from nibai.model import Finding
from nibai.prediction_evidence import DriftScore


@dataclass(frozen=True, slots=True)
class Artifact:
    """A report in another tool's form; `html` and `snapshot` (JSON) are None where it failed.

    `scores` describe and decide nothing. `notes` say what is missing and why.
    """

    html: str | None
    snapshot: str | None
    scores: tuple[DriftScore, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class ArtifactMaker(Protocol):
    """Makes a report that people know from single answers (`nibai.artifacts`)."""

    def make(self, rows: AnswerRows, findings: Sequence[Finding]) -> Artifact:
        """The report beside these findings; never raises because the other tool is broken."""
        ...
