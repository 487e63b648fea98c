"""The numbers of a prediction verdict as harmless tables of text, for reports not ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nibai.model import Finding
from nibai.prediction_evidence import Bounds, DriftScore, PredictionEvidence, Rate

Table = list[list[str]]


def evidence_tables(finding: Finding, scores: Sequence[DriftScore] = ()) -> dict[str, Table]:
    """Gates, flips by margin, floors and scores: title to rows, the first row being the head."""
    evidence = finding.evidence.predictions
    if evidence is None:
        return {}
    tables = {
        "Gates": _gates(evidence),
        "Noise floor": _floors(evidence),
        "Flips by the margin of the old answer": _margins(evidence),
        "Distances people know, and their 95% band without any change": _scores(scores),
    }
    return {
        title: [[harmless(cell) for cell in row] for row in rows]
        for title, rows in tables.items()
        if len(rows) > 1
    }


def harmless(text: object) -> str:
    """Text that no parser of HTML takes for markup, as long as before: lengths are compared.

    >>> harmless("</script><b>")
    '‹/script›‹b›'
    """
    return str(text).replace("<", "‹").replace(">", "›")


def measured_shares(finding: Finding) -> Iterator[tuple[str, float, str]]:
    """Name, value and the value in words of every share that was measured."""
    evidence = finding.evidence.predictions
    if evidence is None:
        return
    floors = [
        (name, rate.estimate)
        for name, rate in (
            ("self-flips of the baseline", evidence.floor_old),
            ("self-flips of the candidate", evidence.floor_new),
        )
        if rate is not None
    ]
    gates = [(gate.name, gate.estimate) for gate in evidence.gates]
    flips = [] if evidence.flips is None else [("changed answers", evidence.flips)]
    for name, bounds in (*flips, *floors, *gates):
        if bounds.value is not None:
            yield name, bounds.value, share_text(bounds)


def share_text(bounds: Bounds) -> str:
    """A share with its interval, in percent.

    >>> share_text(Bounds(0.104, 0.0943, 0.1146)), share_text(Bounds(0.02, None, None))
    ('10.4% [9.43, 11.5]', '2%')
    """
    if bounds.value is None:
        return "not measured"
    low, high = bounds.low, bounds.high
    interval = "" if low is None or high is None else f" [{low * 100:.3g}, {high * 100:.3g}]"
    return f"{bounds.value * 100:.3g}%{interval}"


def _gates(evidence: PredictionEvidence) -> Table:
    rows = [
        [
            gate.name,
            gate.state.value,
            share_text(gate.estimate),
            "none" if gate.margin is None else f"{gate.margin * 100:.3g}%",
            f"{gate.n}",
        ]
        for gate in evidence.gates
    ]
    return [["gate", "state", "estimate", "margin", "pairs"], *rows]


def _floors(evidence: PredictionEvidence) -> Table:
    def row(name: str, rate: Rate | None) -> list[str]:
        if rate is None:
            return [name, "not measured", "0"]
        return [name, share_text(rate.estimate), f"{rate.n}"]

    rows = [row("baseline", evidence.floor_old), row("candidate", evidence.floor_new)]
    return [["variant against itself", "disagrees with itself on", "pairs"], *rows]


def _margins(evidence: PredictionEvidence) -> Table:
    rows = [
        [
            f"{row.low:.2g} to {row.high:.2g}",
            f"{row.n}",
            f"{row.flips}",
            f"{row.flips / row.n * 100:.3g}%" if row.n else "none",
        ]
        for row in evidence.margins
    ]
    return [["top-1 minus top-2", "pairs", "changed", "share"], *rows]


def _scores(scores: Sequence[DriftScore]) -> Table:
    rows = [
        [
            score.name,
            f"{score.value:.3g}",
            "none" if score.null_high is None else f"{score.null_low:.3g} to {score.null_high:.3g}",
            score.said,
        ]
        for score in scores
    ]
    return [["distance", "value", "band", "read as"], *rows]
