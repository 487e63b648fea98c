"""Names of what the schedule stores: made of what it is about, so that it is stored once."""

from __future__ import annotations

import hashlib

WATCH, REPORT = "watch", "report"


def name_of(prefix: str, *about: object) -> str:
    """An id such as watch-1a2b3c4d5e6f, the same for the same things.

    >>> name_of("report", "chg-1", "24h") == name_of("report", "chg-1", "24h")
    True
    """
    text = "|".join(str(part) for part in about)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
