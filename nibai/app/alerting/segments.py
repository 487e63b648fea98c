"""Which segments a change has, for rules that claim something of each of them.

They are those of the two weeks before the change, else (variants without a past) of its first day.
All of them share one error rate, so the set is found once and kept: one that grew while it is
followed would begin the same evidence again at another level.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nibai.app.audit import Desk
from nibai.app.onwatch.follow import watched_since
from nibai.model import Change, Window
from nibai.store.series.blocks import Blocks

DAY_SECONDS = 86400.0
BEFORE_SECONDS = 14 * DAY_SECONDS
LATE_SECONDS = 8 * DAY_SECONDS
"""An endpoint without a request by then has no segments."""

READ_EVERY_SECONDS = 600.0
MOST_VALUES = 20
"""The largest ones of each name: every value is a claim, and all of them share one error rate."""

KEPT = "segments:"
"""Begins the name under which a set is kept."""

Labels = Counter[str]


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of changes, read from a desk's lake and kept in its state.

    Changes older than `horizon_seconds` are followed no longer and are not asked about.
    """

    desk: Desk
    horizon_seconds: float = math.inf
    _kept: dict[str, Sequence[str]] = field(default_factory=dict)
    _read: dict[tuple[str, str], tuple[float, Labels, Labels]] = field(default_factory=dict)

    def values(self, change: Change, metric: str, name: str) -> Sequence[str]:
        """The values of a segment by number of requests, in the order of their names."""
        now, begun = self.desk.clock(), watched_since(change)
        if now - begun > self.horizon_seconds:
            return ()
        task = f"{KEPT}{change.id}:{metric}:{name}"
        if task not in self._kept:
            stored = self.desk.state.watermark(task)
            found = self._found(change, metric, name) if stored is None else json.loads(stored)
            if not found:
                return ()
            if stored is None:
                self.desk.state.set_watermark(task, json.dumps(found))
            self._kept[task] = found
        return self._kept[task]

    def _found(self, change: Change, metric: str, name: str) -> Sequence[str]:
        before, first_day = self._labels(change, metric)
        return _largest(before, name) or _largest(first_day, name)

    def _labels(self, change: Change, metric: str) -> tuple[Labels, Labels]:
        """Requests by label before the change, and of its first day once that is over."""
        now, begun = self.desk.clock(), watched_since(change)
        nothing = (-math.inf, Labels(), Labels())
        read_at, before, first_day = self._read.get((change.id, metric), nothing)
        settled = read_at >= begun + (DAY_SECONDS if before or first_day else LATE_SECONDS)
        if settled or now - read_at < READ_EVERY_SECONDS:
            return before, first_day
        before = self._requests(change, metric, Window(begun - BEFORE_SECONDS, begun))
        if now >= begun + DAY_SECONDS:
            first_day = self._requests(change, metric, Window(begun, begun + DAY_SECONDS))
        self._read[change.id, metric] = (now, before, first_day)
        return before, first_day

    def _requests(self, change: Change, metric: str, window: Window) -> Labels:
        pooled = self.desk.engine().pooled(change.endpoint, metric, None, Blocks(window, 1))
        return Labels({label: int(found.n.sum()) for label, found in pooled.items()})


def _largest(labels: Labels, name: str) -> list[str]:
    found: Counter[str] = Counter()
    for label, requests in labels.items():
        for part in label.split(","):
            key, _, value = part.partition("=")
            if key == name and value:
                found[value] += requests
    largest = sorted(found, key=lambda value: (-found[value], value))[:MOST_VALUES]
    return sorted(largest)
