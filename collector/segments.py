"""How many segments a source may name: the lake must not fill with series from outside."""

from __future__ import annotations

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
