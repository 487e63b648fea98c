"""Which segments a source names, and how many: the lake must not fill with series from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nibai.conventions import OTHER_SEGMENT


@dataclass(slots=True)
class Segments:
    """At most so many segments in one reading; what comes later is joined as "other"."""

    most: int = 50
    joined: int = 0
    _known: set[str] = field(default_factory=set)

    def bounded(self, segment: str) -> str:
        """The segment, or "other"."""
        if segment in self._known or len(self._known) < self.most:
            self._known.add(segment)
            return segment
        self.joined += 1
        return OTHER_SEGMENT


def band(value: object, edges: Sequence[int]) -> str:
    """The band of a number, written as OTLP's token buckets are; empty where it is none.

    >>> band("100", (128, 1024)), band(5000.0, (128, 1024)), band("many", (128,))
    ('<=128', '>1024', '')
    """
    try:
        number = float(str(value))
    except ValueError:
        return ""
    low = 0
    for edge in sorted(edges):
        if number <= edge:
            return f"{low + 1}-{edge}" if low else f"<={edge}"
        low = edge
    return f">{low}"
