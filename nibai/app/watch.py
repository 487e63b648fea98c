"""Following a change from block to block until it is decided: `nibai audit --watch`.

Looks may come at any time and any number of times: only closed blocks whose minutes are final
count, each once, in the order of time, and everything stops at the block that decides. What was
seen is kept in the state, so that another look, or another process, goes on where the last one was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nibai.app.audit import Desk
from nibai.app.finality import Finality, finality, revised_minutes
from nibai.app.watch_plan import LATER, plan_part
from nibai.claims import print_claim
from nibai.conventions import REQUEST_METRICS
from nibai.document import decode
from nibai.errors import UsageError
from nibai.model import Change, Claim, Promise, Reason, ReasonCode, Sentence, Verdict
from nibai.stats.block_values import BlockReading
from nibai.stats.clock import WEEK_DAYS
from nibai.stats.day_pairs import ClockPairs
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.sequential_rates import Trials
from nibai.stats.sides import Segments
from nibai.stats.verdict import Part, conjunction
from nibai.store.disturbances import moments
from nibai.store.engine import Engine
from nibai.store.paired_blocks import PairedBlocks, Read
from nibai.store.watermarks import Watermark
from nibai.store.windows import require_sides

FILLING = Reason(
    ReasonCode.NO_DATA,
    "the past is still being pushed: it is read some time after the last of it (otlp.past_wait)",
)
SETTLED = (Verdict.CONFIRMED, Verdict.REFUTED)


@dataclass(frozen=True, slots=True)
class Followed:
    """One part of the claims: how far it was followed, or why blocks do not decide it.

    `waiting`: one side has no data yet; `planned` is False before the first look; `metric`: whose
    requests they are.
    """

    claim: Claim
    track: Track | None
    reason: Reason | None = None
    waiting: bool = False
    planned: bool = False
    replicas: tuple[int, int] = (0, 0)
    metric: str = ""

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


@dataclass(frozen=True, slots=True)
class _Closed:
    """A block that is over, of one part."""

    end: float
    part: int
    number: int
    reading: BlockReading

    @property
    def order(self) -> tuple[float, int, int]:
        """By time."""
        return self.end, self.part, self.number


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
        self._looked_at = desk.clock()
        self.parts = tuple(Followed(claim, None) for claim in _claims(change.sentences))

    # -- looking ----------------------------------------------------------------------------
    def look(self, now: float) -> None:
        """Read all blocks that closed since the last look, in the order of time."""
        self._looked_at = now
        known = self.finality(now)
        if self.parts and not any(self._may_have_closed(part, now, known) for part in self.parts):
            return
        sources = self.sources()
        self.parts = tuple(
            dataclasses.replace(self._prepared(part.claim, source, known), metric=source.metric)
            for part, source in zip(self.parts, sources, strict=True)
        )
        for one in sorted(self._closed(sources, now, known), key=lambda one: one.order):
            part = self.parts[one.part]
            if part.track is not None and self.is_open(part):
                track = part.track.look(one.number, one.reading, known.revision)
                changed = dataclasses.replace(part, track=track)
                self.parts = (*self.parts[: one.part], changed, *self.parts[one.part + 1 :])
        self.parts = tuple(self._stored(part) for part in self.parts)

    def finality(self, now: float) -> Finality:
        """Until when minutes are final; ask before `sources`, or something may come in between."""
        return finality(self._desk.state, self.change.endpoint, now)

    def behind(self, part: Followed) -> Watermark | None:
        """How far the source of a part was read, where it is behind and the part waits for it."""
        if part.pairs is None or part.track is None:
            return None
        reads = self._desk.reads(self.change.endpoint, self._looked_at)
        return reads.late(part.metric, part.pairs.end(part.track.last))

    def revised(self, part: Followed) -> int:
        """Final minutes that changed after the part's blocks were read: counted, never applied."""
        if part.pairs is None or part.track is None:
            return 0
        return revised_minutes(self._desk.state, self.change, part.metric, part.pairs, part.track)

    def sources(self) -> list[PairedBlocks]:
        """Where the blocks of each part are read, from the lake as it is now."""
        others = self._others
        if others is None:
            others = moments(self._desk.others(self.change))
        engine = self._desk.engine()
        about = [
            (self._metric(part.claim, engine), part.claim.segment, part.claim.raw)
            for part in self.parts
        ]
        read: dict[Read, Segments] = {}
        once = {
            (metric, segment, raw): PairedBlocks(
                engine, self.change, metric, segment, others, raw=raw, read=read
            )
            for metric, segment, raw in about
        }
        return [once[key] for key in about]

    def _metric(self, claim: Claim, engine: Engine) -> str:
        """The metric whose requests a part is about: errors of no named one, the first known."""
        if claim.promise is not Promise.ERRORS or claim.metric_named:
            return claim.metric
        names = dict.fromkeys((claim.metric, *REQUEST_METRICS))
        known = (name for name in names if engine.spans(self.change.endpoint, name))
        return next(known, claim.metric)

    def _may_have_closed(self, part: Followed, now: float, known: Finality) -> bool:
        """Whether the lake has to be asked: most looks fall between two ends of blocks."""
        pairs, track = part.pairs, part.track
        if pairs is None or track is None:
            return not part.planned or part.waiting
        closed = pairs.closed(now - known.lag_seconds(now))
        return self.is_open(part) and closed > track.last + 1

    def _prepared(self, claim: Claim, source: PairedBlocks, known: Finality) -> Followed:
        """As stored, or planned now."""
        if claim.promise in LATER:
            return Followed(claim, None, planned=True)
        document = self._desk.state.watch(self.change.id, self.key(claim))
        if document is not None:
            return Followed(claim, decode(Track, document), planned=True, replicas=source.replicas)
        if known.filling:
            # What a plan rests on is the past, and it is made once.
            return Followed(claim, None, FILLING, waiting=True, planned=True)
        plan = plan_part(self.change, claim, source, self.level_of(claim))
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
        self, sources: Sequence[PairedBlocks], now: float, known: Finality
    ) -> Iterator[_Closed]:
        """The blocks that are over and not read yet."""
        for index, (part, source) in enumerate(zip(self.parts, sources, strict=True)):
            if part.pairs is not None and self.is_open(part):
                for number, reading in closed_blocks(part, source, now, known):
                    yield _Closed(part.pairs.end(number), index, number, reading)

    # -- where it stands --------------------------------------------------------------------
    def sentence_verdict(self, sentence: Sentence) -> Verdict:
        """What is decided of a sentence: all parts confirmed, or one surely enough refuted."""
        known = {part.claim: part for part in self.parts}
        found = []
        for claim in sentence.parts:
            part = known[claim]
            p = None if part.track is None else part.track.p_refute
            found.append(Part(part.verdict, p))
        return conjunction(found, alpha=(1 - sentence.shared(self.level)) / 2).verdict

    def level_of(self, claim: Claim) -> float:
        """The level of a part: higher where several sentences share one error rate."""
        return min(s.shared(self.level) for s in self.change.sentences if claim in s.parts)

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
        lag = self.finality(now).lag_seconds(now)
        ends = [
            part.pairs.end(part.pairs.closed(now - lag)) + lag
            for part in self.parts
            if part.pairs is not None and self.is_open(part)
        ]
        return min(ends, default=None)

    def key(self, claim: Claim) -> str:
        """Under which name the state keeps a part."""
        return f"{claim.metric} | {print_claim(claim)} | {self.level_of(claim):g}"


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
    moment = min(known.until(source.metric, newest, now), source.until)
    numbers = range(track.last + 1, pairs.closed(moment))
    quantile = None if part.claim.promise is Promise.ERRORS else part.claim.quantile or 0.5
    readings = source.readings(pairs, numbers, quantile, dict(track.plan.weights))
    nothing = BlockReading(math.nan, Trials(), Trials())
    for number in numbers:
        yield number, readings.get(number, nothing)


def _claims(sentences: Sequence[Sentence]) -> list[Claim]:
    return list(dict.fromkeys(claim for sentence in sentences for claim in sentence.parts))
