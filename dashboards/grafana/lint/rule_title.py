"""Every panel has a title, and no two have the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dashboards.grafana.board import Board, named


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels without a title of their own."""
    titles = Counter(str(panel.get("title", "")).strip() for panel in board.panels)
    for panel in board.panels:
        title = str(panel.get("title", "")).strip()
        if not title:
            yield named(panel), "has no title: give it one"
        elif titles[title] > 1:
            yield named(panel), "shares its title with another panel: name what differs"
