"""Verdicts about predictions stay once they are reached: looking again cannot turn them.

The intervals hold at every look together, so the first look at which one leaves its margin decides.
Another margin, level, window or replay is another question. Source: nibai's drift.md, section 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nibai.document import decode, encode, iso
from nibai.model import Change, Claim, Finding, Reason, ReasonCode, Verdict
from nibai.prediction_evidence import PredictionEvidence
from nibai.prediction_plans import without_margin
from nibai.predictions import EvidenceLevel
from nibai.protocols import Analyzer, Windows
from nibai.store.state.database import State

FINAL = (Verdict.CONFIRMED, Verdict.REFUTED)
PAIRED = (EvidenceLevel.SHADOW, EvidenceLevel.REPLAY)


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict and the moment it was reached; stored under its question."""

    verdict: Verdict
    code: ReasonCode
    text: str
    pairs: int
    at: float
    p_refute: float | None = None

    def finding(self, found: Finding) -> Finding:
        """What is seen now, with the verdict that was reached."""
        note = (
            f"decided with {self.pairs:,} pairs at {iso(self.at)}: final, however often one looks; "
            "numbers are those of now"
        )
        evidence = replace(
            found.evidence,
            p_refute=self.p_refute,
            more_units_needed=None,
            notes=(*found.evidence.notes, note),
        )
        reason = Reason(self.code, self.text)
        return replace(found, verdict=self.verdict, reason=reason, evidence=evidence)


@dataclass(frozen=True, slots=True)
class Resting:
    """An analyzer whose verdicts about pairs of answers are kept in the state."""

    inner: Analyzer
    state: State
    level: float
    now: float

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """Findings as they are, or as they were when they were decided."""
        return [self._rest(change, found) for found in self.inner.analyze(change, windows)]

    def _rest(self, change: Change, found: Finding) -> Finding:
        evidence = found.evidence.predictions
        if evidence is None or evidence.level not in PAIRED or not evidence.anytime_valid:
            return found
        question = _question(change, found.claim, evidence, self.level)
        stored = self.state.watch(change.id, question)
        if stored is not None:
            decided: Decided = decode(Decided, stored)
            same = (decided.verdict, decided.pairs) == (found.verdict, evidence.pairs)
            return found if same else decided.finding(found)
        if found.verdict in FINAL:
            reached = Decided(
                found.verdict,
                found.reason.code,
                found.reason.text,
                evidence.pairs,
                self.now,
                found.evidence.p_refute,
            )
            self.state.put_watch(change.id, question, 0, encode(reached))
        return found


def resting(
    analyzers: Mapping[str, Analyzer], state: State, level: float, now: float
) -> dict[str, Analyzer]:
    """Analyzers whose verdicts about predictions stay; all other findings pass."""
    return {name: Resting(one, state, level, now) for name, one in analyzers.items()}


def _question(change: Change, claim: Claim, evidence: PredictionEvidence, level: float) -> str:
    """Everything that makes a verdict another one, as the state's key."""
    windows = [
        "" if window is None else f"{window.start:g}/{window.end:g}"
        for window in (change.baseline_window, change.candidate_window)
    ]
    parts = [
        "predictions",
        without_margin(claim),
        f"{evidence.margin:g}" if evidence.margin is not None else "",
        evidence.source,
        evidence.batch_profile,
        *windows,
        f"{level:g}",
    ]
    return " | ".join(parts)
