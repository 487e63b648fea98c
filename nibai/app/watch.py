"""Following a change from block to block until it is decided: `nibai audit --watch`.

Looks may come at any time and any number of times: only closed blocks count, each once, in the
order of time, and everything stops at the block that decides. What was seen is kept in the state,
so that another look, or another process, goes on where the last one was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nibai.app.audit import Desk
from nibai.app.watch_plan import LATER, plan_part
from nibai.claims import print_claim
from nibai.conventions import REQUEST_METRICS
from nibai.document import decode
from nibai.errors import UsageError
from nibai.model import Change, Claim, Promise, Reason, Sentence, Verdict
from nibai.stats.block_values import BlockReading
from nibai.stats.clock import WEEK_DAYS
from nibai.stats.day_pairs import ClockPairs
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.sequential_rates import Trials
from nibai.stats.verdict import Part, conjunction
from nibai.store.engine import Engine
from nibai.store.freshness import latencies_until
from nibai.store.paired_blocks import PairedBlocks
from nibai.store.windows import require_sides

SETTLE_SECONDS = 300.0
"""A block counts as closed so long after its end: late requests are in the lake by then."""

SETTLED = (Verdict.CONFIRMED, Verdict.REFUTED)


@dataclass(frozen=True, slots=True)
class Followed:
    """One part of the claims: how far it was followed, or why blocks do not decide it.

    `waiting`: one side has no data yet; `planned` is False before the first look.
    """

    claim: Claim
    track: Track | None
    reason: Reason | None = None
    waiting: bool = False
    planned: bool = False
    replicas: tuple[int, int] = (0, 0)

    @property
    def pairs(self) -> ClockPairs | None:
        """Its blocks and their partners."""
        if self.track is None:
            return None
        plan = self.track.plan
        return ClockPairs(plan.cut, plan.since, plan.block_seconds, plan.side_by_side, plan.until)

    @property
    def verdict(self) -> Verdict:
        """The verdict reached, `inconclusive` before."""
        if self.track is None or self.track.verdict is None:
            return Verdict.INCONCLUSIVE
        return self.track.verdict


class Watch:
    """One change, followed at a confidence level for its own claims (or other ones)."""

    def __init__(
        self, desk: Desk, change: Change, level: float, others: Sequence[float] | None = None
    ) -> None:
        """`others`: moments of the endpoint's other changes; None: they are looked up."""
        require_sides(change)
        if change.runs:
            raise UsageError(
                f"change {change.id} was measured in runs: they are judged when they are over, "
                "audit it without --watch"
            )
        self.change = change
        self.level = level
        self._desk = desk
        self._others = others
        self.parts = tuple(Followed(claim, None) for claim in _claims(change.sentences))

    # -- looking ----------------------------------------------------------------------------
    def look(self, now: float) -> None:
        """Read all blocks that closed since the last look, in the order of time."""
        if self.parts and not any(self._may_have_closed(part, now) for part in self.parts):
            return
        sources = self.sources()
        self.parts = tuple(
            self._prepared(part.claim, source)
            for part, source in zip(self.parts, sources, strict=True)
        )
        for _, index, number, reading in sorted(self._closed(sources, now), key=lambda e: e[:3]):
            part = self.parts[index]
            if part.track is not None and self.is_open(part):
                track = part.track.look(number, reading)
                changed = dataclasses.replace(part, track=track)
                self.parts = (*self.parts[:index], changed, *self.parts[index + 1 :])
        self.parts = tuple(self._stored(part) for part in self.parts)

    @property
    def read_until(self) -> float | None:
        """Until when a pulled source of the endpoint was read; None: what is pushed is there."""
        return latencies_until(self._desk.state, self.change.endpoint)

    def sources(self) -> list[PairedBlocks]:
        """Where the blocks of each part are read, from the lake as it is now."""
        others = self._desk.other_changes(self.change) if self._others is None else self._others
        engine = self._desk.engine()
        about = [(self._metric(part.claim, engine), part.claim.segment) for part in self.parts]
        once = {key: PairedBlocks(engine, self.change, *key, others) for key in about}
        return [once[key] for key in about]

    def _metric(self, claim: Claim, engine: Engine) -> str:
        """The metric whose requests a part is about: errors of no named one, the first known."""
        if claim.promise is not Promise.ERRORS or claim.metric_named:
            return claim.metric
        names = dict.fromkeys((claim.metric, *REQUEST_METRICS))
        known = (name for name in names if engine.spans(self.change.endpoint, name))
        return next(known, claim.metric)

    def _may_have_closed(self, part: Followed, now: float) -> bool:
        """Whether the lake has to be asked: most looks fall between two ends of blocks."""
        pairs, track = part.pairs, part.track
        if pairs is None or track is None:
            return not part.planned or part.waiting
        closed = pairs.closed(now - SETTLE_SECONDS)
        return self.is_open(part) and closed > track.last + 1

    def _prepared(self, claim: Claim, source: PairedBlocks) -> Followed:
        """As stored, or planned now."""
        if claim.promise in LATER:
            return Followed(claim, None, planned=True)
        document = self._desk.state.watch(self.change.id, self.key(claim))
        if document is not None:
            return Followed(claim, decode(Track, document), planned=True, replicas=source.replicas)
        plan = plan_part(self.change, claim, source, self.level)
        if isinstance(plan, FollowPlan):
            return self._stored(
                Followed(claim, new_track(plan), planned=True, replicas=source.replicas)
            )
        return Followed(claim, None, plan, waiting=plan is None, planned=True)

    def _stored(self, part: Followed) -> Followed:
        if part.track is None:
            return part
        document = self._desk.state.put_watch(
            self.change.id,
            self.key(part.claim),
            part.track.last,
            dataclasses.asdict(part.track),
        )
        return dataclasses.replace(part, track=decode(Track, document))

    def _closed(
        self, sources: Sequence[PairedBlocks], now: float
    ) -> Iterator[tuple[float, int, int, BlockReading]]:
        """(end, part, number, reading) of the blocks that are over and not read yet."""
        read = self.read_until
        for index, (part, source) in enumerate(zip(self.parts, sources, strict=True)):
            if part.pairs is not None and self.is_open(part):
                for number, reading in closed_blocks(part, source, now, read):
                    yield part.pairs.end(number), index, number, reading

    # -- where it stands --------------------------------------------------------------------
    def sentence_verdict(self, sentence: Sentence) -> Verdict:
        """What is decided of a sentence: all parts confirmed, or one surely enough refuted."""
        known = {part.claim: part for part in self.parts}
        found = []
        for claim in sentence.parts:
            part = known[claim]
            p = None if part.track is None else part.track.p_refute
            found.append(Part(part.verdict, p))
        return conjunction(found, alpha=(1 - self.level) / 2).verdict

    def is_open(self, part: Followed) -> bool:
        """Whether more blocks of this part can still decide a sentence."""
        if part.track is None or part.track.blind or part.track.verdict is Verdict.CONFIRMED:
            return False
        return not self.exhausted(part) and any(
            part.claim in sentence.parts and self.sentence_verdict(sentence) not in SETTLED
            for sentence in self.change.sentences
        )

    def exhausted(self, part: Followed) -> bool:
        """Whether no unused day before the change is left to compare with."""
        pairs = part.pairs
        if pairs is None or part.track is None:
            return False
        first = part.track.last + 1
        week = range(first, first + WEEK_DAYS * pairs.per_day)
        return all(pairs.partner(number) is None for number in week)

    @property
    def decided(self) -> bool:
        """Whether every sentence is confirmed or refuted."""
        return all(self.sentence_verdict(s) in SETTLED for s in self.change.sentences)

    @property
    def over(self) -> bool:
        """Whether more blocks would change nothing."""
        return not any(part.waiting or self.is_open(part) for part in self.parts)

    def next_close(self, now: float) -> float | None:
        """When the next block of an open part will count, None when there is none."""
        ends = [
            part.pairs.end(part.pairs.closed(now - SETTLE_SECONDS)) + SETTLE_SECONDS
            for part in self.parts
            if part.pairs is not None and self.is_open(part)
        ]
        return min(ends, default=None)

    def key(self, claim: Claim) -> str:
        """Under which name the state keeps a part."""
        return f"{claim.metric} | {print_claim(claim)} | {self.level:g}"


def closed_blocks(
    part: Followed, source: PairedBlocks, now: float, read_until: float | None = None
) -> Iterator[tuple[int, BlockReading]]:
    """The blocks that are over and that the part's track has not passed, in the order of time.

    A block counts once: where a source is pulled it is over when it was read to its end, however
    long ago that end was.
    """
    pairs, track = part.pairs, part.track
    if pairs is None or track is None:
        return
    moment = min(now - SETTLE_SECONDS, source.until)
    if source.newest is not None:
        moment = min(moment, source.newest + SETTLE_SECONDS)
        if read_until is not None:
            # What is newer came another way: the source of these marks is not read any more.
            moment = min(moment, max(read_until, source.newest))
    numbers = range(track.last + 1, pairs.closed(moment))
    quantile = None if part.claim.promise is Promise.ERRORS else part.claim.quantile or 0.5
    readings = source.readings(pairs, numbers, quantile, dict(track.plan.weights))
    nothing = BlockReading(math.nan, Trials(), Trials())
    for number in numbers:
        yield number, readings.get(number, nothing)


def _claims(sentences: Sequence[Sentence]) -> list[Claim]:
    return list(dict.fromkeys(claim for sentence in sentences for claim in sentence.parts))
