"""Every panel has a unit."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board, named


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels without one."""
    for panel in board.panels:
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            yield named(panel), "has no unit: set one (none for words)"
