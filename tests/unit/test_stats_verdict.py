"""Verdict rules as truth tables."""

import math
from dataclasses import dataclass

import pytest

from nibai.model import ReasonCode, Verdict
from nibai.stats.verdict import (
    Decision,
    Part,
    audit_verdict,
    conjunction,
    decide,
    decide_equivalence,
    decide_pairs,
    decide_runs,
    faster_threshold,
    holm_rejects,
    no_slower_threshold,
)

YES, NO, OPEN = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.INCONCLUSIVE
APART, PARTLY = Verdict.NOT_COMPARABLE, Verdict.PARTLY
INF = math.inf


@dataclass(frozen=True)
class Band:
    low: float
    high: float
    value: float = 0.0


@pytest.mark.parametrize(
    ("low", "high", "verdict", "code"),
    [
        (1.0, 1.2, YES, ReasonCode.MEETS_CLAIM),
        (1.1, INF, YES, ReasonCode.MEETS_CLAIM),
        (0.2, 0.99, NO, ReasonCode.FALLS_SHORT),
        (-INF, 0.5, NO, ReasonCode.FALLS_SHORT),
        (0.2, 1.0, OPEN, ReasonCode.INTERVAL_STRADDLES),
        (0.9, 1.2, OPEN, ReasonCode.INTERVAL_STRADDLES),
        (0.9, INF, OPEN, ReasonCode.TOO_FEW_TAIL_EPISODES),
        (-INF, 1.2, OPEN, ReasonCode.TOO_FEW_TAIL_EPISODES),
        (-INF, INF, OPEN, ReasonCode.TOO_FEW_TAIL_EPISODES),
    ],
)
def test_a_claim_of_twice_as_fast(low, high, verdict, code):
    assert decide(low, high, faster_threshold(2.0)) == Decision(verdict, code)


def test_margins_lower_the_threshold():
    assert 2 ** faster_threshold(2.0, 0.05) == pytest.approx(1.90476, abs=1e-5)
    assert 2 ** no_slower_threshold(0.05) == pytest.approx(1 / 1.05)
    assert no_slower_threshold(0.0) == 0.0
    assert 2 ** no_slower_threshold(0.05, 0.02) == pytest.approx(1 / 1.05 / 1.02)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.01, YES),
        (-0.05, 0.05, YES),
        (0.051, 0.2, NO),
        (-0.3, -0.06, NO),
        (-0.3, 0.01, OPEN),
        (-INF, 0.01, OPEN),
    ],
)
def test_equivalence_needs_both_sides(low, high, verdict):
    assert decide_equivalence(low, high, 0.05).verdict is verdict


GOOD, BAD, WIDE = Band(1.1, 1.3), Band(0.1, 0.3), Band(0.5, 1.5)


@pytest.mark.parametrize(
    ("p", "runs", "pairs", "over", "verdict", "code"),
    [
        # one run per side: up to p75 the pairs decide, above nothing does
        (0.5, 1, [GOOD], None, YES, ReasonCode.MEETS_CLAIM),
        (0.75, 1, [BAD], None, NO, ReasonCode.FALLS_SHORT),
        (0.5, 1, [WIDE], None, OPEN, ReasonCode.INTERVAL_STRADDLES),
        (0.5, 1, [GOOD, BAD, GOOD], None, OPEN, ReasonCode.RUNS_DISAGREE),
        (0.9, 1, [GOOD], None, OPEN, ReasonCode.ONE_RUN_PER_SIDE),
        (0.99, 1, [BAD, BAD], GOOD, OPEN, ReasonCode.ONE_RUN_PER_SIDE),
        # two to four: the median by agreement of all pairs, the tail by the runs' own interval
        (0.5, 2, [GOOD, GOOD], WIDE, YES, ReasonCode.MEETS_CLAIM),
        (0.5, 4, [GOOD, WIDE, GOOD, GOOD], GOOD, OPEN, ReasonCode.RUNS_DISAGREE),
        (0.5, 3, [BAD, BAD, BAD], WIDE, NO, ReasonCode.FALLS_SHORT),
        (0.9, 2, [GOOD, GOOD], WIDE, OPEN, ReasonCode.INTERVAL_STRADDLES),
        (0.9, 4, [WIDE] * 4, GOOD, YES, ReasonCode.MEETS_CLAIM),
        # five and more: only the interval over runs
        (0.5, 5, [GOOD] * 5, BAD, NO, ReasonCode.FALLS_SHORT),
        (0.99, 8, [BAD] * 8, GOOD, YES, ReasonCode.MEETS_CLAIM),
        # nothing to decide with
        (0.5, 1, [], None, OPEN, ReasonCode.NO_DATA),
        (0.5, 5, [], None, OPEN, ReasonCode.NO_DATA),
    ],
)
def test_who_decides_depends_on_runs_and_quantile(  # noqa: PLR0917 - columns of a truth table
    p, runs, pairs, over, verdict, code
):
    assert decide_runs(p, runs, pairs, over, 1.0) == Decision(verdict, code)


def test_pairs_that_are_all_undecided_give_their_own_reason():
    assert decide_pairs([WIDE, Band(0.0, 2.0)], 1.0).code is ReasonCode.INTERVAL_STRADDLES


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.025], [True]),
        ([0.025, 1.0], [False, False]),
        ([0.0125, 1.0], [True, False]),
        ([0.0125, 0.025], [True, True]),
        ([0.02, 0.02, 0.008], [False, False, True]),
        ([], []),
    ],
)
def test_holm(p_values, rejected):
    assert holm_rejects(p_values) == rejected


@pytest.mark.parametrize(
    ("parts", "verdict", "part"),
    [
        ([Part(YES)], YES, None),
        ([Part(YES), Part(YES), Part(YES)], YES, None),  # no split of alpha to confirm
        ([Part(YES), Part(NO, 0.001)], NO, 1),
        ([Part(NO, 0.02)], NO, 0),
        ([Part(YES), Part(NO, 0.02)], OPEN, 1),  # 0.02 > 0.025 / 2
        ([Part(NO, 0.02), Part(NO, 0.01)], NO, 1),
        ([Part(YES), Part(NO, 0.001), Part(NO, 0.0001)], NO, 2),
        ([Part(YES), Part(OPEN, 0.3)], OPEN, 1),
        ([Part(APART), Part(NO, 0.001)], NO, 1),
        ([Part(APART), Part(YES)], OPEN, 0),
        ([Part(APART), Part(APART)], APART, 0),
        ([Part(NO)], NO, 0),  # without a p-value it refutes alone
        ([Part(NO), Part(YES)], OPEN, 0),
        ([Part(OPEN, 0.0001)], OPEN, 0),  # a gate is stronger than a p-value
        ([], OPEN, None),
    ],
)
def test_a_sentence_is_a_conjunction(parts, verdict, part):
    found = conjunction(parts)
    assert (found.verdict, found.part) == (verdict, part)


@pytest.mark.parametrize(
    ("sentences", "verdict"),
    [
        ([YES], YES),
        ([YES, YES], YES),
        ([YES, NO], PARTLY),
        ([YES, OPEN], PARTLY),
        ([YES, APART], PARTLY),
        ([NO, OPEN], NO),
        ([NO, APART], NO),
        ([OPEN, APART], OPEN),
        ([APART, APART], APART),
        ([OPEN], OPEN),
        ([PARTLY, NO], PARTLY),
        ([], OPEN),
    ],
)
def test_an_audit_over_sentences(sentences, verdict):
    assert audit_verdict(sentences) is verdict
