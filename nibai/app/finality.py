"""When minutes count for a watch, and what changes them afterwards.

A value that may still change is not what a watch's error rate was promised for: a block is read
once its minutes are final, or old enough by what was learned of its source
(`nibai.stats.settling`). What changes such a minute all the same is never applied to a block that
was read, and never silent. Source: nibai's aws.md, R4.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from nibai.model import Change
from nibai.stats.day_pairs import ClockPairs
from nibai.stats.following import Track
from nibai.stats.settling import Learned
from nibai.store.state.backfills import is_filling
from nibai.store.state.database import State
from nibai.store.state.revisions import Revision, newest_number, revised_since
from nibai.store.state.settling import learned_ages
from nibai.store.state.watermarks import Watermark, watermarks

SETTLE_SECONDS = 300.0
"""A block counts as closed so long after its end: what is pushed late is in the lake by then."""


@dataclass(frozen=True, slots=True)
class Finality:
    """What is known of an endpoint's minutes, asked before the lake is read.

    `marks` by metric, of pulled sources; `revision` is the newest of a minute that was final;
    while past is being pushed (`filling`) nothing counts. `ages` is what was learned, by source.
    """

    marks: Mapping[str, Watermark]
    revision: int
    filling: bool = False
    ages: Mapping[str, Learned] = field(default_factory=dict)

    def early(self, metrics: Collection[str]) -> Finality | None:
        """As final as minutes are by what was learned; None where that is no earlier for any."""
        found = {
            metric: Watermark(mark.source, mark.read_until, mark.read_until - age)
            for metric, mark in self.marks.items()
            for age in [self.age(metric)]
            if metric in metrics and age is not None
        }
        return replace(self, marks={**self.marks, **found}) if found else None

    def age(self, metric: str) -> float | None:
        """How old minutes of a metric have to be by what was learned, where it is less."""
        mark = self.marks.get(metric)
        learned = None if mark is None else self.ages.get(mark.source)
        if mark is None or learned is None or learned.age_seconds is None:
            return None
        return learned.age_seconds if learned.age_seconds < mark.provisional_seconds else None

    def newest_counted(self, now: float) -> float:
        """Until when minutes of any metric count at most.

        To the second: the difference of two clock times would lose the end of a block.
        """
        known = [one for one in self.marks.values() if not one.is_behind(now)]
        final = max((one.final_until for one in known), default=math.inf)
        return min(now - SETTLE_SECONDS, final)

    def lag_seconds(self, now: float) -> float:
        """How old minutes are at least when they count."""
        return now - self.newest_counted(now)

    def until(self, metric: str, newest: float, now: float) -> float:
        """Until when the minutes of a metric count, of which the lake holds some up to `newest`."""
        if self.filling:
            return 0.0
        settled = min(now - SETTLE_SECONDS, newest + SETTLE_SECONDS)
        mark = self.marks.get(metric)
        # Minutes of long after a mark came another way: its source is not read any more.
        if mark is None or mark.is_behind(newest):
            return settled
        return min(settled, mark.final_until)


def finality(state: State, endpoint: str, now: float) -> Finality:
    """What is known now."""
    marks = watermarks(state, endpoint)
    return Finality(
        marks,
        newest_number(state, endpoint),
        is_filling(state, endpoint, now),
        learned_ages(state, endpoint, now) if marks else {},
    )


def revised_minutes(
    state: State, change: Change, metric: str, pairs: ClockPairs, track: Track
) -> int:
    """How many minutes of blocks and partners changed after the track had read them."""
    if track.last < 0:
        return 0
    found = revised_since(state, change.endpoint, metric, track.revision_known(0))
    return sum(_read_before(one, change, pairs, track) for one in found)


def _read_before(one: Revision, change: Change, pairs: ClockPairs, track: Track) -> bool:
    at = one.minute * 60.0
    numbers = []
    if change.candidate_variant in {None, one.variant}:
        numbers.append(pairs.number_at(at))
    if change.baseline_variant in {None, one.variant}:
        numbers += pairs.partnered(at, track.last)
    return any(
        0 <= number <= track.last and one.number > track.revision_known(number)
        for number in numbers
    )
