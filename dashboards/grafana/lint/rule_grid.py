"""Panels lie beside each other in the 24 columns of the page."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board, named

COLUMNS = 24


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels without a place, outside the page or on top of another."""
    taken: dict[tuple[int, int], str] = {}
    for panel in board.panels:
        place = panel.get("gridPos", {})
        left, top, width, height = (place.get(key, -1) for key in ("x", "y", "w", "h"))
        if min(left, top) < 0 or min(width, height) < 1 or left + width > COLUMNS:
            yield named(panel), f"gridPos {place} is outside the {COLUMNS} columns"
            continue
        cells = {(x, y) for x in range(left, left + width) for y in range(top, top + height)}
        under = sorted({taken[cell] for cell in cells if cell in taken})
        if under:
            yield named(panel), f"lies on {under[0]}: move one"
        taken.update(dict.fromkeys(cells, named(panel)))
