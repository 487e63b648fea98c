"""The run as the unit, against scipy's own t tests."""

import math

import numpy as np
import pytest

from nibai.stats.replication import run_interval

RNG = np.random.default_rng(4041)
B = RNG.normal(1.0, 0.2, 6).tolist()
C = RNG.normal(0.0, 0.4, 6).tolist()


def test_matched_runs_equal_the_paired_t_interval(scipy_stats):
    found = run_interval(B, C, matched=True)
    expected = scipy_stats.ttest_rel(B, C).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.df == 5
    assert found.p_less(1.4) == pytest.approx(
        scipy_stats.ttest_1samp(np.subtract(B, C), 1.4, alternative="less").pvalue
    )


def test_unmatched_runs_equal_the_welch_interval(scipy_stats):
    found = run_interval(B, C[:4], matched=False)
    test = scipy_stats.ttest_ind(B, C[:4], equal_var=False)
    expected = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.df == pytest.approx(test.df)
    assert found.units == (6, 4)
    assert found.p_greater(0.0) == pytest.approx(test.pvalue / 2)


def test_p_values_agree_with_the_interval():
    for matched in (True, False):
        found = run_interval(B, C, matched=matched)
        assert found.p_less(found.high) == pytest.approx(0.025)
        assert found.p_greater(found.low) == pytest.approx(0.025)
        assert found.p_less(found.value) == pytest.approx(0.5)


def test_two_runs_pay_the_price_of_twelve_point_seven():
    found = run_interval([1.0, 1.1], [0.0, 0.0], matched=True)
    assert found.critical == pytest.approx(12.706, abs=1e-3)
    assert found.low == pytest.approx(1.05 - 12.706 * 0.05, abs=1e-3)


@pytest.mark.parametrize("matched", [True, False])
def test_one_run_has_an_estimate_and_no_bound(matched):
    found = run_interval([1.0], [0.0], matched=matched)
    assert (found.value, found.low, found.high) == (1.0, -math.inf, math.inf)
    assert found.p_less(9.0) == 1.0


def test_an_infinite_quantile_in_a_run_leaves_nothing_known():
    found = run_interval([1.0, math.inf, 1.2], [0.0, 0.1, 0.0], matched=True)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.p_greater(0.0) == 1.0


def test_swapping_mirrors():
    for matched in (True, False):
        one, other = run_interval(B, C, matched=matched), run_interval(C, B, matched=matched)
        assert (one.value, one.low, one.high) == pytest.approx(
            (-other.value, -other.high, -other.low)
        )


def test_runs_without_any_spread_are_taken_at_their_word():
    found = run_interval([1.0, 1.0], [0.0, 0.0], matched=True)
    assert (found.low, found.high) == (1.0, 1.0)
    assert (found.p_less(2.0), found.p_less(0.5)) == (0.0, 1.0)


def test_matched_runs_must_pair():
    with pytest.raises(ValueError, match="2 baseline runs cannot match 1 candidate runs"):
        run_interval([1.0, 1.1], [0.0], matched=True)


@pytest.mark.parametrize("matched", [True, False])
def test_covers_at_its_level_on_normal_runs(matched):
    rng = np.random.default_rng(4042)
    missed = 0
    for _ in range(1000):
        day = rng.normal(0, 0.3, 4) if matched else 0.0
        b, c = rng.normal(0.7, 0.1, 4) + day, rng.normal(0, 0.1, 4) + day
        found = run_interval(b, c, matched=matched)
        missed += not found.low <= 0.7 <= found.high
    assert missed <= 70  # nominal 50, 2.9 standard errors


def test_two_units_are_not_helped_by_many_on_the_other_side():
    few, many = [0.0, 0.1], [1.0 + 0.01 * i for i in range(20)]
    found = run_interval(few, many, matched=False)
    assert found.df <= 2.0  # that of two against two
    assert run_interval(many[:3], many[3:6], matched=False).df == pytest.approx(4.0)
