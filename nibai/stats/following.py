"""One claim part followed from block to block until it is decided, as plain numbers.

A block is read once, when its minutes are final, and that reading counts for ever: a value that may
still change is not what the error rate was promised for. What changes it all the same is told from
the numbers beside the blocks (`read_at`). A verdict, once reached, stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nibai.model import Verdict
from nibai.stats.block_values import BlockReading
from nibai.stats.recorded import RecordingError
from nibai.stats.sequential import BlockSums, ConfidenceSequence, MixtureTest
from nibai.stats.sequential_rates import RateSequence, Trials
from nibai.stats.verdict import decide


@dataclass(frozen=True, slots=True)
class FollowPlan:
    """What is fixed before the first look: blocks, correlation, segment shares, and the question.

    `phi` None: too little history. `threshold` is what the value has to reach ("better" upward):
    log2 ratio, or minus the allowed rise of the error share when `shares` is set; then `past` holds
    failures and requests before the change.
    """

    cut: float
    since: float
    block_seconds: float
    side_by_side: bool
    phi: float | None
    placebos: int
    threshold: float
    level: float = 0.95
    shares: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    until: float | None = None
    past: Trials = field(default_factory=Trials)

    @property
    def test(self) -> MixtureTest:
        """The e-process of the blocks."""
        return MixtureTest(self.phi, self.level)


@dataclass(frozen=True, slots=True)
class Track:
    """How far one part has been followed; add blocks with `look`, in order.

    `low` and `high` are the running confidence sequence. For error shares it is the hull of the
    block sequence and the beta-binomial one, and evidence is the weaker of both: right when
    failures are independent, and right when they come in bursts that a block contains.
    `below` and `above` add up how far the blocks' values may be from those of the requests one by
    one; their mean widens the sequence. `decided` and `refuted` number the block that settled the
    verdict and that raised the evidence against the claim (`log_e_refute`) to its highest.
    `read_at` holds (block, number): from that block on, blocks were read after the revision of that
    number and before any later one. `age_seconds`: as old were the minutes of the newest blocks at
    least when they decided, by what `hours` hours had taught; None: all were final.
    """

    plan: FollowPlan
    last: int = -1
    sums: BlockSums = field(default_factory=BlockSums)
    block_low: float = -math.inf
    block_high: float = math.inf
    rates: RateSequence = field(default_factory=RateSequence)
    baseline: Trials = field(default_factory=Trials)
    candidate: Trials = field(default_factory=Trials)
    thin: int = 0
    censored: int = 0
    verdict: Verdict | None = None
    decided: int | None = None
    log_e_decided: float = 0.0
    log_e_refute: float = -math.inf
    refuted: int | None = None
    below: float = 0.0
    above: float = 0.0
    read_at: tuple[tuple[int, int], ...] = ()
    age_seconds: float | None = None
    hours: int = 0

    @property
    def error(self) -> RecordingError:
        """How far the mean of the values may be from that of the requests one by one."""
        blocks = max(self.sums.blocks, 1)
        return RecordingError(self.below / blocks, self.above / blocks)

    @property
    def low(self) -> float:
        """Lower bound of the running confidence sequence."""
        if self.plan.shares:
            return min(self.block_low, self.rates.low)
        return self.block_low - self.error.below

    @property
    def high(self) -> float:
        """Upper bound of the running confidence sequence."""
        if self.plan.shares:
            return max(self.block_high, self.rates.high)
        return self.block_high + self.error.above

    @property
    def value(self) -> float:
        """The estimate; NaN without blocks."""
        return self.rates.value if self.plan.shares else self.plan.test.estimate(self.sums)

    @property
    def blind(self) -> bool:
        """Whether a quantile was lost among failed requests: blocks can no longer decide."""
        return self.censored > 0 and self.verdict is None

    @property
    def p_refute(self) -> float:
        """Anytime-valid one-sided p-value against the claim, to set beside a two-sided level."""
        return min(1.0, math.exp(-self.log_e_refute) / 2) if self.log_e_refute > 0 else 1.0

    def log_e_value(self, threshold: float, *, above: bool) -> float:
        """Ln of the e-value that speaks for "above the threshold" (or below), at the last block.

        An e-value at one stopping time, as e-BH over endpoints needs; minus infinity on the wrong
        side.
        """
        bar = self.error.bars(threshold)[int(above)]
        blocks = self.plan.test.log_e_value(self.sums, bar, above=above)
        if not self.plan.shares:
            return blocks
        return min(blocks, self.rates.log_e_value(threshold, above=above))

    def revision_known(self, number: int) -> int:
        """The newest revision before a block was read.

        >>> track = Track(FollowPlan(0, 0, 300, False, None, 0, 1.0), read_at=((0, 0), (5, 7)))
        >>> track.revision_known(4), track.revision_known(9)
        (0, 7)
        """
        return max((known for block, known in self.read_at if block <= number), default=0)

    def look(self, number: int, reading: BlockReading, revision: int = 0) -> Track:
        """After one more closed block, read when `revision` was the newest of its minutes.

        A number already passed changes nothing.
        """
        if number <= self.last:
            return self
        changes: dict[str, Any] = {"last": number}
        # A number that is smaller says only that older revisions were forgotten.
        if revision > self.revision_known(number):
            changes["read_at"] = (*self.read_at, (number, revision))
        if math.isnan(reading.value):
            return replace(self, thin=self.thin + 1, **changes)
        changes["baseline"] = self.baseline.merge(reading.baseline)
        changes["candidate"] = self.candidate.merge(reading.candidate)
        if math.isinf(reading.value):
            return replace(self, censored=self.censored + 1, **changes)
        if self.blind:
            return replace(self, **changes)
        return _judged(replace(self, **changes, **_advance(self, number, reading)))

    def blocks_needed(self) -> int | None:
        """Roughly how many blocks in all decide if things go on as they are; None: no idea."""
        bar = self.error.bar(self.value, self.plan.threshold)
        pairs = None if bar is None else self.plan.test.pairs_needed(self.sums, bar)
        if pairs is None or not self.plan.shares:
            return None if pairs is None else pairs + 1
        needed, blocks = self.rates.requests_needed(self.plan.threshold), self.sums.blocks
        if needed is None:
            return None
        a_block = max(self.baseline.requests, self.candidate.requests) / blocks
        return max(pairs + 1, math.ceil(needed / a_block))


def new_track(plan: FollowPlan) -> Track:
    """A track before its first block."""
    return Track(plan, rates=RateSequence(plan.level, past=plan.past))


def _advance(track: Track, number: int, reading: BlockReading) -> dict[str, Any]:
    """What one more block with a value changes, before anything is judged."""
    plan = track.plan
    sequence = ConfidenceSequence(plan.test, track.sums, track.block_low, track.block_high)
    sequence = sequence.look(number, reading.value)
    rates = track.rates
    if plan.shares:  # sides swapped: fewer failures of the candidate are better
        rates = rates.look(number, reading.candidate, reading.baseline)
    return {
        "sums": sequence.sums,
        "block_low": sequence.low,
        "block_high": sequence.high,
        "rates": rates,
        "below": track.below + reading.error.below,
        "above": track.above + reading.error.above,
    }


def _judged(track: Track) -> Track:
    threshold = track.plan.threshold
    changes: dict[str, Any] = {}
    against = track.log_e_value(threshold, above=False)
    if against > track.log_e_refute:
        changes |= {"log_e_refute": against, "refuted": track.last}
    verdict = decide(track.low, track.high, threshold).verdict
    if track.verdict is None and verdict is not Verdict.INCONCLUSIVE:
        evidence = track.log_e_value(threshold, above=verdict is Verdict.CONFIRMED)
        changes |= {"verdict": verdict, "decided": track.last, "log_e_decided": evidence}
    return replace(track, **changes) if changes else track
