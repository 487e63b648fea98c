"""The figures of the document, in the project's chart style."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from bench.evaluate.false_positives import PEER_TITLES, Cell
from bench.evaluate.inject import LEVELS
from bench.evaluate.judge import TITLES
from bench.evaluate.power import Power
from bench.evaluate.results import Results
from bench.evaluate.series import SUITES
from bench.evaluate.windows import CONSECUTIVE
from dashboards.theme import LIGHT, Spec, png

WIDTH, SCALE = 720, 1.25
JUDGES = {"level": TITLES["level"], **PEER_TITLES}
COLOURS = {
    TITLES["level"]: LIGHT["candidate"],
    "Welch t": LIGHT["inconclusive"],
    "Mann–Whitney": LIGHT["partly"],
    "KS": LIGHT["not_comparable"],
    "Kayenta rule": LIGHT["confirmed"],
    "Otava": LIGHT["baseline"],
}
LOAD_TITLE = "requests per second (solid: ascending sweep, dashed: descending)"
NAMES = ("false-positives.png", *(f"power-{suite.name}.png" for suite in SUITES), "stacks.png")
"""Every figure there can be; one without data is not drawn."""


def draw(results: Results, folder: Path) -> list[str]:
    """Write the figures that have data; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    specs = {"false-positives.png": _false_positives(results), "stacks.png": _stacks(results)}
    specs |= {f"power-{suite.name}.png": _power(results.power, suite.name) for suite in SUITES}
    drawn = []
    for name in NAMES:
        spec = specs[name]
        (folder / name).unlink(missing_ok=True)
        if spec is not None:
            (folder / name).write_bytes(compact(png(spec, WIDTH, scale=SCALE)))
            drawn.append(name)
    return drawn


def compact(picture: bytes) -> bytes:
    """The same PNG with its pixels packed tightly: a third of what the renderer writes."""
    head, chunks, at = picture[:8], [], 8
    while at < len(picture):
        (size,) = struct.unpack_from(">I", picture, at)
        chunks.append((picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]))
        at += size + 12
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    before = [chunk for chunk in chunks if chunk[0] not in {b"IDAT", b"IEND"}]
    packed = [*before, (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return head + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in packed
    )


def _colour() -> Spec:
    return {
        "field": "judge",
        "type": "nominal",
        "sort": list(COLOURS),
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
        "legend": {"title": None, "columns": 6},
    }


def _false_positives(results: Results) -> Spec | None:
    """Rate by window length, one line a judge and suite, the nominal 5 % as a rule."""
    rows = []
    for suite in SUITES:
        for cell in results.false_positives.cells():
            if (cell.suite, cell.arrangement) == (suite.name, CONSECUTIVE):
                rows += _rates(results, cell, f"{suite.title}, {cell.length}")
    if not rows:
        return None
    names = list(dict.fromkeys(row["cell"] for row in rows))
    y: Spec = {"field": "cell", "type": "nominal", "sort": names, "axis": {"title": None}}
    x: Spec = {
        "field": "percent",
        "type": "quantitative",
        "axis": {"title": "% of unchanged windows flagged, margin 0 (line: 5 %)"},
    }
    points = {
        "data": {"values": rows},
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.9},
        "encoding": {"x": x, "y": y, "color": _colour(), "shape": _shape()},
    }
    rule = {
        "data": {"values": [{"percent": 5}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": LIGHT["refuted"]},
        "encoding": {"x": x},
    }
    return {"height": 26 * len(names), "layer": [rule, points]}


def _shape() -> Spec:
    """Nibai is a diamond, so that colour does not carry it alone."""
    shapes = ["diamond", *["circle"] * (len(COLOURS) - 1)]
    return {
        "field": "judge",
        "type": "nominal",
        "sort": list(COLOURS),
        "scale": {"domain": list(COLOURS), "range": shapes},
        "legend": {"title": None, "columns": 6},
    }


def _rates(results: Results, cell: Cell, title: str) -> list[Spec]:
    found = {name: results.false_positives.summary(cell, name) for name in JUDGES}
    return [
        {"cell": title, "judge": JUDGES[name], "percent": 100 * summary.flagged.value}
        for name, summary in found.items()
        if summary is not None and summary.flagged is not None
    ]


def _power(power: Power, suite: str) -> Spec | None:
    """Share found by size of the level shift."""
    rows = [
        {"size": 100 * (effect.size or 0.0), "judge": title, "percent": 100 * summary.found.value}
        for effect in LEVELS
        for name, title in JUDGES.items()
        if (summary := power.summary(suite, effect.name, name)) and summary.found
    ]
    if not rows:
        return None
    x: Spec = {"field": "size", "type": "quantitative", "axis": {"title": "level shift in %"}}
    y: Spec = {
        "field": "percent",
        "type": "quantitative",
        "scale": {"domain": [0, 100]},
        "axis": {"title": "% found at nibai's false-positive rate"},
    }
    mark = {"type": "line", "strokeWidth": 2, "point": {"size": 40}}
    encoding = {"x": x, "y": y, "color": _colour()}
    return {"height": 260, "data": {"values": rows}, "mark": mark, "encoding": encoding}


def _stacks(results: Results) -> Spec | None:
    """Speed-up of the stack by load and order of the sweep: only the median agrees."""
    rows = [
        {
            "load": float(story.what[0]),
            "ratio": story.value,
            "quantile": story.quantile,
            "order": story.what[1],
        }
        for story in results.stories.llm
        if story.value is not None and story.what[1] != "both"
    ]
    if not rows:
        return None
    colours = [LIGHT["candidate"], LIGHT["inconclusive"], LIGHT["refuted"]]
    encoding = {
        "x": {"field": "load", "type": "quantitative", "axis": {"title": LOAD_TITLE}},
        "y": {
            "field": "ratio",
            "type": "quantitative",
            "scale": {"type": "log"},
            "axis": {"title": "times faster, first token (log scale)"},
        },
        "color": {
            "field": "quantile",
            "type": "nominal",
            "sort": ["p50", "p90", "p99"],
            "scale": {"domain": ["p50", "p90", "p99"], "range": colours},
            "legend": {"title": None},
        },
        "strokeDash": {
            "field": "order",
            "type": "nominal",
            "scale": {"domain": ["ascending", "descending"], "range": [[1, 0], [4, 3]]},
            "legend": None,
        },
    }
    mark = {"type": "line", "strokeWidth": 2, "point": {"size": 40}}
    lines = {"data": {"values": rows}, "mark": mark, "encoding": encoding}
    rule = {
        "data": {"values": [{"ratio": 2.0}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": LIGHT["muted"]},
        "encoding": {"y": {"field": "ratio", "type": "quantitative"}},
    }
    return {"height": 280, "layer": [rule, lines]}
