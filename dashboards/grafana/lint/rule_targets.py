"""Every panel asks something, each query under its own letter."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board, named


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels without queries, empty queries, letters used twice."""
    for panel in board.panels:
        targets = panel.get("targets", [])
        if not targets:
            yield named(panel), "asks nothing: give it a query"
        letters = [target.get("refId") for target in targets]
        if len({*letters}) != len(letters):
            yield named(panel), "two queries have the same refId: give each its own"
        for target in targets:
            if not str(target.get("expr", "")).strip():
                yield named(panel), f"query {target.get('refId', '?')} is empty: write or remove it"
