"""The daily rhythm is taken out, and nothing else."""

import numpy as np
import pytest

from nibai.stats.cycle import without_cycle

DAYS = np.sin(2 * np.pi * np.arange(240) / 24)


def test_a_pure_rhythm_becomes_its_level():
    assert without_cycle(5 + DAYS, 24) == pytest.approx(np.full(240, 5.0))


def test_a_step_stays_whole_where_it_is_known():
    step = np.where(np.arange(240) >= 96, 3.0, 0.0)
    assert without_cycle(step + DAYS, 24, cuts=[96]) == pytest.approx(step, abs=1e-9)


def test_gaps_and_infinite_values_stay_what_they_are():
    values = 5 + DAYS
    values[30:80] = np.nan
    values[90], values[91] = np.inf, -np.inf
    found = without_cycle(values, 24)
    assert np.isnan(found[30:80]).all()
    assert (found[90], found[91]) == (np.inf, -np.inf)
    rest = np.isfinite(found)
    assert found[rest] == pytest.approx(5.0)


def test_short_series_and_blocks_of_days_are_left_alone():
    assert without_cycle(DAYS[:160], 24).tolist() == DAYS[:160].tolist()
    assert without_cycle(DAYS, 1).tolist() == DAYS.tolist()
    assert np.isnan(without_cycle([np.nan] * 240, 24)).all()


def test_an_hour_that_is_never_measured_is_no_obstacle():
    values = 5 + DAYS
    values[3::24] = np.nan
    found = without_cycle(values, 24)
    assert np.isnan(found[3::24]).all()
    assert np.ptp(found[~np.isnan(found)]) < 1e-9
