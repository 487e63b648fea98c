"""Dashboards are read-only, share the crosshair and are found by our tag."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board

WHOLE = "dashboard"
WANTED = {
    "editable": (False, "changes in the browser are lost with the next push"),
    "graphTooltip": (1, "one crosshair for all panels"),
}
TAG = "nibai"


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Settings of the whole dashboard that differ."""
    for key, (value, reason) in WANTED.items():
        given = board.document.get(key)
        if given != value or isinstance(given, bool) != isinstance(value, bool):
            yield WHOLE, f"{key} is {given!r}: set {value!r} ({reason})"
    if TAG not in board.document.get("tags", []):
        yield WHOLE, f"has no tag {TAG!r}: links between dashboards go by it"
