"""Panels have ids of their own, dashboards short ones that Grafana takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from dashboards.grafana.board import Board

LONGEST = 40
"""Grafana's limit for a uid."""

UID = re.compile(r"[A-Za-z0-9_-]+")


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Ids that are missing, repeated or too long."""
    for number, times in Counter(board.ids).items():
        if not isinstance(number, int) or number < 1:
            yield "panels", f"{times} without a positive id: number them"
        elif times > 1:
            yield "panels", f"{times} have the id {number}: number them"
    uid = str(board.document.get("uid") or "")
    if not UID.fullmatch(uid) or len(uid) > LONGEST:
        yield "dashboard", f"the uid {uid!r} is not 1 to {LONGEST} letters, digits, - or _"
