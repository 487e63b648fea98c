"""A part of a watched change: how far it was followed, and which of its blocks are over."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from nibai.app.finality import Finality
from nibai.model import Claim, Promise, Reason, Verdict
from nibai.stats.block_values import BlockReading
from nibai.stats.day_pairs import ClockPairs
from nibai.stats.following import Track
from nibai.stats.sequential_rates import Trials
from nibai.store.windows.paired_blocks import PairedBlocks


@dataclass(frozen=True, slots=True)
class Followed:
    """One part of the claims: how far it was followed, or why blocks do not decide it.

    `waiting`: one side has no data yet; `planned` is False before the first look; `metric`: whose
    requests they are. `until`: blocks that end later are not its own, because of `ended_by`.
    """

    claim: Claim
    track: Track | None
    reason: Reason | None = None
    waiting: bool = False
    planned: bool = False
    replicas: tuple[int, int] = (0, 0)
    metric: str = ""
    until: float = math.inf
    ended_by: str = ""

    @property
    def pairs(self) -> ClockPairs | None:
        """Its blocks and their partners."""
        if self.track is None:
            return None
        plan = self.track.plan
        return ClockPairs(plan.cut, plan.since, plan.block_seconds, plan.side_by_side, plan.until)

    @property
    def ended(self) -> bool:
        """Whether its next block is not its own any more."""
        if self.track is None or self.pairs is None:
            return False
        return self.pairs.end(self.track.last + 1) > self.until

    @property
    def verdict(self) -> Verdict:
        """The verdict reached, `inconclusive` before."""
        if self.track is None or self.track.verdict is None:
            return Verdict.INCONCLUSIVE
        return self.track.verdict


@dataclass(frozen=True, slots=True)
class ClosedBlock:
    """A block that is over, of one part."""

    end: float
    part: int
    number: int
    reading: BlockReading

    @property
    def order(self) -> tuple[float, int, int]:
        """By time."""
        return self.end, self.part, self.number


def closed_blocks(
    part: Followed, source: PairedBlocks, now: float, known: Finality
) -> Iterator[tuple[int, BlockReading]]:
    """The blocks that are over and that the part's track has not passed, in the order of time.

    A block counts once: where a source is pulled it is over when its minutes are final, however
    long ago it ended.
    """
    pairs, track = part.pairs, part.track
    if pairs is None or track is None:
        return
    newest = now if source.newest is None else source.newest
    moment = min(known.until(source.metric, newest, now), source.ends[0])
    numbers = range(track.last + 1, pairs.closed(moment))
    quantile = None if part.claim.promise is Promise.ERRORS else part.claim.quantile or 0.5
    readings = source.readings(pairs, numbers, quantile, dict(track.plan.weights))
    nothing = BlockReading(math.nan, Trials(), Trials())
    for number in numbers:
        yield number, readings.get(number, nothing)


def rests_on(part: Followed, known: Finality) -> Followed:
    """The part, with what is known of the minutes that decided it."""
    age = known.age(part.metric)
    if part.track is None or age is None:
        return part
    hours = known.ages[known.marks[part.metric].source].hours
    return dataclasses.replace(
        part, track=dataclasses.replace(part.track, age_seconds=age, hours=hours)
    )
