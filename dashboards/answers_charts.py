"""The charts of prediction evidence as Vega-Lite specifications; `theme` draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dashboards import answers, layers
from dashboards.answers import Answers
from dashboards.theme import LIGHT, Spec
from nibai.prediction_evidence import Bounds, Gate, GateState

GATE_COLOURS = {
    GateState.PASSED: LIGHT["confirmed"],
    GateState.FAILED: LIGHT["refuted"],
    GateState.OPEN: LIGHT["inconclusive"],
}

GATE_SHAPES = {
    GateState.PASSED: "circle",
    GateState.FAILED: "cross",
    GateState.OPEN: "diamond",
}

ROW_STEP = 30
LEAST_SPAN = 0.002
"""An axis is at least this wide, so that rates of nothing are not blown up."""


def gates(found: Answers) -> Spec | None:
    """Every measured gate with its interval, and its margin as a tick."""
    drawn = [gate for gate in found.gates if gate.estimate.value is not None]
    if not drawn:
        return None
    names = [gate.name for gate in drawn]
    margins = [limit for limit in map(answers.gate_limit, drawn) if limit is not None]
    x = _percent_axis(
        (gate.estimate for gate in drawn), margins, "share of answers; margin: upright tick"
    )
    y = _rows(names)
    present = [state for state in GATE_COLOURS if any(gate.state is state for gate in drawn)]
    words = [state.value for state in present]
    colour = layers.scale("state", words, [GATE_COLOURS[state] for state in present])
    shape = layers.scale("state", words, [GATE_SHAPES[state] for state in present])
    data = {"values": [_gate_point(gate, x["scale"]["domain"]) for gate in drawn]}
    limits = {
        "data": {"values": [{"name": gate.name, "at": answers.gate_limit(gate)} for gate in drawn]},
        "mark": {"type": "tick", "color": LIGHT["ink"], "thickness": 2, "size": 20},
        "encoding": {"x": {"field": "at", **x}, "y": y},
    }
    bars, dots = _intervals(data, x, y)
    bars["encoding"]["color"] = colour
    dots["encoding"] |= {"color": colour, "shape": shape}
    return {"height": {"step": ROW_STEP}, "layer": [_zero(x), limits, bars, dots]}


def by_margin(found: Answers) -> Spec | None:
    """Flips from where the old variant was least sure to where it was most sure."""
    rows = [row for row in found.evidence.margins if row.n]
    if not rows:
        return None
    names = [answers.margin_label(row) for row in rows]
    values = [
        {"name": name, "share": row.flips / row.n, "said": answers.margin_share(row)}
        for name, row in zip(names, rows, strict=True)
    ]
    x: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": names,
        "axis": {"title": "margin of the old answer (top 1 minus top 2)", "labelAngle": 0},
    }
    y: Spec = {
        "field": "share",
        "type": "quantitative",
        "axis": {"format": "~%", "title": "answers that changed", "tickCount": 4},
    }
    bars = {
        "mark": {"type": "bar", "color": LIGHT["candidate"], "width": {"band": 0.7}},
        "encoding": {"x": x, "y": y},
    }
    text = {
        "mark": {"type": "text", "baseline": "bottom", "dy": -3},
        "encoding": {"x": x, "y": y, "text": {"field": "said"}},
    }
    return {"height": 180, "data": {"values": values}, "layer": [bars, text]}


def by_segment(found: Answers) -> Spec | None:
    """Flips of each segment with its interval; all traffic as a line."""
    evidence = found.evidence
    shown = evidence.segments[: answers.MOST_SEGMENTS]
    if not shown:
        return None
    pooled = evidence.flips.value if evidence.flips is not None else None
    at = [] if pooled is None else [pooled]
    x = _percent_axis((one.estimate for one in shown), at, "answers that changed")
    names = [answers.segment_name(one) for one in shown]
    points = [
        {"name": name, **_clipped(one.estimate, x["scale"]["domain"])}
        for name, one in zip(names, shown, strict=True)
    ]
    bars, dots = _intervals({"values": points}, x, _rows(names))
    line = {
        "data": {"values": [{"at": value} for value in at]},
        "mark": {"type": "rule", "color": LIGHT["muted"], "strokeDash": [5, 4]},
        "encoding": {"x": {"field": "at", **x}},
    }
    layer = [line, bars, dots] if at else [bars, dots]
    return {"height": {"step": 24}, "layer": layer}


def _intervals(data: Spec, x: Spec, y: Spec) -> tuple[Spec, Spec]:
    blue = LIGHT["candidate"]
    bars = {
        "data": data,
        "mark": {"type": "rule", "color": blue, "strokeWidth": 2.5, "clip": True},
        "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "y": y},
    }
    dots = {
        "data": data,
        "mark": {"type": "point", "color": blue, "filled": True, "size": 90, "opacity": 1},
        "encoding": {"x": {"field": "value", **x}, "y": y},
    }
    return bars, dots


def _gate_point(gate: Gate, span: Sequence[float]) -> dict[str, Any]:
    return {"name": gate.name, "state": gate.state.value, **_clipped(gate.estimate, span)}


def _clipped(bounds: Bounds, span: Sequence[float]) -> dict[str, float | None]:
    return {
        "value": bounds.value,
        "low": span[0] if bounds.low is None else max(bounds.low, span[0]),
        "high": span[1] if bounds.high is None else min(bounds.high, span[1]),
    }


def _percent_axis(bounds: Iterable[Bounds], more: Sequence[float], title: str) -> Spec:
    every = [
        value for one in bounds for value in (one.value, one.low, one.high) if value is not None
    ]
    low, high = min([0.0, *every, *more]), max([LEAST_SPAN, *every, *more])
    room = (high - low) * 0.04
    return {
        "type": "quantitative",
        "scale": {"domain": [low - room if low < 0 else 0.0, high + room], "nice": False},
        "axis": {"format": "~%", "title": title, "tickCount": 6},
    }


def _rows(names: Sequence[str]) -> Spec:
    axis = {"title": None, "labelLimit": 150, "labelColor": LIGHT["ink"]}
    return {"field": "name", "type": "nominal", "sort": list(names), "axis": axis}


def _zero(x: Spec) -> Spec:
    return {
        "data": {"values": [{"at": 0.0}]},
        "mark": {"type": "rule", "color": LIGHT["muted"]},
        "encoding": {"x": {"field": "at", **x}},
    }
