"""Every variable that is used is declared, and every declared one is used."""

from __future__ import annotations

import json
from collections.abc import Iterator

from dashboards.grafana.board import VARIABLE, Board


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Variables that Grafana would leave as they are written, and those that do nothing."""
    declared = {str(one.get("name")) for one in board.variables}
    texts = {
        key: json.dumps(value)
        for key, value in board.document.items()
        if key in {"panels", "templating", "annotations"}
    }
    used = {
        next(group for group in match.groups() if group)
        for text in texts.values()
        for match in VARIABLE.finditer(text)
    }
    for name in sorted(used - declared):
        if not name.startswith("__"):
            yield "variables", f"${name} is used and not declared: add it"
    for name in sorted(declared - used):
        yield "variables", f"${name} is declared and not used: remove it"
