"""The questions behind a claim about predictions, each with its numbers and its words.

What a gate may say depends on what was measured: without a noise floor nothing is refuted, and a
file of pairs is judged by its raw flips. The rules: nibai's drift.md, sections 2 and 4.
"""

from __future__ import annotations

import math

from analyzers.prediction_reading import NOTHING, Reading, Scope, limited
from analyzers.prediction_wording import FLOOR_UNKNOWN, RAW, interval, pp, share
from nibai.model import ReasonCode
from nibai.prediction_evidence import Bounds
from nibai.predictions import CORRECT, INVALID, Signal
from nibai.stats.discordant import Discordant
from nibai.stats.equivalence import Accuracy
from nibai.stats.flip_margins import KindMargins
from nibai.stats.gates import GateTest, Limits
from nibai.stats.paired import Excess, Known

EXCESS, SELF, ACCURACY, INVALID_OUTPUTS = (
    "excess flips",
    "self-flip",
    "accuracy",
    "invalid outputs",
)


def prediction_gates(scope: Scope, margins: KindMargins, alpha: float) -> list[Reading]:
    """The four gates of "same predictions", in order."""
    return [
        excess_gate(scope, margins.flips, alpha),
        self_gate(scope, margins.flips, alpha),
        accuracy_gate(scope, margins.accuracy, alpha),
        invalid_gate(scope, margins.flips, alpha),
    ]


# -- flips ------------------------------------------------------------------------------------


def excess_gate(scope: Scope, margin: float, alpha: float) -> Reading:
    """Flips beyond those of the old variant with itself."""
    flips, old = scope.flips, scope.old
    sequence = flips if old is None else Excess(flips, old)
    may_fail = old is not None or scope.sample.raw
    if old is None:
        tail = RAW if scope.sample.raw else f"{FLOOR_UNKNOWN}: replay k=2"
        beyond = f" ({tail})"
    elif isinstance(old, Known):
        beyond = f" beyond the old variant's own {share(old.value)} (stated)"
    else:
        beyond = f" beyond the old variant's own {share(old.value)}"
    bounds = sequence.interval(alpha)
    return limited(
        EXCESS,
        Limits(sequence, high=margin),
        bounds,
        scope.pairs.pairs,
        said=f"{interval(sequence.value, bounds)} of answers changed{beyond}",
        allowed=f"{share(margin)} allowed",
        may_fail=may_fail,
    )


def self_gate(scope: Scope, margin: float, alpha: float) -> Reading:
    """Does the new variant give one request one answer, as far as the old one did?"""
    new, old = scope.new, scope.old
    if new is None:
        return _self_by_flips(scope, margin, alpha)
    sequence = new if old is None else Excess(new, old)
    bounds = sequence.interval(alpha)
    own = "not measured" if old is None else share(old.value)
    stated = " (stated)" if isinstance(old, Known) else ""
    return limited(
        SELF,
        Limits(sequence, high=margin),
        bounds,
        round(new.n),
        said=f"the new variant disagrees with itself on {share(new.value)} of answers, the old on "
        f"{own}{stated}: {interval(sequence.value, bounds)} more",
        allowed=f"{share(margin)} allowed",
        code=ReasonCode.SELF_FLIPS,
        may_fail=old is not None,
    )


def _self_by_flips(scope: Scope, margin: float, alpha: float) -> Reading:
    """Two answers of the new variant differ at most where one of them differs from the old."""
    if scope.from_file:
        said = "the new variant against itself: not measured"
        return Reading(SELF, None, NOTHING, margin, 0, said)
    flips, n = scope.flips, scope.pairs.pairs
    most = 2 * flips.interval(alpha)[1]
    limits = Limits(flips, high=margin / 2)
    return Reading(
        SELF,
        GateTest(limits.p_inside, None),
        Bounds(None, None, min(most, 1.0)),
        margin,
        n,
        f"the new variant was not asked twice; twice the flips bound its self-flips: at most "
        f"{share(min(most, 1.0))}",
        f"{share(margin)} allowed",
        ReasonCode.NOISE_FLOOR_UNKNOWN,
        lambda inside, _outside: limits.more_pairs(n, inside, None),
    )


# -- signals ----------------------------------------------------------------------------------


def accuracy_gate(scope: Scope, margin: float | None, alpha: float) -> Reading:
    """Equal accuracy within the margin, where truth is known and the kind of change has one."""
    signal = scope.pairs.signals.get(CORRECT)
    if signal is None or not signal.n:
        return Reading(ACCURACY, None, NOTHING, margin, 0, "accuracy: no truth is known")
    if margin is None:
        said = "accuracy: no margin, claim “accuracy down at most 1pp” to have it judged"
        return Reading(ACCURACY, None, NOTHING, None, 0, said)
    return accuracy_reading(signal, margin, alpha, one_look=scope.sample.raw, both_sides=True)


def accuracy_reading(
    signal: Signal, margin: float, alpha: float, *, one_look: bool, both_sides: bool
) -> Reading:
    """New minus old accuracy; a file of pairs is looked at once, everything else at any time."""
    counts = Accuracy(signal.n, signal.baseline_only, signal.candidate_only)
    limits = Limits(counts.sequence, high=margin if both_sides else math.inf, low=-margin)
    if one_look:
        bounds = counts.one_look(2 * alpha)
        equal = -margin < bounds[0] and (bounds[1] < margin or not both_sides)
        test = GateTest(alpha if equal else 1.0, limits.p_outside)
        how = f"one look, {1 - 2 * alpha:.0%} interval"
    else:
        bounds = counts.sequence.interval(alpha)
        test, how = GateTest(limits.p_inside, limits.p_outside), ""
    went = f"{share(signal.baseline / signal.n)} to {share(signal.candidate / signal.n)}"
    said = f"accuracy went from {went}, {pp(counts.value, bounds)}{f' ({how})' if how else ''}"
    return Reading(
        ACCURACY,
        test,
        Bounds(counts.value, *bounds),
        margin,
        signal.n,
        said,
        f"{'' if both_sides else 'fall of '}{100 * margin:g}pp allowed",
        more=lambda inside, outside: limits.more_pairs(signal.n, inside, outside),
    )


def invalid_gate(scope: Scope, margin: float, alpha: float) -> Reading:
    """More invalid answers than before."""
    signal = scope.pairs.signals.get(INVALID)
    if signal is None or not signal.n:
        return Reading(INVALID_OUTPUTS, None, NOTHING, margin, 0, "invalid answers: not looked for")
    return rise_reading(INVALID_OUTPUTS, "invalid answers", signal, margin, alpha)


def rise_reading(
    name: str, what: str, signal: Signal, margin: float, alpha: float, *, fall: bool = False
) -> Reading:
    """How much more (less, for a fall) often the new variant's answers have a signal."""
    more, less = signal.candidate_only, signal.baseline_only
    sequence = Discordant(signal.n, *((less, more) if fall else (more, less)))
    bounds = sequence.interval(alpha)
    value = sequence.value
    if fall:
        value, shown = -value, (-bounds[1], -bounds[0])
    else:
        shown = bounds
    went = f"{share(signal.baseline / signal.n)} to {share(signal.candidate / signal.n)}"
    return limited(
        name,
        Limits(sequence, high=margin),
        shown,
        signal.n,
        said=f"{what} went from {went}, {pp(value, shown)}",
        allowed=f"{'fall' if fall else 'rise'} of {100 * margin:g}pp allowed",
        value=value,
    )
