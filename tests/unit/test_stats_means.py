"""Ratios and differences of means: algebra, rare events, known truth."""

import math

import numpy as np
import pytest
from scipy import special

from nibai.errors import HistogramMismatchError
from nibai.model import ReasonCode
from nibai.stats.linear import LinearTest
from nibai.stats.means import (
    BlockSums,
    RareTest,
    mean_ratio,
    share_difference,
    throughput_ratio,
)
from nibai.stats.variance import effective_freedom


def costs(seed, *, mean=1.0, blocks=24, per_block=200):
    rng = np.random.default_rng([4051, seed])
    n = rng.poisson(per_block, blocks)
    return BlockSums.of([mean * rng.lognormal(-0.125, 0.5, k).sum() for k in n], n)


def errors(seed, *, share=0.01, blocks=24, per_block=2000):
    rng = np.random.default_rng([4052, seed])
    n = rng.poisson(per_block, blocks)
    return BlockSums.of(rng.binomial(n, share), n)


def test_ratio_equals_the_formula_of_section_11():
    b, c = costs(1, mean=2.0), costs(2)
    found = mean_ratio(b, c)
    for log2_ratio in (found.low, found.high, 0.7):
        rho = 2**log2_ratio
        mu = (b.mean + rho * c.mean) / 2
        d = 24 * (b.sums - mu * b.n) / b.n.sum()
        d = d - rho * 24 * (c.sums - mu / rho * c.n) / c.n.sum()
        t = d.mean() / (d.std(ddof=1) / math.sqrt(24)) / math.sqrt(found.variance_factor)
        assert found.test.t(rho) == pytest.approx(t, rel=1e-9)
    critical = special.stdtrit(23, 0.975)
    assert found.test.t(2**found.low) == pytest.approx(critical)
    assert found.test.t(2**found.high) == pytest.approx(-critical)


def test_swapping_the_sides_mirrors_a_ratio():
    b, c = costs(1, mean=2.0), costs(2)
    one, other = mean_ratio(b, c), mean_ratio(c, b)
    assert other.value == pytest.approx(-one.value, abs=1e-12)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-9)


def test_p_values_agree_with_the_intervals():
    for found in (
        mean_ratio(costs(1), costs(2)),
        share_difference(errors(1), errors(2)),
        share_difference(errors(1, share=2e-5), errors(2, share=1e-4)),
    ):
        assert found.p_less(found.high) == pytest.approx(0.025, rel=1e-6)
        assert found.p_greater(found.low) == pytest.approx(0.025, rel=1e-6)
        assert found.p_less(found.value) > 0.4


def test_a_mean_that_may_be_zero_bounds_the_ratio_on_one_side():
    rng = np.random.default_rng(4053)
    spiky = BlockSums.of(np.where(np.arange(24) == 5, 1000.0, 0.01), np.full(24, 100.0))
    steady = BlockSums.of(rng.normal(100, 5, 24), np.full(24, 100.0))
    found = mean_ratio(steady, spiky)
    assert found.high == math.inf
    assert found.reason is ReasonCode.TOO_FEW_TAIL_EPISODES
    assert mean_ratio(spiky, steady).low == -math.inf


def test_nothing_spent_is_not_a_ratio():
    free = BlockSums.of(np.zeros(24), np.full(24, 100.0))
    found = mean_ratio(costs(1), free)
    assert (found.value, found.low, found.high) == (math.inf, -math.inf, math.inf)
    assert math.isnan(mean_ratio(free, free).value)
    assert found.p_less(0.0) == 1.0


@pytest.mark.parametrize("judge", [mean_ratio, share_difference])
def test_thin_data_give_no_bound(judge):
    few = BlockSums.of(np.full(24, 5.0), np.r_[np.full(7, 50.0), np.zeros(17)])
    assert judge(few, errors(1)).reason is ReasonCode.TOO_FEW_BLOCKS
    none = BlockSums.of(np.zeros(24), np.zeros(24))
    assert judge(none, errors(1)).reason is ReasonCode.NO_DATA
    assert math.isinf(judge(none, errors(1)).high)


def test_sides_have_to_pair():
    with pytest.raises(HistogramMismatchError, match="must pair"):
        mean_ratio(costs(1), costs(2, blocks=12))


def test_error_difference_is_candidate_minus_baseline():
    found = share_difference(errors(1, share=0.01), errors(2, share=0.02))
    assert found.value == pytest.approx(0.01, abs=0.002)
    assert 0.005 < found.low < 0.01 < found.high < 0.015
    assert not found.log2
    other = share_difference(errors(2, share=0.02), errors(1, share=0.01))
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low), abs=1e-12)


def test_no_event_anywhere_gives_the_exact_poisson_bound():
    quiet = BlockSums.of(np.zeros(8), np.full(8, 1000.0))
    found = share_difference(quiet, quiet)
    assert found.value == 0.0
    assert found.high == pytest.approx(-math.log(0.025) / 8000)
    assert found.n_effective == (8000.0, 8000.0)
    halved = share_difference(quiet, quiet, n_effective=(4000.0, 4000.0))
    assert halved.high == pytest.approx(-math.log(0.025) / 4000)


def test_clumped_errors_shrink_the_effective_number():
    quiet = BlockSums.of(np.zeros(24), np.full(24, 1000.0))
    spread, clumped = np.zeros(24), np.zeros(24)
    spread[::2], clumped[3] = 1, 12
    even = share_difference(quiet, BlockSums.of(spread, quiet.n))
    burst = share_difference(quiet, BlockSums.of(clumped, quiet.n))
    assert even.value == burst.value
    assert even.n_effective[1] == 24000
    assert burst.n_effective[1] < 24000 / 10
    assert burst.low < 0 < even.low


def test_throughput_is_candidate_over_baseline():
    rng = np.random.default_rng(4054)
    seconds = np.full(12, 60.0)
    found = throughput_ratio(rng.poisson(600, 12), seconds, rng.poisson(1200, 12), seconds)
    assert found.low < 1.0 < found.high
    assert found.high - found.low < 0.2


def test_scores_without_spread_are_exact():
    test = LinearTest.of(np.full(8, 2.0), np.full(8, -1.0))
    assert test.interval(0.95) == (2.0, 2.0)
    assert (test.t(2.0), test.t(1.0), test.t(3.0)) == (0.0, math.inf, -math.inf)


def test_half_lines_hold_the_estimate():
    rng = np.random.default_rng(4055)
    for _ in range(200):
        test = LinearTest.of(rng.normal(0.3, 1, 8), rng.normal(-0.3, 1, 8) - 0.2)
        if test.means[1] >= 0:
            continue
        low, high = test.interval(0.95)
        assert low <= test.estimate <= high
        for bound in (low, high):
            if math.isfinite(bound):
                limit = special.stdtrit(effective_freedom(7.0, test.factor), 0.975)
                assert abs(test.t(bound)) == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize(
    ("expected", "most"), [((0.5, 0.5), 0.05), ((2, 8), 0.06), ((15, 15), 0.06), ((40, 60), 0.065)]
)
def test_error_differences_cover_from_no_event_to_many(expected, most):
    """Misses of a nominal 5 %; `most` adds nothing for noise: the seed is fixed."""
    rng = np.random.default_rng(4056)
    n = np.full(24, 5000.0)
    truth = (expected[1] - expected[0]) / n.sum()
    missed = 0
    for _ in range(600):
        b, c = (BlockSums.of(rng.poisson(mean / 24, 24), n) for mean in expected)
        found = share_difference(b, c)
        missed += not found.low <= truth <= found.high
    assert missed / 600 <= most


def test_rare_bounds_of_equal_counts_are_symmetric():
    low, high = RareTest((3.0, 3.0), (1000.0, 1000.0)).interval(0.95)
    assert low == pytest.approx(-high)
