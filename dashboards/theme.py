"""One palette for every chart, and Vega-Lite specifications as SVG or PNG.

A chart is drawn once with the light colours below. On the page they become CSS variables, so that
the same drawing follows the reader's light or dark setting and prints in the light one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zlib import crc32

from nibai.model import Verdict

Spec = dict[str, Any]

_UNDRAWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

KEPT = 64
"""Drawings remembered, of 50 KB each: a page that is opened again is not drawn again."""

LIGHT = {
    "ink": "#1b1d22",
    "muted": "#5b616e",
    "grid": "#dfe2e8",
    "surface": "#fefefe",
    "page": "#f4f5f7",
    "baseline": "#c2569b",
    "candidate": "#1558b0",
    "confirmed": "#1a7f37",
    "refuted": "#c62828",
    "inconclusive": "#946200",
    "partly": "#b54700",
    "not_comparable": "#68707a",
}
"""Names of colours; every value is different, so that a drawing can be recoloured by value."""

DARK = {
    "ink": "#e8eaf0",
    "muted": "#a3abb9",
    "grid": "#363b46",
    "surface": "#1a1d24",
    "page": "#111318",
    "baseline": "#e893c9",
    "candidate": "#74adff",
    "confirmed": "#46c35f",
    "refuted": "#ff8079",
    "inconclusive": "#d9a32b",
    "partly": "#f2924b",
    "not_comparable": "#99a2ae",
}

SHAPES = {
    Verdict.CONFIRMED: "circle",
    Verdict.REFUTED: "cross",
    Verdict.INCONCLUSIVE: "diamond",
    Verdict.NOT_COMPARABLE: "square",
}
"""A shape beside the colour, never the colour alone."""

FONT = "Helvetica, Arial, sans-serif"
VEGA_LITE = "6.4"


def config() -> Spec:
    """How all charts look."""
    ink, muted, grid = LIGHT["ink"], LIGHT["muted"], LIGHT["grid"]
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": muted,
            "titleColor": muted,
            "titleFontWeight": "normal",
            "titleFontSize": 12,
            "labelFontSize": 12,
            "gridColor": grid,
            "domainColor": grid,
            "tickColor": grid,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": muted,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "orient": "top",
            "direction": "horizontal",
            "offset": 6,
        },
        "text": {"fontSize": 12, "color": ink},
    }


def drawable(value: Any) -> Any:  # noqa: ANN401 - any part of a specification
    r"""A specification without signs that no SVG may hold, such as names from outside have.

    The renderer ends the whole process at the first of them.

    >>> drawable({"title": ["tenant " + chr(27) + "[31m", 1.5]})
    {'title': ['tenant \\x1b[31m', 1.5]}
    """
    if isinstance(value, str):
        return _UNDRAWABLE.sub(lambda sign: ascii(sign[0])[1:-1], value)
    if isinstance(value, Mapping):
        return {drawable(key): drawable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [drawable(item) for item in value]
    return value


def sized(spec: Spec, width: int) -> Spec:
    """A chart of one view (or layers) drawn to a total width in pixels."""
    fit = "fit-x" if isinstance(spec.get("height"), Mapping) else "fit"
    sizing = {"type": fit, "contains": "padding"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "padding": 2,
        **drawable(spec),
        "width": width,
        "autosize": sizing,
    }


def svg(spec: Spec, width: int) -> str:
    """The chart for a page: its colours are CSS variables `--ink`, `--baseline` and so on."""
    return _drawn(json.dumps(sized(spec, width)))


@lru_cache(maxsize=KEPT)
def _drawn(spec: str) -> str:
    # 88 MB of renderer: only a report needs it.
    import vl_convert  # noqa: PLC0415

    drawing: str = vl_convert.vegalite_to_svg(
        json.loads(spec), vl_version=VEGA_LITE, allowed_base_urls=[]
    )
    for name, value in LIGHT.items():
        drawing = drawing.replace(value, f"var(--{name})")
    # Clip paths are called "clip0" in every drawing; on one page they must not meet.
    own = f"d{crc32(drawing.encode()):08x}-"
    return re.sub(r'(\bid="|url\(#)', rf"\g<1>{own}", drawing)


def png(spec: Spec, width: int = 720, *, scale: float = 2.0) -> bytes:
    """The same chart as a picture in the light colours, on white."""
    import vl_convert  # noqa: PLC0415 - see svg

    sheet = {**sized(spec, width), "background": LIGHT["surface"]}
    picture: bytes = vl_convert.vegalite_to_png(
        sheet, vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[]
    )
    return picture
