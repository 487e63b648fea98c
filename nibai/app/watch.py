"""Following a change from block to block until it is decided: `nibai audit --watch`.

Looks may come at any time and any number of times: only closed blocks whose minutes are final
count, each once, in the order of time, and everything stops at the block that decides. What was
seen is kept in the state, so that another look, or another process, goes on where the last one was.
Where it was learned from which age on minutes change no more, blocks of that age may decide, too.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Sequence

from nibai.app.audit import Desk
from nibai.app.finality import Finality, finality, revised_minutes
from nibai.app.watch_parts import ClosedBlock, Followed, closed_blocks, rests_on
from nibai.app.watch_plan import LATER, plan_part
from nibai.claims import print_claim
from nibai.conventions import REQUEST_METRICS
from nibai.document import decode
from nibai.errors import UsageError
from nibai.model import Change, Claim, Promise, Reason, ReasonCode, Sentence, Verdict
from nibai.stats.clock import WEEK_DAYS
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.settling import AGES_SECONDS, NOTHING_LEARNED, Learned
from nibai.stats.sides import Segments
from nibai.stats.verdict import Part, conjunction
from nibai.store.series.blocks import Engine
from nibai.store.state.watermarks import Watermark
from nibai.store.windows.disturbances import Disturbance
from nibai.store.windows.paired_blocks import PairedBlocks, Read
from nibai.store.windows.stated import require_sides

FILLING = Reason(
    ReasonCode.NO_DATA,
    "the past is still being pushed: it is read some time after the last of it (otlp.past_wait)",
)
SETTLED = (Verdict.CONFIRMED, Verdict.REFUTED)


class Watch:
    """One change, followed at a confidence level for its own claims (or other ones)."""

    def __init__(
        self, desk: Desk, change: Change, level: float, others: Sequence[Disturbance] | None = None
    ) -> None:
        """`others`: what else moved the endpoint's traffic; None: it is looked up."""
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
        self._known: Finality | None = None
        self._ahead_of: tuple[object, ...] | None = None
        self.parts = tuple(Followed(claim, None) for claim in _claims(change.sentences))

    # -- looking ----------------------------------------------------------------------------
    def look(self, now: float) -> None:
        """Read all blocks that closed since the last look, in the order of time."""
        self._looked_at = now
        known = self._known = self.finality(now)
        sources = None
        if not self.parts or any(self._may_have_closed(part, now, known) for part in self.parts):
            sources = self.sources()
            self.parts = tuple(
                self._about(self._prepared(part.claim, source, known), source)
                for part, source in zip(self.parts, sources, strict=True)
            )
            self.read_on(sources, now, known)
            self.parts = tuple(self._stored(part) for part in self.parts)
        self._look_ahead(sources, now, known)

    def read_on(self, sources: Sequence[PairedBlocks], now: float, known: Finality) -> None:
        """Add the blocks that closed to the tracks, in the order of time."""
        for one in sorted(self._closed(sources, now, known), key=lambda one: one.order):
            part = self.parts[one.part]
            if part.track is not None and self.is_open(part):
                track = part.track.look(one.number, one.reading, known.revision)
                changed = dataclasses.replace(part, track=track)
                self.parts = (*self.parts[: one.part], changed, *self.parts[one.part + 1 :])

    def _look_ahead(
        self, sources: Sequence[PairedBlocks] | None, now: float, known: Finality
    ) -> None:
        """Whether the blocks that are old enough, by what was learned, decide a sentence.

        Only a decision is kept. What does not decide is read anew, as it is then, at the next look,
        until it is final: so what changes late moves no evidence.
        """
        early = known.early({part.metric for part in self.parts})
        if early is None:
            return
        seen = (early.revision, *sorted((m, mark.final_until) for m, mark in early.marks.items()))
        stale = seen == self._ahead_of and sources is None
        self._ahead_of = seen
        if stale or not any(self._may_have_closed(part, now, early) for part in self.parts):
            return
        ahead = copy.copy(self)
        ahead.read_on(sources or self.sources(), now, early)
        settled = {
            part
            for sentence in self.change.sentences
            if self.sentence_verdict(sentence) not in SETTLED
            and ahead.sentence_verdict(sentence) in SETTLED
            for part in sentence.parts
        }
        self.parts = tuple(
            self._stored(rests_on(further, known)) if part.claim in settled else part
            for part, further in zip(self.parts, ahead.parts, strict=True)
        )

    def finality(self, now: float) -> Finality:
        """Until when minutes are final; ask before `sources`, or something may come in between."""
        return finality(self._desk.state, self.change.endpoint, now)

    def waits(self, part: Followed) -> tuple[Watermark | None, Learned, float | None]:
        """The mark of a part's minutes, what was learned of its source, the age that it allows."""
        known = self._known or self.finality(self._looked_at)
        mark = known.marks.get(part.metric)
        source = "" if mark is None else mark.source
        return mark, known.ages.get(source, NOTHING_LEARNED), known.age(part.metric)

    def counted_from(self) -> tuple[float | None, str]:
        """The age from which on minutes count, and their source: of the part that waits longest.

        None where all minutes are final when they are there.
        """
        found: list[tuple[float, str]] = []
        for part in self.parts:
            mark, _, age = self.waits(part)
            if mark is not None and mark.provisional_seconds > AGES_SECONDS[0]:
                found.append((mark.provisional_seconds if age is None else age, mark.source))
        return max(found, default=(None, ""))

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
            others = self._desk.others(self.change)
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
        closed = pairs.closed(known.newest_counted(now))
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

    @staticmethod
    def _about(part: Followed, source: PairedBlocks) -> Followed:
        until, ended_by = source.ends
        return dataclasses.replace(part, metric=source.metric, until=until, ended_by=ended_by)

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
    ) -> Iterator[ClosedBlock]:
        """The blocks that are over and not read yet."""
        for index, (part, source) in enumerate(zip(self.parts, sources, strict=True)):
            if part.pairs is not None and self.is_open(part):
                for number, reading in closed_blocks(part, source, now, known):
                    yield ClosedBlock(part.pairs.end(number), index, number, reading)

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
        return not (part.ended or self.exhausted(part)) and any(
            part.claim in sentence.parts and not self.is_settled(sentence)
            for sentence in self.change.sentences
        )

    def is_settled(self, sentence: Sentence) -> bool:
        """Whether it is decided, and refuted as surely as a rule asks: evidence goes on till then.

        An e-value that was reached once holds at any number of looks (Ville).
        """
        verdict = self.sentence_verdict(sentence)
        if verdict is not Verdict.REFUTED or sentence.asked is None:
            return verdict in SETTLED
        needed = -math.log(1 - sentence.shared(max(sentence.asked, self.level)))
        return any(
            part.claim in sentence.parts
            and part.verdict is Verdict.REFUTED
            and part.track is not None
            and part.track.log_e_refute >= needed
            for part in self.parts
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
        """When the next block of an open part may count, None when there is none."""
        known = self.finality(now)
        known = known.early({part.metric for part in self.parts}) or known
        lag = known.lag_seconds(now)
        ends = [
            part.pairs.end(part.pairs.closed(known.newest_counted(now))) + lag
            for part in self.parts
            if part.pairs is not None and self.is_open(part)
        ]
        return min(ends, default=None)

    def key(self, claim: Claim) -> str:
        """Under which name the state keeps a part."""
        return f"{claim.metric} | {print_claim(claim)} | {self.level_of(claim):g}"


def _claims(sentences: Sequence[Sentence]) -> list[Claim]:
    return list(dict.fromkeys(claim for sentence in sentences for claim in sentence.parts))
