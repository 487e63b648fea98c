"""Single answers of two variants, and a finding about them, for reports of rows."""

from __future__ import annotations

import numpy as np

from nibai.answer_rows import AnswerColumn, AnswerRows, RowKind
from nibai.claims import parse
from nibai.model import Estimate, Evidence, Finding, Reason, ReasonCode, Verdict
from nibai.prediction_evidence import (
    Bounds,
    Gate,
    GateState,
    MarginRow,
    PredictionEvidence,
    Rate,
)
from nibai.predictions import EvidenceLevel

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
WORDS = [f"word{i}" for i in range(60)]


def answer_rows(n=120, flips=0.1, seed=4, hostile=""):
    """Labels, scores and texts of n pairs; a share of the labels and texts differs."""
    rng = np.random.default_rng(seed)
    labels = ["cat", "dog", hostile or "cow"]
    old = [labels[i] for i in rng.integers(3, size=n)]
    changed = rng.random(n) < flips
    new = [
        labels[rng.integers(3)] if flip else label for flip, label in zip(changed, old, strict=True)
    ]
    score = rng.normal(size=n)
    texts = [" ".join(rng.choice(WORDS, size=12)) + hostile for _ in range(n)]
    other = [f"{text} again" if flip else text for flip, text in zip(changed, texts, strict=True)]
    return AnswerRows(
        (
            AnswerColumn("label", RowKind.LABEL, old, new),
            AnswerColumn("score", RowKind.NUMBER, score, score + 0.01 * rng.normal(size=n)),
            AnswerColumn(f"text{hostile}", RowKind.TEXT, texts, other),
        )
    )


def finding(verdict=Verdict.REFUTED, said="10.4% of answers changed", segment=""):
    """A finding of "same predictions" with gates, floors and a margin table."""
    claim = parse("same predictions within 2%").parts[0]
    flips = Bounds(0.104, 0.0943, 0.1146)
    evidence = PredictionEvidence(
        EvidenceLevel.REPLAY,
        "replay:r1",
        pairs=3500,
        all_pairs=3500,
        flips=flips,
        gates=(Gate(f"excess flips{segment}", GateState.FAILED, flips, 0.02, 3500, "failed"),),
        floor_old=Rate("baseline", 3500, 0, Bounds(0.0, 0.0, 0.001)),
        margins=(MarginRow(0.0, 0.25, 900, 324), MarginRow(0.25, 1.0, 2600, 40)),
    )
    return Finding(
        claim,
        verdict,
        Reason(ReasonCode.FALLS_SHORT, said),
        Estimate(0.104, 0.0943, 0.1146, 0.95),
        Evidence((3500, 3500), None, "none", (1, 1), "pairs", predictions=evidence),
        "predictions",
    )
