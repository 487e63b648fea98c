"""Every panel says what it shows and which metric that is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dashboards.grafana.board import Board, named

ENDING = re.compile(r"\S.* Metric: (\w+)", re.DOTALL)


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels whose description does not end with a metric that they show."""
    for panel in board.panels:
        match = ENDING.fullmatch(str(panel.get("description", "")))
        if match is None:
            yield named(panel), "the description does not end with “Metric: <name>”: add that"
            continue
        texts = [
            text
            for target in panel.get("targets", [])
            for text in board.filled(str(target.get("expr", "")))
        ]
        if not any(re.search(rf"\b{match[1]}(_bucket)?\b", text) for text in texts):
            yield named(panel), f"the description names {match[1]}, which no query asks for"
