"""The charts of a report as Vega-Lite specifications; `theme` draws them.

Each function takes what the audit stored and answers None when there is nothing to show.
"""

from __future__ import annotations

from dashboards import axes, layers
from dashboards.layers import FOREST_QUANTILES
from dashboards.theme import LIGHT, Spec
from nibai.claims import quantile_label
from nibai.model import Audit, Exhibits

FOREST_ROWS = 16
MANY_LINES = 4
FEW_POINTS = 80
ABOVE_LABELS = 20
"""Distance of a legend from a plot that has labels of reference lines on top."""
VISIBLE = 0.005
"""log2 below which a term of the decomposition does not show."""


def speedup_curve(audit: Audit, exhibits: Exhibits) -> Spec | None:
    """Ratio by quantile with its interval band, the claim line and the judged quantiles."""
    points = [point for point in exhibits.curve if point.estimate.value is not None]
    if not points:
        return None
    judged = layers.judged_findings(audit, exhibits.metric)
    estimates = [p.estimate for p in points] + [f.estimate for f in judged if f.estimate]
    span = layers.estimate_span(estimates, layers.thresholds(judged))
    rows = [
        {
            "x": axes.quantile_position(point.quantile),
            "value": point.estimate.value,
            "low": axes.clipped(point.estimate.low, span, span[0]),
            "high": axes.clipped(point.estimate.high, span, span[1]),
        }
        for point in points
    ]
    quantiles = [p.quantile for p in points] + [f.claim.quantile or 0.5 for f in judged]
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        **axes.quantile_axis(min(quantiles), max(quantiles)),
    }
    y: Spec = {"type": "quantitative", **axes.ratio_axis(span, "times faster (log scale)")}
    blue = LIGHT["candidate"]
    band = {
        "data": {"values": rows},
        "mark": {"type": "area", "color": blue, "opacity": 0.18, "clip": True},
        "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}},
    }
    line = {
        "data": {"values": rows},
        "mark": {"type": "line", "color": blue, "strokeWidth": 2, "point": {"size": 18}},
        "encoding": {"x": x, "y": {"field": "value", **y}},
    }
    stack = [
        band,
        line,
        *layers.reference(layers.thresholds(judged), "y"),
        *layers.judged_marks(judged, span, x, y),
    ]
    return {"height": 300, "layer": stack}


def distributions(audit: Audit, exhibits: Exhibits) -> Spec | None:
    """Both distributions on a log axis; dashed: the judged quantiles of each side."""
    rows = [row for density in exhibits.densities for row in layers.density_rows(density)]
    if not rows:
        return None
    marks = [
        {"value": value, "side": side}
        for finding in layers.judged_findings(audit, exhibits.metric)
        for side, value in (
            ("baseline", finding.evidence.baseline_value),
            ("candidate", finding.evidence.candidate_value),
        )
        if value is not None
    ]
    every = [row["value"] for row in rows] + [mark["value"] for mark in marks]
    axis = axes.value_axis(every, exhibits.value_unit, layers.metric_title(exhibits), grid=False)
    x: Spec = {"field": "value", "type": "quantitative", **axis}
    colour = layers.side_colour()
    share = {"format": "~%", "title": "share of requests", "tickCount": 4}
    area = {
        "data": {"values": rows},
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.3, "line": True},
        "encoding": {
            "x": x,
            "y": {"field": "share", "type": "quantitative", "stack": None, "axis": share},
            "color": colour,
        },
    }
    rules = {
        "data": {"values": marks},
        "mark": {"type": "rule", "strokeDash": [4, 3]},
        "encoding": {"x": x, "color": colour},
    }
    return {"height": 220, "layer": [area, *([rules] if marks else [])]}


def segment_forest(audit: Audit, exhibits: Exhibits) -> Spec | None:
    """Ratio with interval per segment and quantile; all traffic first."""
    rows = [row for row in layers.forest_rows(exhibits) if row.estimate.value is not None]
    if not exhibits.segments or not rows:
        return None
    names = list(dict.fromkeys(row.segment for row in rows))[: FOREST_ROWS + 1]
    rows = [row for row in rows if row.segment in names]
    claimed = layers.thresholds(layers.judged_findings(audit, exhibits.metric))
    span = layers.estimate_span([row.estimate for row in rows], claimed)
    labels = [quantile_label(p) for p in FOREST_QUANTILES]
    x: Spec = {"type": "quantitative", **axes.ratio_axis(span, "times faster (log scale)")}
    y: Spec = {
        "field": "segment",
        "type": "nominal",
        "sort": names,
        "axis": {"title": None, "labelLimit": 150, "labelColor": LIGHT["ink"]},
    }
    offset = {"field": "quantile", "sort": labels}
    data = {"values": [layers.forest_point(row, span) for row in rows]}
    blue = LIGHT["candidate"]
    bars = {
        "data": data,
        "mark": {"type": "rule", "color": blue, "strokeWidth": 2, "clip": True},
        "encoding": {
            "x": {"field": "low", **x},
            "x2": {"field": "high"},
            "y": y,
            "yOffset": offset,
        },
    }
    dots = {
        "data": data,
        "mark": {"type": "point", "color": blue, "filled": True, "size": 55, "opacity": 1},
        "encoding": {
            "x": {"field": "value", **x},
            "y": y,
            "yOffset": offset,
            "shape": {
                "field": "quantile",
                "sort": labels,
                "scale": {"domain": labels, "range": ["circle", "square", "triangle-up"]},
                "legend": {"title": None, "offset": ABOVE_LABELS},
            },
        },
    }
    height = {"step": 15, "for": "offset"}
    return {"height": height, "layer": [*layers.reference(claimed, "x"), bars, dots]}


def timeline(audit: Audit, exhibits: Exhibits) -> Spec | None:
    """Quantiles of every block in time, one line per side and replica, the change marked."""
    points = [point for point in exhibits.timeline if point.value is not None and point.value > 0]
    if not points:
        return None
    by_clock = exhibits.clock and layers.together(points)
    rows = layers.moment_rows(points, by_clock=by_clock)
    lines = len({(point.side, point.replica) for point in points})
    quantiles = sorted({row["quantile"] for row in rows})
    x: Spec = {
        "field": "time",
        **layers.time_axis([row["time"] for row in rows], by_clock=by_clock),
    }
    values = [row["value"] for row in rows]
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        **axes.value_axis(values, exhibits.value_unit, layers.metric_title(exhibits)),
    }
    dash = {"domain": quantiles, "range": [[1, 0], [5, 3]][: len(quantiles)]}
    series = {
        "data": {"values": rows},
        "mark": {
            "type": "line",
            "opacity": 0.9 if lines <= MANY_LINES else 0.5,
            "point": {"size": 22} if len(rows) <= FEW_POINTS else False,
        },
        "encoding": {
            "x": x,
            "y": y,
            "color": layers.side_colour(),
            "strokeDash": {
                "field": "quantile",
                "scale": dash,
                "legend": {"title": None, "symbolType": "stroke"},
            },
            "detail": {"field": "replica"},
        },
    }
    moment = layers.change_time(audit) if by_clock else None
    return {"height": 240, "layer": [series, *layers.change_mark(moment, rows, x)]}


def mix_effect(audit: Audit, exhibits: Exhibits) -> Spec | None:
    """Raw against like-for-like ratio where the traffic mix explains a part of the difference."""
    shown = [
        row
        for row in exhibits.decomposition
        if max(abs(row.mix), abs(row.load), abs(row.support)) > VISIBLE
    ]
    if not shown:
        return None
    rows = [
        {
            "quantile": quantile_label(row.quantile),
            "raw": 2.0**row.raw,
            "like": 2.0**row.like_for_like,
        }
        for row in exhibits.decomposition
    ]
    claimed = layers.thresholds(layers.judged_findings(audit, exhibits.metric))
    span = axes.ratio_span([row[key] for row in rows for key in ("raw", "like")] + claimed, [])
    x: Spec = {"type": "quantitative", **axes.ratio_axis(span, "times faster (log scale)")}
    y: Spec = {
        "field": "quantile",
        "type": "nominal",
        "sort": [row["quantile"] for row in rows],
        "axis": {"title": None, "labelColor": LIGHT["ink"]},
    }
    ends = [
        {"quantile": row["quantile"], "value": row[key], "what": what}
        for row in rows
        for key, what in (("raw", "raw"), ("like", "like for like"))
    ]
    link = {
        "data": {"values": rows},
        "mark": {"type": "rule", "color": LIGHT["muted"], "strokeWidth": 2},
        "encoding": {"x": {"field": "raw", **x}, "x2": {"field": "like"}, "y": y},
    }
    kinds = ["raw", "like for like"]
    dots = {
        "data": {"values": ends},
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {
            "x": {"field": "value", **x},
            "y": y,
            "shape": layers.scale("what", kinds, ["square", "circle"], offset=ABOVE_LABELS),
            "color": layers.scale(
                "what", kinds, [LIGHT["muted"], LIGHT["candidate"]], offset=ABOVE_LABELS
            ),
        },
    }
    return {"height": {"step": 34}, "layer": [*layers.reference(claimed, "x"), link, dots]}
