"""Floors, shares and what is still missing."""

import math

import pytest
from scipy import special

from nibai.stats.floors import effective_floor, raw_floor
from nibai.stats.more_data import MoreData, more_blocks, more_units
from nibai.stats.proportions import clopper_pearson, poisson_mean, wilson
from nibai.stats.replication import run_interval
from nibai.stats.student import critical_value, lower_tail


@pytest.mark.parametrize(
    ("p", "effective", "raw"),
    [(0.9, 36, 64), (0.99, 368, 662), (0.999, 3688, 6636), (0.1, 36, 64), (0.01, 368, 662)],
)
def test_floors_are_those_of_the_specification(p, effective, raw):
    assert (effective_floor(p), raw_floor(p)) == (effective, raw)


def test_the_raw_floor_is_the_first_number_that_suffices():
    for p in (0.5, 0.75, 0.95):
        n = raw_floor(p)
        assert special.bdtr(1, n, 1 - p) <= 0.01 < special.bdtr(1, n - 1, 1 - p)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (42, 1000)])
def test_shares_equal_scipy(scipy_stats, k, n):
    test = scipy_stats.binomtest(k, n)
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        expected = test.proportion_ci(0.95, method=method)
        assert ours(k, n) == pytest.approx((expected.low, expected.high))


def test_no_trials_say_nothing():
    assert clopper_pearson(0, 0) == wilson(0, 0) == (0.0, 1.0)


def test_poisson_bounds_are_exact():
    low, high = poisson_mean(7, 0.9)
    assert special.pdtrc(6, low) == pytest.approx(0.05)
    assert special.pdtr(7, high) == pytest.approx(0.05)
    assert poisson_mean(0)[1] == pytest.approx(-math.log(0.025))


@pytest.mark.parametrize("df", [0.7, 1, 2, 4.3, 7, 11, 23, 60, 999, 1e5])
def test_student_equals_scipy_far_into_the_tails(df):
    for level in (0.05, 0.5, 0.9, 0.95, 0.99, 0.99999):
        expected = special.stdtrit(df, 0.5 + level / 2)
        assert critical_value(level, df) == pytest.approx(expected, rel=1e-9)
    for t in (-400.0, -38.0, -8.5, -2.0, -0.3, -1e-9, 0.0, 1e-9, 0.6, 2.5, 9.0, 55.0):
        expected = special.stdtr(df, t)
        assert lower_tail(t, df) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_student_at_the_edges():
    assert (lower_tail(math.inf, 3), lower_tail(-math.inf, 3)) == (1.0, 0.0)
    assert lower_tail(math.nan, 3) == lower_tail(1.0, 0) == 0.5
    assert critical_value(0.95, 0) == math.inf
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.0"):
        critical_value(1.0, 5)


# -- how much more ---------------------------------------------------------------------------


def test_twice_as_near_needs_four_times_the_data():
    far = more_blocks(1.0, 0.8, 1.2, 0.8, blocks=24)
    near = more_blocks(1.0, 0.8, 1.2, 0.9, blocks=24)
    assert far.blocks + 24 == pytest.approx(24 * 1.44, abs=1)
    assert near.blocks + 24 == pytest.approx(24 * 1.44 * 4, abs=1)


def test_the_half_width_towards_the_threshold_counts():
    lopsided = more_blocks(1.0, 0.5, 1.1, 1.2, blocks=24)
    assert lopsided.blocks == 0  # the interval already excludes it with the safety factor
    assert more_blocks(1.0, 0.5, 1.1, 0.8, blocks=24).blocks > 24


def test_weeks_are_capped_and_equality_is_called_undecidable():
    assert more_blocks(1.0, 0.8, 1.2, 0.97, blocks=24, block_seconds=3600) == MoreData(
        24 * 63, 28 * 86400.0, capped=True
    )
    assert more_blocks(1.0, 0.8, 1.2, 0.981, blocks=24) == MoreData(None, undecidable=True)
    assert more_blocks(1.0, 1.0, 1.0, 1.0, blocks=24) == MoreData(None, undecidable=True)


def test_an_infinite_bound_has_no_extrapolation():
    assert more_blocks(1.0, -math.inf, 1.2, 0.9, blocks=24) == MoreData(None)
    assert more_blocks(math.nan, -math.inf, math.inf, 0.9, blocks=24) == MoreData(None)


def test_missing_runs_count_the_falling_t_quantile():
    found = run_interval([1.0, 1.1], [0.0, 0.0], matched=True)
    missing = more_units(found, 0.9)
    runs = missing.blocks + 2
    enough = 1.2 * critical_value(0.95, runs - 1) * 0.0707 / math.sqrt(runs)
    too_few = 1.2 * critical_value(0.95, runs - 2) * 0.0707 / math.sqrt(runs - 1)
    assert enough <= 0.15 < too_few
    assert missing.blocks == 2


def test_runs_have_their_limits_too():
    assert more_units(run_interval([1.0], [0.0], matched=True), 0.5) == MoreData(None)
    b = [1.0, 1.4, 0.6, 1.2, 0.8]
    assert more_units(run_interval(b, [0.0] * 5, matched=True), 1.0).undecidable
    assert more_units(run_interval(b, [0.0] * 5, matched=True), 0.98).undecidable
