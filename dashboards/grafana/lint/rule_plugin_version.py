"""An xychart without `pluginVersion` draws nothing."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board, named

NEEDED = frozenset({"xychart"})


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels that Grafana would leave empty."""
    for panel in board.panels:
        if panel.get("type") in NEEDED and not panel.get("pluginVersion"):
            yield named(panel), "has no pluginVersion: without one it draws nothing"
