"""Which segments a change has, for rules that claim something of each of them.

They are those of the two weeks before the change and of its first day, so that the set does not
change while it is followed: a segment without a past has nothing to be compared with anyway.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nibai.app.audit import Desk
from nibai.app.onwatch.follow import watched_since
from nibai.model import Change, Window
from nibai.store.engine import Blocks

DAY_SECONDS = 86400.0
BEFORE_SECONDS = 14 * DAY_SECONDS
LATE_SECONDS = 8 * DAY_SECONDS
"""An endpoint without a request by then has no segments."""

READ_EVERY_SECONDS = 600.0
MOST_VALUES = 20
"""The largest ones of each name: every value is a claim, and all of them share one error rate."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of changes, read from a desk's lake once they cannot grow any more.

    Changes older than `horizon_seconds` are followed no longer and are not asked about.
    """

    desk: Desk
    horizon_seconds: float = math.inf
    _read: dict[tuple[str, str], tuple[float, Counter[str]]] = field(default_factory=dict)

    def values(self, change: Change, metric: str, name: str) -> Sequence[str]:
        """The values of a segment by number of requests, in the order of their names."""
        found: Counter[str] = Counter()
        for label, requests in self._labels(change, metric).items():
            for part in label.split(","):
                key, _, value = part.partition("=")
                if key == name and value:
                    found[value] += requests
        largest = sorted(found, key=lambda value: (-found[value], value))[:MOST_VALUES]
        return sorted(largest)

    def _labels(self, change: Change, metric: str) -> Counter[str]:
        now, begun = self.desk.clock(), watched_since(change)
        if now - begun > self.horizon_seconds:
            return Counter()
        read_at, known = self._read.get((change.id, metric), (-math.inf, Counter[str]()))
        settled = read_at >= begun + (DAY_SECONDS if known else LATE_SECONDS)
        if settled or now - read_at < READ_EVERY_SECONDS:
            return known
        window = Window(begun - BEFORE_SECONDS, begun + DAY_SECONDS)
        pooled = self.desk.engine().pooled(change.endpoint, metric, None, Blocks(window, 1))
        labels = Counter({label: int(found.n.sum()) for label, found in pooled.items()})
        self._read[change.id, metric] = (now, labels)
        return labels
