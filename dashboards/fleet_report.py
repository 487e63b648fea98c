"""A fleet audit as the parts of one HTML page: shares, the order of all endpoints, both ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from dashboards import axes, fleet_phrases, phrases
from dashboards.theme import LIGHT, Spec
from nibai.fleet import EndpointResult, FleetAudit
from nibai.model import Promise, Verdict

DRAWN = 400
"""Endpoints in the drawing: more lines than that are not told apart."""

HEIGHT = 360


def title(audit: FleetAudit) -> str:
    """What the browser shows."""
    return f"{phrases.WORDS[audit.verdict]}: {fleet_phrases.question(audit)}"


def header(audit: FleetAudit) -> str:
    """Verdict, claim and the shares."""
    mark, word = phrases.MARKS[audit.verdict], phrases.WORDS[audit.verdict]
    return (
        f'<header class="{audit.verdict.value}"><span class="badge">{mark} {word}</span>\n'
        f"<h1>{escape(fleet_phrases.question(audit))}</h1>\n"
        f'<p class="why">{escape(audit.reason)}</p><p>{escape(audit.scope)}</p>\n'
        f"<p><strong>{escape(fleet_phrases.truth(audit))}</strong></p></header>"
    )


def tables(audit: FleetAudit) -> str:
    """Both ends of the order, the reasons of the rest, and what is controlled."""
    worst, best = fleet_phrases.extremes(audit)
    parts = [
        _table("Furthest below the claim", worst),
        _table("Furthest above the claim", best),
        _list("Why the rest is open", fleet_phrases.reasons(audit)),
        _list("What is controlled", [*fleet_phrases.controlled(audit), *audit.notes]),
    ]
    return "\n".join(part for part in parts if part)


def forest(audit: FleetAudit) -> Spec | None:
    """Every endpoint's ratio with its interval, in order; None when there is no ratio."""
    shown = [r for r in fleet_phrases.drawn(audit, DRAWN) if _ratio(r) is not None]
    if not shown:
        return None
    estimates = [r.parts[r.decisive].estimate for r in shown]
    known = [e for e in estimates if e is not None and e.value is not None]
    span = axes.ratio_span(
        [e.value for e in known if e.value is not None],
        [b for e in known for b in (e.low, e.high) if b is not None],
    )
    rows = [
        {
            "rank": rank,
            "value": e.value,
            "low": axes.clipped(e.low, span, span[0]),
            "high": axes.clipped(e.high, span, span[1]),
            "verdict": phrases.WORDS[r.verdict],
        }
        for rank, (r, e) in enumerate(zip(shown, known, strict=True))
    ]
    verdicts = [v for v in Verdict if any(r.verdict is v for r in shown)]
    colour: Spec = {
        "field": "verdict",
        "scale": {
            "domain": [phrases.WORDS[v] for v in verdicts],
            "range": [LIGHT[v.value] for v in verdicts],
        },
        "legend": {"title": None},
    }
    y: Spec = {"type": "quantitative", **axes.ratio_axis(span, "times faster (log scale)")}
    x: Spec = {
        "field": "rank",
        "type": "quantitative",
        "axis": {"title": f"{len(shown):,} endpoints, the slowest first", "labels": False},
        "scale": {"domain": [-1, len(shown)], "nice": False},
    }
    rules = {
        "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.55, "clip": True},
        "encoding": {
            "x": x,
            "y": {"field": "low", **y},
            "y2": {"field": "high"},
            "color": colour,
        },
    }
    dots = {
        "mark": {"type": "point", "filled": True, "size": 14, "opacity": 1},
        "encoding": {"x": x, "y": {"field": "value", **y}, "color": colour},
    }
    return {"height": HEIGHT, "data": {"values": rows}, "layer": [rules, dots]}


def drawn_caption(audit: FleetAudit) -> str:
    """What the drawing shows, and what it leaves out."""
    every = len(audit.endpoints)
    shown = len([r for r in fleet_phrases.drawn(audit, DRAWN) if _ratio(r) is not None])
    part = (
        "Every endpoint" if shown == every else f"{shown:,} of {every:,} endpoints, evenly taken,"
    )
    return (
        f"{part} with the {audit.level:.0%} interval of the part that decided it, "
        "not adjusted for looking at many."
    )


def _ratio(result: EndpointResult) -> float | None:
    part = result.parts[result.decisive]
    if part.promise is Promise.ERRORS or part.estimate is None:
        return None
    value = part.estimate.value
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _table(title_: str, rows: Sequence[EndpointResult]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in fleet_phrases.HEAD)
    body = "".join(_row(result) for result in rows)
    return (
        f'<section><h2>{title_}</h2><div class="scroll"><table class="claims">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _row(result: EndpointResult) -> str:
    cells = fleet_phrases.row(result)
    told = "".join(
        f'<td data-label="{name}">{escape(cell)}</td>'
        for name, cell in zip(fleet_phrases.HEAD[:-1], cells[:-1], strict=True)
    )
    word = f'<span class="word">{escape(cells[-1])}</span>'
    return f'<tr class="{result.verdict.value}">{told}<td data-label="verdict">{word}</td></tr>'


def _list(title_: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<section><h2>{title_}</h2><ul>{items}</ul></section>" if items else ""
