"""The section of the HTML report about predictions; every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from dashboards import answers, answers_charts, tables
from dashboards.answers import Answers
from dashboards.theme import Spec
from nibai.model import Audit, Verdict
from nibai.prediction_evidence import Gate, GateState, PredictionEvidence

GATES = ("gate", "measured", "interval", "margin", "state")

STATES = {
    GateState.PASSED: Verdict.CONFIRMED,
    GateState.FAILED: Verdict.REFUTED,
    GateState.OPEN: Verdict.INCONCLUSIVE,
    GateState.NOT_MEASURED: Verdict.NOT_COMPARABLE,
}
"""A gate's state has the colour of the verdict it leads to."""

Draw = Callable[[Spec, str, str, str], str]


def sections(audit: Audit, draw: Draw) -> list[str]:
    """What was measured of the answers; `draw(spec, title, caption, numbers)` makes a figure."""
    return [_section(found, draw) for found in answers.answers(audit)]


def _section(found: Answers, draw: Draw) -> str:
    parts = [
        _head(found),
        _figure(
            draw,
            answers_charts.gates(found),
            "What the verdict asks of the answers",
            "Bars are intervals, the upright tick is what may not be passed: a gate holds when "
            "its bar stays short of the tick, and fails when all of it is beyond.",
        ),
        _figure(
            draw,
            answers_charts.by_margin(found),
            "Flips by how sure the old variant was",
            "Each bar is a part of the inputs, ordered by the margin of the old answer: flips "
            "sit where the model was undecided, unless something is broken.",
            _margins(found.evidence),
        ),
        _figure(
            draw,
            answers_charts.by_segment(found),
            "Flips by traffic segment",
            "Bars are intervals of each segment on its own; dashed: all traffic together."
            + _more_segments(found.evidence),
            _segments(found.evidence),
        ),
        _worst(found.evidence),
        _pairs_needed(found.evidence),
    ]
    return "\n".join(part for part in parts if part)


def _head(found: Answers) -> str:
    rows = [_gate_cells(gate) for gate in found.gates]
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{label}"><span>{cell}</span></td>'
            for label, cell in zip(GATES, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    heads = "".join(f"<th>{name}</th>" for name in GATES)
    reasons = _list(list(dict.fromkeys(gate.text for gate in found.gates)))
    facts = _list(answers.first_facts(found.evidence))
    more = _list(answers.more_facts(found.evidence))
    table = (
        f'<div class="scroll"><table class="claims"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{reasons}"
        if rows
        else ""
    )
    return (
        f"<section><h2>{escape(found.title)}</h2><p>{escape(answers.basis(found.evidence))}</p>"
        f"{table}{facts}<details><summary>What else was measured</summary>{more}</details>"
        f"{_artifact(found.evidence)}</section>"
    )


def _gate_cells(gate: Gate) -> list[str]:
    *cells, state = (escape(cell) for cell in answers.gate_row(gate))
    return [*cells, f'<span class="word {STATES[gate.state].value}">{state}</span>']


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _artifact(evidence: PredictionEvidence) -> str:
    if evidence.artifact is None:
        return ""
    return f"<p>Evidently's report of the same answers: {escape(evidence.artifact)}</p>"


def _figure(draw: Draw, spec: Spec | None, title: str, caption: str, numbers: str = "") -> str:
    return "" if spec is None else draw(spec, title, caption, numbers)


def _margins(evidence: PredictionEvidence) -> str:
    rows = [
        [answers.margin_label(row), f"{row.n:,}", f"{row.flips:,}", answers.margin_share(row)]
        for row in evidence.margins
    ]
    return tables.numbers(["old margin", "pairs", "flips", "share"], rows)


def _segments(evidence: PredictionEvidence) -> str:
    rows = [
        [
            escape(answers.segment_name(one)),
            f"{one.n:,}",
            f"{one.flips:,}",
            answers.share(one.estimate.value),
            answers.between(one.estimate),
            "yes" if one.stands_out else "no",
        ]
        for one in evidence.segments
    ]
    return tables.numbers(["segment", "pairs", "flips", "share", "interval", "stands out"], rows)


def _more_segments(evidence: PredictionEvidence) -> str:
    count = len(evidence.segments)
    if count <= answers.MOST_SEGMENTS:
        return ""
    first = answers.MOST_SEGMENTS
    return f" Drawn: the first {first} of {count} segments; the numbers list them all."


def _worst(evidence: PredictionEvidence) -> str:
    if not evidence.worst:
        return ""
    rows = [
        [
            escape(one.request_id or one.input_hash),
            escape(one.segment or "–"),
            escape(one.baseline or "–"),
            escape(one.candidate or "–"),
            f"{one.distance:.3g}",
        ]
        for one in evidence.worst
    ]
    head = ["request", "segment", "old answer", "new answer", "distance"]
    return f"<section><h2>Pairs to look at</h2>{tables.numbers(head, rows)}</section>"


def _pairs_needed(evidence: PredictionEvidence) -> str:
    if not evidence.pairs_needed:
        return ""
    rows = [
        [
            f"{one.share_of_margin:g} × the margin",
            "confirmed" if one.confirms else "refuted",
            f"{one.pairs:,}",
        ]
        for one in evidence.pairs_needed
    ]
    table = tables.numbers(["if the true share is", "the flip gate is", "after pairs"], rows)
    return f"<section><h2>How many pairs decide</h2>{table}</section>"
