"""Joint changes of several views and the size of a change."""

import math

import numpy as np
import pytest
from support.series import ar1_noise, stepped

from nibai.stats.shifts import joint_changes, joint_p_value, shift


@pytest.fixture
def rng():
    return np.random.default_rng(20261126)


def test_views_that_change_together_are_one_change(rng):
    p50, p90, p99 = ar1_noise(rng, 3, 240, 0.3)
    views = {"p50": p50, "p90": stepped(p90, 3.0, 118), "p99": stepped(p99, 4.0, 120)}
    (change,) = joint_changes(views)
    assert (change.view, change.before, change.after) == ("p99", (0, 120), (120, 240))
    assert {name for name, one in change.shifts.items() if one.changed} == {"p90", "p99"}
    assert change.shifts["p99"].value == pytest.approx(4.0, abs=0.6)


def test_changes_at_different_times_stay_apart(rng):
    one, other = ar1_noise(rng, 2, 300, 0.0)
    found = joint_changes({"p50": stepped(one, 4.0, 100), "p99": stepped(other, -4.0, 200)})
    assert [change.view for change in found] == ["p50", "p99"]
    assert [change.before[0] for change in found] == [0, found[0].point.index]
    assert not found[0].shifts["p99"].changed


def test_a_steady_series_has_none(rng):
    views = dict(zip(("p50", "p90"), ar1_noise(rng, 2, 200, 0.5), strict=True))
    assert joint_changes(views) == ()
    assert joint_changes({"p50": []}) == ()
    assert 0.05 < joint_p_value(views) <= 1.0


def test_the_joint_p_value_is_the_smallest_times_the_number_of_views(rng):
    noise = ar1_noise(rng, 2, 200, 0.3)
    one = joint_p_value({"a": stepped(noise[0], 1.0, 100)})
    assert joint_p_value({"a": stepped(noise[0], 1.0, 100), "b": noise[1]}) == 2 * one


def test_the_size_is_covered(rng):
    """A smoke case of the coverage; interval of a known shift at a known place."""
    noise = ar1_noise(rng, 200, 240, 0.5)
    covered = 0
    for row in stepped(noise, 1.0, 120):
        value, low, high = shift(row[:120], row[120:])
        assert low < value < high
        covered += low <= 1.0 <= high
    assert covered >= 180


def test_swapping_the_sides_changes_the_sign(rng):
    one, other = ar1_noise(rng, 2, 60, 0.3)
    value, low, high = shift(one, other)
    assert shift(other, one) == pytest.approx((-value, -high, -low))


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        ([], [1.0, 2.0], math.nan),
        ([np.nan], [1.0, 2.0], math.nan),
        ([1.0, 2.0], [np.inf, np.inf, 1.0], math.inf),
        ([np.inf] * 3, [1.0, 2.0], -math.inf),
        ([np.inf] * 3, [np.inf] * 3, math.nan),
        ([1.0], [2.0, 3.0], 1.5),
    ],
)
def test_without_a_basis_there_is_no_interval(before, after, value):
    assert shift(before, after) == pytest.approx((value, -math.inf, math.inf), nan_ok=True)


def test_constant_stretches_are_exact():
    assert shift([1.0, 1.0], [2.0, 2.0]) == (1.0, 1.0, 1.0)


def test_a_few_infinite_blocks_do_not_make_the_size_infinite(rng):
    before, after = ar1_noise(rng, 2, 100, 0.2)
    after = after + 3.0
    after[5] = np.inf
    value, low, high = shift(before, after)
    assert 2.0 < low < value < high < 4.5
