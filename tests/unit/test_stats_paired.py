"""Shares and excesses of pairs against their definitions, known widths and known tables."""

import math

import numpy as np
import pytest
from scipy.special import bdtr
from support.peeking import peeked_difference_misses, peeked_misses, planted_verdicts

from nibai.claims import parse
from nibai.model import Change, ChangeKind
from nibai.predictions import SameInputs
from nibai.stats.discordant import Discordant
from nibai.stats.equivalence import Accuracy, tango, tost_pairs
from nibai.stats.flip_margins import FLOOR_PAIRS, default_margins, margins_of, pairs_table
from nibai.stats.gates import GateTest, Limits, judge_gates
from nibai.stats.paired import (
    Excess,
    Known,
    Share,
    excess_same_inputs,
    mcnemar_exact,
    mcnemar_log_e,
    pairs_to_decide,
)
from nibai.stats.proportions import fisher_exact, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(364, 3500, 8.5, 12.5), (0, 300, 0.0, 2.1), (0, 1000, 0.0, 0.70), (0, 3000, 0.0, 0.25)],
)
def test_widths_of_the_specification(hits, n, low, high):
    """drift.md §3, printed there to 0.1 and 0.05 percentage points."""
    found = [100 * bound for bound in Share(hits, n).interval(0.05)]
    assert found == pytest.approx([low, high], abs=0.055)
    assert [round(100 * bound, 1) for bound in wilson(364, 3500)] == [9.4, 11.5]


def test_the_interval_is_what_the_evidence_does_not_reject():
    share = Share(30, 3000)
    low, high = share.interval(0.05)
    for bound, inside in ((low, 1.01), (high, 0.99)):
        assert share.log_e(bound) == pytest.approx(math.log(20), abs=0.01)
        assert share.log_e(bound * inside) < math.log(20)
    assert share.p_below(high) == pytest.approx(0.05, rel=0.01)
    assert share.p_above(low) == pytest.approx(0.05, rel=0.01)
    assert share.p_above(0.02) == 1.0
    assert (share.p_above(-0.1), share.p_below(1.1)) == (0.0, 0.0)
    assert Share(0, 0).p_below(0.5) == 1.0


@pytest.mark.parametrize(
    ("plus", "minus"), [((364, 3500), (0, 3500)), ((60, 3000), (55, 2000)), ((3, 400), (9, 400))]
)
def test_the_p_value_of_an_excess_is_where_its_interval_ends(plus, minus):
    excess = Excess(Share(*plus), Share(*minus))
    for alpha in (0.2, 0.05, 0.00625):
        low, high = excess.interval(alpha)
        assert excess.p_above(low) == pytest.approx(alpha, rel=0.03)
        assert excess.p_below(high) == pytest.approx(alpha, rel=0.03)
    assert excess.p_above(excess.value + 0.001) == 1.0
    assert excess.p_below(excess.value - 0.001) == 1.0
    assert excess.p_above(-2) == 0.0
    assert excess.p_below(2) == 0.0


def test_a_stated_floor_costs_nothing():
    flips = Share(150, 3000)
    assert Excess(flips, Known(0.0)).interval(0.05) == flips.interval(0.05)
    low, high = flips.interval(0.05)
    assert Excess(flips, Known(0.01)).interval(0.05) == pytest.approx((low - 0.01, high - 0.01))
    assert Excess(flips, Known(0.01)).p_above(0.02) == flips.p_above(0.03)


def test_excess_over_the_same_inputs_at_a_fixed_n():
    found = excess_same_inputs(SameInputs(n=3500, only_ab=350, only_aa=20))
    z = np.repeat([1, -1, 0], [350, 20, 3130])
    assert found.value == pytest.approx(z.mean())
    assert found.standard_error == pytest.approx(z.std() / math.sqrt(3500))
    assert found.interval(0.05) == pytest.approx(
        (z.mean() - 1.95996 * found.standard_error, z.mean() + 1.95996 * found.standard_error)
    )


def test_mcnemar_against_the_measured_experiment():
    """drift.md §12: 131/100 p = .048, 51/38 p = .20, 2/0 p = .5."""
    assert mcnemar_exact(131, 100) == pytest.approx(0.048, abs=5e-4)
    assert mcnemar_exact(51, 38) == pytest.approx(0.20, abs=5e-3)
    assert mcnemar_exact(2, 0) == 0.5
    for n10, n01 in ((0, 7), (3, 40), (51, 38), (20, 20), (5000, 5200)):
        exact = min(2 * float(bdtr(min(n10, n01), n10 + n01, 0.5)), 1.0)
        assert mcnemar_exact(n10, n01) == pytest.approx(exact, rel=1e-9)
    n10, n01 = 30, 12
    beta = math.lgamma(30.5) + math.lgamma(12.5) - math.lgamma(43.0) - math.log(math.pi)
    assert mcnemar_log_e(n10, n01) == pytest.approx(beta + 42 * math.log(2))


def brute_tango(plus, minus, n, difference):
    """The score statistic with the nuisance share found by trying all of them."""
    q = np.linspace(max(0.0, -difference), (1 - difference) / 2, 400_001)[1:-1]
    log = plus * np.log(q + difference) + minus * np.log(q)
    log = log + (n - plus - minus) * np.log1p(-2 * q - difference)
    best = q[np.argmax(log)]
    variance = n * (2 * best + difference * (1 - difference))
    return (plus - minus - n * difference) / math.sqrt(variance)


@pytest.mark.parametrize(("plus", "minus", "n"), [(5, 12, 44), (2, 0, 3500), (10, 9, 300)])
def test_tango_is_the_score_interval(plus, minus, n):
    low, high = tango(plus, minus, n)
    assert low < (plus - minus) / n < high
    assert brute_tango(plus, minus, n, low) == pytest.approx(1.96, abs=0.01)
    assert brute_tango(plus, minus, n, high) == pytest.approx(-1.96, abs=0.01)


def test_evidence_against_a_difference_is_the_mixture_over_the_best_likelihood():
    n, plus, minus, difference = 3000, 30, 55, -0.004
    q = np.linspace(0.004, 0.502, 2_000_001)[1:-1]
    log = plus * np.log(q - 0.004) + minus * np.log(q) + (n - 85) * np.log1p(0.004 - 2 * q)
    counts = np.array([plus, minus, n - plus - minus])
    mixture = sum(map(math.lgamma, counts + 0.5)) - math.lgamma(n + 1.5)
    mixture += math.lgamma(1.5) - 3 * math.lgamma(0.5)
    found = Discordant(n, plus, minus)
    assert found.log_e(difference) == pytest.approx(mixture - log.max(), abs=1e-6)
    low, high = found.interval(0.05)
    assert low < found.value < high
    assert found.p_above(low) == pytest.approx(0.05, rel=0.02)
    assert found.p_below(high) == pytest.approx(0.05, rel=0.02)
    assert (found.p_above(found.value), found.p_below(found.value)) == (1.0, 1.0)
    assert (found.p_above(-1.5), found.p_below(1.5)) == (0.0, 0.0)
    split = Excess(Share(plus, n), Share(minus, n)).interval(0.05)
    assert high - low < 0.9 * (split[1] - split[0])


@pytest.mark.parametrize(("n", "plus", "minus"), [(300, 0, 0), (300, 300, 0), (5, 2, 3), (0, 0, 0)])
def test_a_difference_has_an_interval_also_at_the_edges(n, plus, minus):
    low, high = Discordant(n, plus, minus).interval(0.05)
    assert -1 <= low < high <= 1


def test_a_peeked_difference_misses_less_than_5_percent():
    """R = 200 of 100 looks, seed 8; the slow test has R = 1000."""
    missed = peeked_difference_misses(
        np.random.default_rng(8), plus=0.02, minus=0.03, pairs=5000, step=50, repeats=200
    )
    assert missed <= 0.05


def test_tost_of_the_measured_experiment():
    """drift.md §12: -0.89 [-1.60, -0.17] not shown; -0.37 [-0.81, +0.07] and -0.06 equivalent."""
    for (n10, n01), interval, equal in (
        ((131, 100), (-1.60, -0.17), False), ((51, 38), (-0.81, 0.07), True),
    ):  # fmt: skip
        counts = Accuracy(3500, n10, n01)
        assert [100 * x for x in counts.one_look(0.10)] == pytest.approx(interval, abs=0.006)
        assert counts.equivalent(0.01) is equal
    few = Accuracy(3500, 2, 0)
    assert few.one_look(0.10) == tango(0, 2, 3500, 0.10)
    assert few.equivalent(0.01)


def test_sample_sizes_of_the_specification():
    for psi, margin, pairs in (
        (0.025, 0.01, 2141), (0.025, 0.005, 8564), (0.066, 0.01, 5652), (0.066, 0.005, 22608),
    ):  # fmt: skip
        assert tost_pairs(psi, margin) == pytest.approx(pairs, abs=1)


@pytest.mark.parametrize(
    ("margin", "pairs"),
    [
        (0.001, [8798, 22106, 61404, 26892]), (0.005, [1586, 3986, 11133, 4914]),
        (0.02, [357, 895, 2511, 1111]), (0.05, [FLOOR_PAIRS, 327, 917, 402]),
    ],
)  # fmt: skip
def test_the_table_of_pairs_is_that_of_the_specification(margin, pairs):
    assert [row.pairs for row in pairs_table(margin)] == pairs


def test_no_number_of_pairs_tells_a_rate_from_itself():
    assert pairs_to_decide(0.02, 0.02, 0.05) is None
    assert Limits(Share(60, 3000), high=0.02).more_pairs(3000, 0.05, 0.0125) is None


def test_pairs_still_needed_at_the_present_rate():
    limits = Limits(Excess(Share(15, 1500), Known(0.0)), high=0.02)
    more = limits.more_pairs(1500, 0.025, None)
    assert more == 2511 - 1500
    assert limits.scaled(2511 / 1500).p_inside <= 0.025
    assert Limits(Share(90, 1500), high=0.02).more_pairs(1500, 0.05, None) is None


def test_gates_confirm_together_and_fail_by_holm():
    good, open_ = GateTest(0.01, 1.0), GateTest(0.5, 0.2)
    assert judge_gates([good, good], 0.05).p_pass == 0.01
    for p, several, alone in ((0.012, "failed", "failed"), (0.013, "open", "failed")):
        bad = GateTest(1.0, p)
        states = judge_gates([good, open_, bad, good], 0.05).states
        assert [state.value for state in states] == ["passed", "open", several, "passed"]
        assert judge_gates([bad, None], 0.05).states[0].value == alone
    assert judge_gates([GateTest(1.0, 0.02), good], 0.05).p_fail == 0.04
    assert judge_gates([], 0.05).p_fail == 1.0


def test_margins_are_the_kinds_or_the_users_word():
    kinds = (ChangeKind.PRECISION, ChangeKind.COMPILATION)
    change = Change("c", "e", kinds, evidence={"precision": "int4"})
    assert default_margins(change).flips == 0.005
    assert default_margins(Change("c", "e", (ChangeKind.PRECISION,))).source == (
        "default for precision of unknown type"
    )
    assert default_margins(Change("c", "e", (ChangeKind.PRECISION, ChangeKind.ADAPTER))) is None
    for kind in ChangeKind:
        assert (default_margins(Change("c", "e", (kind,))) is None) == (
            kind in (ChangeKind.WEIGHTS, ChangeKind.ADAPTER)
        )


def test_a_stated_margin_wins_and_zero_may_be_stated():
    change = Change("c", "e", (ChangeKind.DRIVER,))
    stated = margins_of(change, parse("same predictions within 3%").parts[0])
    assert (stated.flips, stated.accuracy, stated.source) == (0.03, 0.002, "stated")
    assert margins_of(change, parse("same predictions").parts[0]).flips == 0.001
    unknown = margins_of(Change("c", "e"), parse("same predictions within 3%").parts[0])
    assert (unknown.flips, unknown.accuracy, unknown.pairs) == (0.03, None, None)
    nothing = margins_of(change, parse("same predictions within 0%").parts[0])
    assert (nothing.flips, nothing.source) == (0.0, "stated")


def test_fisher_against_all_tables():
    assert fisher_exact(0, 5, 0, 5) == 1.0
    assert fisher_exact(50, 1000, 100, 1000) < 1e-4
    assert fisher_exact(50, 1000, 51, 1000) == pytest.approx(1.0, abs=0.01)


# -- smoke cases of the calibration in tests/statistical ----------------------------------------


def test_peeking_after_every_pair_misses_less_than_5_percent():
    """R = 300 of 2000 looks, seed 5; the slow test has R = 2000 of 5000."""
    ours, theirs = peeked_misses(np.random.default_rng(5), share=0.05, pairs=2000, repeats=300)
    assert ours <= 0.05
    assert theirs > 0.25


def test_planted_rates_are_judged_as_planned():
    """R = 60 per rate, seed 6."""
    rng = np.random.default_rng(6)
    five, one = (planted_verdicts(rng, rate, pairs=3000, repeats=60) for rate in (0.05, 0.01))
    assert five["refuted"] > 0.95
    assert one["refuted"] == 0
    assert 0.5 < one["confirmed"] < 0.88
