"""What several charts share: the judged quantiles, reference lines, rows and scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards import axes, phrases
from dashboards.axes import Span
from dashboards.theme import LIGHT, SHAPES, Spec
from nibai.claims import quantile_label
from nibai.model import Audit, Density, Exhibits, Finding, SegmentRow, TimelinePoint

FOREST_QUANTILES = (0.5, 0.9, 0.99)
DAY_MS = 86_400_000.0
EPOCH_SECONDS = 1e8
"""Block starts above this are times of day; below they are seconds since a run's start."""
COVERED = 0.6
"""Share of a common time axis that the two sides must fill, or each starts at zero."""

Row = dict[str, Any]


def judged_findings(audit: Audit, metric: str) -> list[Finding]:
    """Findings about a quantile of all traffic of one metric, which charts can mark."""
    return [
        finding
        for finding in audit.findings
        if finding.claim.metric == metric
        and finding.claim.quantile is not None
        and finding.claim.segment is None
        and finding.evidence.threshold is not None
        and finding.claim.promise in phrases.SPEED
    ]


def thresholds(findings: Sequence[Finding]) -> list[float]:
    """The ratios that were promised, each once."""
    found = {finding.evidence.threshold for finding in findings}
    return sorted(value for value in found if value is not None and value > 0)


def forest_rows(exhibits: Exhibits) -> list[SegmentRow]:
    """All traffic (from the curve), then every segment."""
    requests = (0, 0)
    whole = [
        SegmentRow("all traffic", point.quantile, point.estimate, requests)
        for point in exhibits.curve
        if point.quantile in FOREST_QUANTILES
    ]
    return [*whole, *exhibits.segments]


def change_time(audit: Audit) -> float | None:
    """When traffic moved: declared, or where the candidate starts after the baseline ended."""
    if audit.change.effective_at is not None:
        return audit.change.effective_at
    until, start = audit.baseline.until_seconds, audit.candidate.from_seconds
    return start if until is not None and start is not None and start >= until else None


def estimate_span(estimates: Sequence[Any], claimed: Sequence[float]) -> Span:
    values = [e.value for e in estimates if e.value is not None]
    bounds = [b for e in estimates for b in (e.low, e.high) if b is not None]
    return axes.ratio_span([*values, *claimed], bounds)


def reference(claimed: Sequence[float], channel: str) -> list[Spec]:
    """A line where nothing changed, and a dashed one per promise."""
    lines = [{"at": 1.0, "label": "no change"}]
    lines += [{"at": value, "label": f"claim {value:.3g}x"} for value in claimed if value != 1.0]
    if 1.0 in claimed:
        lines[0]["label"] = "claim 1x"
    place: Spec = {channel: {"field": "at", "type": "quantitative"}}
    rule = {
        "data": {"values": lines},
        "mark": {"type": "rule", "color": LIGHT["muted"], "strokeDash": [5, 4]},
        "encoding": place,
    }
    if channel == "y":
        label: Spec = {"type": "text", "align": "left", "baseline": "bottom", "dx": 3, "dy": -2}
        place = {**place, "x": {"value": 0}}
    else:
        label = {"type": "text", "align": "left", "baseline": "bottom", "dx": 3, "dy": -1}
        place = {**place, "y": {"value": 0}}
    text = {
        "data": {"values": lines},
        "mark": {**label, "color": LIGHT["muted"], "fontSize": 11},
        "encoding": {**place, "text": {"field": "label"}},
    }
    return [rule, text]


def judged_marks(judged: Sequence[Finding], span: Span, x: Spec, y: Spec) -> list[Spec]:
    rows = [
        {
            "x": axes.quantile_position(finding.claim.quantile),
            "value": finding.estimate.value,
            "low": axes.clipped(finding.estimate.low, span, span[0]),
            "high": axes.clipped(finding.estimate.high, span, span[1]),
            "verdict": phrases.WORDS[finding.verdict],
        }
        for finding in judged
        if finding.estimate is not None
        and finding.estimate.value is not None
        and finding.claim.quantile is not None
    ]
    if not rows:
        return []
    verdicts = [verdict for verdict in SHAPES if any(f.verdict is verdict for f in judged)]
    names = [phrases.WORDS[verdict] for verdict in verdicts]
    colour = scale("verdict", names, [LIGHT[verdict.value] for verdict in verdicts])
    shape = scale("verdict", names, [SHAPES[verdict] for verdict in verdicts])
    bars = {
        "data": {"values": rows},
        "mark": {"type": "rule", "strokeWidth": 2.5, "clip": True},
        "encoding": {
            "x": x,
            "y": {"field": "low", **y},
            "y2": {"field": "high"},
            "color": colour,
        },
    }
    dots = {
        "data": {"values": rows},
        "mark": {"type": "point", "filled": True, "size": 150, "opacity": 1},
        "encoding": {"x": x, "y": {"field": "value", **y}, "color": colour, "shape": shape},
    }
    return [bars, dots]


def scale(field: str, domain: Sequence[str], colours: Sequence[str], *, offset: int = 6) -> Spec:
    """A legend without title over named values."""
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(domain), "range": list(colours)},
        "legend": {"title": None, "offset": offset},
    }


def side_colour() -> Spec:
    sides = ["baseline", "candidate"]
    return scale("side", sides, [LIGHT[side] for side in sides])


def density_rows(density: Density) -> list[Row]:
    if not density.shares:
        return []
    shares = [*density.shares, 0.0]
    return [
        {"value": edge, "share": share, "side": density.side}
        for edge, share in zip(density.edges, shares, strict=True)
        if edge > 0
    ]


def forest_point(row: SegmentRow, span: Span) -> Row:
    return {
        "segment": row.segment,
        "quantile": quantile_label(row.quantile),
        "value": row.estimate.value,
        "low": axes.clipped(row.estimate.low, span, span[0]),
        "high": axes.clipped(row.estimate.high, span, span[1]),
    }


def together(points: Sequence[TimelinePoint]) -> bool:
    """Whether both sides stand readably on one clock: known times, most of the span covered."""
    if min(point.start for point in points) < EPOCH_SECONDS:
        return False
    spans = []
    for side in {point.side for point in points}:
        starts = [point.start for point in points if point.side == side]
        spans.append((min(starts), max(starts)))
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    return sum(end - start for start, end in spans) >= COVERED * whole


def moment_rows(points: Sequence[TimelinePoint], *, by_clock: bool) -> list[Row]:
    """Points of the timeline: milliseconds of the day, or minutes since a replica's first block."""
    first: dict[str, float] = {}
    for point in points:
        line = f"{point.side} {point.replica}"
        first[line] = min(point.start, first.get(line, point.start))
    rows = []
    for point in points:
        line = f"{point.side} {point.replica}"
        elapsed = (point.start - first[line]) / 60.0
        rows.append(
            {
                "time": point.start * 1000.0 if by_clock else elapsed,
                "value": point.value,
                "side": point.side,
                "replica": line,
                "quantile": quantile_label(point.quantile),
            }
        )
    return rows


def time_axis(times: Sequence[float], *, by_clock: bool) -> Spec:
    """Times of day in UTC (milliseconds), or minutes since the start."""
    if by_clock:
        days = max(times) - min(times) > DAY_MS
        return {
            "type": "temporal",
            "scale": {"type": "utc"},
            "axis": {
                "title": "time (UTC)",
                "grid": False,
                "labelOverlap": "greedy",
                "labelBound": True,
                "tickCount": 6,
                "format": "%d %b %H:%M" if days else "%H:%M",
            },
        }
    axis = {"title": "minutes since the start of each run or window", "grid": False}
    return {"type": "quantitative", "scale": {"zero": True, "nice": False}, "axis": axis}


def change_mark(moment: float | None, rows: Sequence[Row], x: Spec) -> list[Spec]:
    times = [row["time"] for row in rows]
    if moment is None or not min(times) <= moment * 1000.0 <= max(times):
        return []
    late = moment * 1000.0 > (min(times) + 3 * max(times)) / 4
    data = {"values": [{"time": moment * 1000.0, "label": "change"}]}
    rule = {"data": data, "mark": {"type": "rule", "color": LIGHT["ink"]}, "encoding": {"x": x}}
    text = {
        "data": data,
        "mark": {
            "type": "text",
            "align": "right" if late else "left",
            "dx": -4 if late else 4,
            "baseline": "top",
            "y": 2,
        },
        "encoding": {"x": x, "text": {"field": "label"}},
    }
    return [rule, text]


def metric_title(exhibits: Exhibits) -> str:
    return f"{exhibits.metric.replace('_', ' ')} (log scale)"
