"""Offline change points: easy cases, awkward values, exact bookkeeping."""

import math

import numpy as np
import pytest
from support.series import ar1_noise, stepped

from nibai.stats.change_points import (
    change_points,
    kolmogorov_tail,
    long_run_variance,
    observed,
    strongest_change,
)


def indices(values, **options):
    return [point.index for point in change_points(values, **options)]


@pytest.fixture
def rng():
    return np.random.default_rng(20261126)


def test_a_clear_step_is_found_where_it_is(rng):
    for at in (30, 100, 170):
        (point,) = change_points(stepped(ar1_noise(rng, 1, 200, 0.3)[0], 5.0, at))
        assert abs(point.index - at) <= 1
        assert point.low <= at <= point.high
        assert point.p_value < 1e-4


def test_several_steps_are_found_in_order(rng):
    levels = np.repeat([0.0, 4.0, 1.0, 6.0], 80)
    found = indices(levels + ar1_noise(rng, 1, 320, 0.3)[0])
    assert np.allclose(found, [80, 160, 240], atol=2)


def test_unchanged_noise_stays_quiet(rng):
    """A smoke case; the rate is measured in tests/statistical."""
    found = sum(bool(indices(row)) for row in ar1_noise(rng, 60, 288, 0.5))
    assert found <= 9


def test_a_ramp_is_drift_and_not_a_change(rng):
    ramp = np.linspace(0.0, 6.0, 300)
    assert indices(ramp + ar1_noise(rng, 1, 300, 0.0)[0]) == []


def test_a_step_is_found_on_top_of_a_gentle_drift(rng):
    drifting = np.linspace(0.0, 0.5, 300) + ar1_noise(rng, 1, 300, 0.0)[0]
    assert abs(indices(stepped(drifting, 4.0, 150))[0] - 150) <= 1


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 47, [3.5] * 500, [np.nan] * 100])
def test_nothing_to_find(values):
    assert indices(values) == []


def test_a_constant_series_that_jumps_once_is_certain():
    (point,) = change_points([0.0] * 40 + [1.0] * 60)
    assert (point.index, point.low, point.high, point.p_value) == (40, 40, 40, 0.0)
    assert point.statistic == math.inf


def test_a_step_too_near_the_end_is_not_reported_yet():
    assert indices([0.0] * 90 + [1.0] * 10) == []


def test_the_sign_the_level_and_the_unit_do_not_matter(rng):
    values = stepped(ar1_noise(rng, 1, 240, 0.5)[0], 2.0, 100)
    assert indices(values) == indices(-values) == indices(1e6 + 1000 * values)


def test_missing_points_are_left_out_and_counted(rng):
    values = stepped(ar1_noise(rng, 1, 300, 0.0)[0], 5.0, 150)
    values[20:60] = np.nan
    values[::7] = np.nan
    (point,) = change_points(values)
    assert abs(point.index - 150) <= 1
    assert not math.isnan(values[point.index])


def test_a_quantile_that_becomes_infinite_is_a_change(rng):
    """p99 of a service of which more than 1 % fails from some hour on."""
    values = ar1_noise(rng, 1, 200, 0.2)[0]
    values[120:] = np.inf
    assert indices(values) == [120]
    values[120:] = -np.inf
    assert indices(values) == [120]


def test_only_infinite_values_do_not_break():
    assert indices([np.inf] * 100) == []
    assert indices([-np.inf] * 50 + [np.inf] * 50) == [50]


def test_observed_puts_infinite_values_next_to_the_finite_ones():
    found, positions = observed([1.0, np.nan, np.inf, 3.0, -np.inf])
    assert found.tolist() == [1.0, 4.0, 3.0, 0.0]
    assert positions.tolist() == [0, 2, 3, 4]


def test_long_run_variance_of_known_noise(rng):
    """(1 + phi) / (1 - phi) of unit noise, and a step does not enter."""
    for phi, truth in ((0.0, 1.0), (0.5, 3.0), (0.8, 9.0)):
        values = ar1_noise(rng, 1, 40_000, phi, heavy=False)[0]
        assert long_run_variance(values).value == pytest.approx(truth, rel=0.1)
        stepped_values = stepped(values, 50.0, 13_000)
        assert long_run_variance(stepped_values, 13_000).value == pytest.approx(truth, rel=0.1)


def test_kolmogorov_tail():
    """Published critical values: 1.224, 1.358, 1.628 for 10, 5 and 1 %."""
    for statistic, tail in ((1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01)):
        assert kolmogorov_tail(statistic) == pytest.approx(tail, rel=1e-3)
    assert kolmogorov_tail(0.0) == kolmogorov_tail(0.19) == 1.0
    assert kolmogorov_tail(0.2) == pytest.approx(1.0, abs=1e-9)
    assert kolmogorov_tail(math.inf) == 0.0


def test_short_stretches_have_no_change():
    assert strongest_change(np.arange(47.0) > 20) is None
