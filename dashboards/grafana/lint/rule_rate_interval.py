"""Rates follow the zoom: their window is `$__rate_interval`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dashboards.grafana.board import Board

FIXED = re.compile(r"\b(i?rate)\([^\[\]]*\[(?!\$__rate_interval\])([^\]]*)\]")


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Rates over a fixed window."""
    for _, expression in board.panel_expressions():
        for match in FIXED.finditer(expression.text):
            yield expression.where, f"{match[1]} over [{match[2]}]: use [$__rate_interval]"
