"""What one look of the detector has to read: every series only what it waits for.

A fleet of five hundred endpoints has thousands of series. A followed one needs the newest blocks;
one whose week of learning has begun needs nothing until the week is over, and then all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nibai.model import Window
from nibai.stats.series_watch import WEEK_SECONDS, SeriesWatch
from nibai.store.series.history import Scope

Key = tuple[str, str]
"""Endpoint, and JSON of variant, metric and segment."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading: series of `expected` go on also where nothing of them is found.

    `others`: whether series that nobody knows yet are taken in; those of `passed` are left.
    """

    scope: Scope
    expected: frozenset[Key] = frozenset()
    passed: frozenset[Key] = field(default=frozenset(), repr=False)
    others: bool = True

    def takes(self, key: Key) -> bool:
        """Whether a series that was found goes on."""
        return key in self.expected or (self.others and key not in self.passed)


def passes(
    recent: Scope,
    wanted: set[str],
    kept: Mapping[Key, SeriesWatch],
    *,
    closed: float,
    looked: float | None,
    read_until: Mapping[str, float] | None = None,
) -> list[Pass]:
    """The readings of a look, blocks that were closed at `closed` at most.

    `looked`: up to when an earlier look took in new series of known endpoints. `read_until`: until
    when a pulled source has read an endpoint: what it has not read is not empty, and waits.
    """
    groups: dict[float, set[str]] = {}
    for endpoint in wanted:
        read = min(closed, (read_until or {}).get(endpoint, closed))
        groups.setdefault(read - read % recent.block_seconds, set()).add(endpoint)
    return [
        one
        for end, together in sorted(groups.items())
        for one in _together(
            recent,
            together,
            {key: state for key, state in kept.items() if key[0] in together},
            end=min(recent.window.end, end),
            looked=looked,
        )
    ]


def _together(
    recent: Scope,
    wanted: set[str],
    kept: Mapping[Key, SeriesWatch],
    *,
    end: float,
    looked: float | None,
) -> list[Pass]:
    """The readings of endpoints whose blocks are closed up to the same end."""
    seconds = recent.block_seconds
    block, week = round(end / seconds), round(WEEK_SECONDS / seconds)
    learning = {key for key, one in kept.items() if one.detector is None and one.begun}
    waiting = {key for key in learning if kept[key].waits(block, week)}
    ended, moving = learning - waiting, kept.keys() - learning
    known = {endpoint for endpoint, _ in kept}
    cursors = {key: one.cursor * seconds for key, one in kept.items()}
    if looked is None:  # a look of an older version: as if nobody had looked
        news = min(cursors.values(), default=end)
    else:
        news = min([looked, *(cursors[key] for key in moving)])
    whole = min((cursors[key] for key in ended), default=end)
    found = [
        Pass(_over(recent, recent.window.start, end, wanted - known)),
        Pass(
            _over(recent, news, end, wanted & known), frozenset(moving), frozenset(kept) - moving
        ),
        Pass(
            _over(recent, whole, end, {name for name, _ in ended}), frozenset(ended), others=False
        ),
    ]  # fmt: skip
    return [one for one in found if one.scope.among and one.scope.window.start < end]


def _over(recent: Scope, start: float, end: float, endpoints: set[str]) -> Scope:
    return replace(recent, window=Window(start, max(start, end)), among=frozenset(endpoints))
