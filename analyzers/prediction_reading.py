"""One gate of a claim about predictions: its data, its p-values and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nibai.model import Change, Claim, ReasonCode
from nibai.prediction_evidence import Bounds
from nibai.predictions import PairedSketch, PredictionSample
from nibai.stats.flip_margins import KindMargins
from nibai.stats.gates import GateTest, Limits
from nibai.stats.paired import Known, Share

NOTHING = Bounds(None, None, None)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one claim is about: the sketches of its segments, merged."""

    sample: PredictionSample
    pairs: PairedSketch
    floor_old: PairedSketch | None
    floor_new: PairedSketch | None

    @property
    def flips(self) -> Share:
        """Old against new."""
        return Share(self.pairs.flips, self.pairs.pairs)

    @property
    def old(self) -> Share | Known | None:
        """The old variant against itself, as far as it is known."""
        if self.floor_old is not None and self.floor_old.pairs:
            return Share(self.floor_old.flips, self.floor_old.pairs)
        stated = self.sample.stated_floor
        return None if stated is None else Known(stated)

    @property
    def new(self) -> Share | None:
        """The new variant against itself."""
        if self.floor_new is None or not self.floor_new.pairs:
            return None
        return Share(self.floor_new.flips, self.floor_new.pairs)

    @property
    def from_file(self) -> bool:
        """Pairs are all there is: nobody can replay."""
        return self.sample.raw or self.sample.stated_floor is not None


@dataclass(frozen=True, slots=True)
class Case:
    """One claim and what it is judged by; `segment` is the one inside the sample.

    `margins` None: the claim states none and the change's kinds have no default.
    `latency_profile`: the sample is the one batched as the latency was.
    `margin_fixed_at` is None where the margin was not fixed before the data.
    """

    change: Change
    claim: Claim
    scope: Scope
    segment: tuple[str, str] | None
    margins: KindMargins | None
    latency_profile: bool = True
    margin_fixed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One gate's data: estimate with its interval at alpha, p-values, and what to say of it.

    `test` None: not measured. `said` is the fact, `allowed` the limit in words; `code` names the
    reason when it fails. `more` solves for the pairs that are missing.
    """

    name: str
    test: GateTest | None
    estimate: Bounds
    margin: float | None
    n: int
    said: str
    allowed: str = ""
    code: ReasonCode = ReasonCode.FALLS_SHORT
    more: Callable[[float, float], int | None] = lambda _inside, _outside: None


def limited(
    name: str,
    limits: Limits,
    bounds: tuple[float, float],
    n: int,
    *,
    said: str,
    allowed: str,
    code: ReasonCode = ReasonCode.FALLS_SHORT,
    may_fail: bool = True,
    value: float | None = None,
) -> Reading:
    """A gate that asks whether a rate lies within limits."""
    return Reading(
        name,
        GateTest(limits.p_inside, limits.p_outside if may_fail else None),
        Bounds(limits.sequence.value if value is None else value, *bounds),
        limits.high,
        n,
        said,
        allowed,
        code if may_fail else ReasonCode.NOISE_FLOOR_UNKNOWN,
        lambda inside, outside: limits.more_pairs(n, inside, outside if may_fail else None),
    )
