"""Several questions that all have to be answered well: which passed, which failed, what is open.

Passing needs no split of alpha (intersection-union); failing is tested at Holm-adjusted levels, so
that the chance that any gate fails wrongly is at most alpha. Source: nibai's drift.md, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nibai.prediction_evidence import GateState
from nibai.stats.discordant import Discordant
from nibai.stats.paired import Excess, Share, least_pairs
from nibai.stats.verdict import holm_rejects

ANY = math.inf


@dataclass(frozen=True, slots=True)
class Limits:
    """The question whether a rate, or a difference of two, lies between two limits.

    >>> Limits(Share(30, 3000), high=0.02).p_inside < 0.025
    True
    """

    sequence: Share | Excess | Discordant
    high: float
    low: float = -ANY

    @property
    def p_inside(self) -> float:
        """The smallest alpha at which the whole interval lies between the limits."""
        return max(
            self.sequence.p_below(self.high),
            0.0 if self.low == -ANY else self.sequence.p_above(self.low),
        )

    @property
    def p_outside(self) -> float:
        """The smallest alpha at which the whole interval lies beyond one of them."""
        return min(
            self.sequence.p_above(self.high),
            1.0 if self.low == -ANY else self.sequence.p_below(self.low),
        )

    def scaled(self, factor: float) -> Limits:
        """The same rates in more pairs."""
        return Limits(self.sequence.scaled(factor), self.high, self.low)

    def more_pairs(self, n: int, inside: float, outside: float | None) -> int | None:
        """Pairs beyond n after which one side is decided at these levels, at the present rates.

        `outside` None: lying outside decides nothing. None: more than ten million, the rate is the
        limit as far as anybody will see.
        """

        def decides(total: int) -> bool:
            later = self.scaled(total / n)
            return later.p_inside <= inside or (outside is not None and later.p_outside <= outside)

        found = least_pairs(decides) if n else None
        return None if found is None else max(found - n, 1)


@dataclass(frozen=True, slots=True)
class GateTest:
    """p-values of one gate; `p_fail` None: its failing cannot be shown with what was measured."""

    p_pass: float
    p_fail: float | None


@dataclass(frozen=True, slots=True)
class GateStates:
    """How each gate stands.

    `p_fail` holds for all gates together (the smallest times their number), `p_pass` is the
    weakest gate's.
    """

    states: tuple[GateState, ...]
    p_pass: float
    p_fail: float


def judge_gates(tests: Sequence[GateTest | None], alpha: float) -> GateStates:
    """States in the order of the gates; None was not measured and decides nothing.

    >>> tests = [GateTest(0.6, 0.01), GateTest(0.001, 1.0), None]
    >>> [state.value for state in judge_gates(tests, 0.05).states]
    ['failed', 'passed', 'not measured']
    """
    able = [i for i, test in enumerate(tests) if test is not None and test.p_fail is not None]
    p_fail = [_p_fail(tests[i]) for i in able]
    rejected = {i for i, r in zip(able, holm_rejects(p_fail, alpha), strict=True) if r}
    states = tuple(_state(test, alpha, failed=i in rejected) for i, test in enumerate(tests))
    measured = [test.p_pass for test in tests if test is not None]
    return GateStates(
        states,
        max(measured, default=1.0),
        min(max(len(able), 1) * min(p_fail, default=1.0), 1.0),
    )


def _p_fail(test: GateTest | None) -> float:
    return 1.0 if test is None or test.p_fail is None else test.p_fail


def _state(test: GateTest | None, alpha: float, *, failed: bool) -> GateState:
    if test is None:
        return GateState.NOT_MEASURED
    if failed:
        return GateState.FAILED
    return GateState.PASSED if test.p_pass <= alpha else GateState.OPEN
