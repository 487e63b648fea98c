"""From intervals to verdicts: pure rules on log2 ratios or differences.

"Better" is always upward: a claim holds when the quantity is at least its threshold. For a claim
that a difference stays below a limit, pass negated numbers.
Source: nibai's statistics.md, sections 4, 8 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nibai.model import Finding, ReasonCode, Sentence, Verdict

ONE_RUN_MAX_QUANTILE = 0.75
"""Quantiles above this need run-level replication to be decided."""

MANY_RUNS = 5
"""From so many runs per side on, the t interval over runs decides every quantile."""

DEFAULT_ALPHA = 0.025
"""One-sided level of a 95 % two-sided interval."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the code of its reason; `part` is the index of the part that settled it."""

    verdict: Verdict
    code: ReasonCode
    part: int | None = None


class Interval(Protocol):
    """What a decision needs to know of an interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One judged part of a conjunction; `p_refute` is the one-sided p-value against its claim."""

    verdict: Verdict
    p_refute: float | None = None


def refuted_level(sentence: Sentence, findings: Sequence[Finding], level: float) -> float:
    """The highest level that its refutation reaches, at any number of looks.

    `level` is the one it was refuted at; evidence that went on may say more. Of a family the level
    of all together, as rules give it: 19 in 20 for one of ten segments needs evidence of 1 in 200.
    """
    refuted = [one for one in findings if one.verdict is Verdict.REFUTED]
    strongest = max((one.evidence.log_e_value or 0.0 for one in refuted), default=0.0)
    wrong = min(1 - level, math.exp(-strongest))
    # What rounding adds would put a level below itself.
    return round(max(1 - sentence.family * wrong, 0.0), 12)


# -- thresholds -----------------------------------------------------------------------------


def faster_threshold(ratio: float, margin: float = 0.0) -> float:
    """log2 threshold of "`ratio` x better within `margin`": ratio / (1 + margin).

    >>> round(2 ** faster_threshold(2.0, 0.05), 3)
    1.905
    """
    return math.log2(ratio / (1.0 + margin))


def no_slower_threshold(allowed: float, margin: float = 0.0) -> float:
    """log2 threshold of "no more than `allowed` slower": 1 / (1 + allowed), margin on top.

    >>> round(2 ** no_slower_threshold(0.05), 4)
    0.9524
    """
    return -math.log2((1.0 + allowed) * (1.0 + margin))


# -- one part -------------------------------------------------------------------------------


def decide(low: float, high: float, threshold: float) -> Decision:
    """Confirmed when the whole interval reaches the threshold, refuted when none of it does."""
    if low >= threshold:
        return Decision(Verdict.CONFIRMED, ReasonCode.MEETS_CLAIM)
    if high < threshold:
        return Decision(Verdict.REFUTED, ReasonCode.FALLS_SHORT)
    return _undecided(low, high)


def _undecided(low: float, high: float) -> Decision:
    bounded = math.isfinite(low) and math.isfinite(high)
    code = ReasonCode.INTERVAL_STRADDLES if bounded else ReasonCode.TOO_FEW_TAIL_EPISODES
    return Decision(Verdict.INCONCLUSIVE, code)


def decide_equivalence(low: float, high: float, margin: float) -> Decision:
    """Confirmed when the interval lies inside +-margin (give it 1 - 2 alpha), refuted outside."""
    if -margin <= low and high <= margin:
        return Decision(Verdict.CONFIRMED, ReasonCode.MEETS_CLAIM)
    if high < -margin or low > margin:
        return Decision(Verdict.REFUTED, ReasonCode.FALLS_SHORT)
    return _undecided(low, high)


def decide_runs(
    p: float, runs: int, pairs: Sequence[Interval], over_runs: Interval | None, threshold: float
) -> Decision:
    """The replication rule for runs: who decides depends on R (the smaller side) and on p.

    R >= 5: the interval over runs. Fewer: up to p75 every pair of runs has to say the same; above,
    one run says nothing and 2-4 runs only what the interval over runs says. `pairs` are the
    intervals of the matched pairs, or of every pair of runs when they do not match.
    """
    if runs >= MANY_RUNS or (runs > 1 and p > ONE_RUN_MAX_QUANTILE):
        if over_runs is None:
            return Decision(Verdict.INCONCLUSIVE, ReasonCode.NO_DATA)
        return decide(over_runs.low, over_runs.high, threshold)
    if p > ONE_RUN_MAX_QUANTILE:
        return Decision(Verdict.INCONCLUSIVE, ReasonCode.ONE_RUN_PER_SIDE)
    return decide_pairs(pairs, threshold)


def decide_pairs(pairs: Sequence[Interval], threshold: float) -> Decision:
    """Confirmed (refuted) when every pair confirms (refutes); else inconclusive, saying why."""
    found = [decide(pair.low, pair.high, threshold) for pair in pairs]
    if not found:
        return Decision(Verdict.INCONCLUSIVE, ReasonCode.NO_DATA)
    if len(found) == 1 or len({decision.verdict for decision in found}) == 1:
        return found[0]
    return Decision(Verdict.INCONCLUSIVE, ReasonCode.RUNS_DISAGREE)


# -- several parts --------------------------------------------------------------------------


def holm_rejects(p_values: Sequence[float], alpha: float = DEFAULT_ALPHA) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects at family-wise level alpha.

    >>> holm_rejects([0.03, 0.001, 0.012])
    [False, True, True]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def conjunction(parts: Sequence[Part], *, alpha: float = DEFAULT_ALPHA) -> Decision:
    """A sentence: confirmed iff every part is; refuted iff one is at its Holm-adjusted level.

    Intersection-union needs no split of alpha to confirm. A refuted part without a p-value counts
    as p = alpha: it refutes alone, never one of several.
    """
    verdicts = [part.verdict for part in parts]
    if verdicts and all(v is Verdict.CONFIRMED for v in verdicts):
        return Decision(Verdict.CONFIRMED, ReasonCode.MEETS_CLAIM)
    p_values = [_p(part, alpha) for part in parts]
    rejected = holm_rejects(p_values, alpha)
    refuting = [i for i, part in enumerate(parts) if rejected[i] and _refuted(part)]
    if refuting:
        strongest = min(refuting, key=lambda i: p_values[i])
        return Decision(Verdict.REFUTED, ReasonCode.FALLS_SHORT, strongest)
    if verdicts and all(v is Verdict.NOT_COMPARABLE for v in verdicts):
        return Decision(Verdict.NOT_COMPARABLE, ReasonCode.SIDES_DIFFER, 0)
    undecided = next((i for i, v in enumerate(verdicts) if v is not Verdict.CONFIRMED), None)
    code = ReasonCode.INTERVAL_STRADDLES if parts else ReasonCode.NO_DATA
    return Decision(Verdict.INCONCLUSIVE, code, undecided)


def _refuted(part: Part) -> bool:
    return part.verdict is Verdict.REFUTED


def _p(part: Part, alpha: float) -> float:
    if not _refuted(part):
        return 1.0
    return alpha if part.p_refute is None else part.p_refute


def audit_verdict(sentences: Sequence[Verdict]) -> Verdict:
    """The verdict over separate sentences; only here `partly` exists.

    >>> audit_verdict([Verdict.CONFIRMED, Verdict.REFUTED]).value
    'partly'
    """
    found = set(sentences)
    if found == {Verdict.CONFIRMED}:
        return Verdict.CONFIRMED
    if found & {Verdict.CONFIRMED, Verdict.PARTLY}:
        return Verdict.PARTLY
    if Verdict.REFUTED in found:
        return Verdict.REFUTED
    return Verdict.NOT_COMPARABLE if found == {Verdict.NOT_COMPARABLE} else Verdict.INCONCLUSIVE
