"""Moments in seconds as ticks of a column: the same comparisons, tick by tick."""

import numpy as np
import pyarrow as pa
import pytest

from nibai.store.files.ticks import Clock

NOW = 1_767_225_600


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_first_tick_of_a_moment_is_the_first_whose_seconds_reach_it(unit):
    clock = Clock.of(pa.timestamp(unit), 1.0)
    moments = np.array([NOW, NOW + 1 / 3, NOW + 0.1, np.nextafter(NOW, np.inf), -0.5, 0.0])
    first = clock.first_at(moments)
    assert (first / clock.per_second >= moments).all()
    assert ((first - 1) / clock.per_second < moments).all()


def test_numbers_count_as_the_column_says():
    clock = Clock.of(pa.int32(), 1e3)
    assert clock.times(np.array([5, 7], dtype=np.int32)).dtype == np.int64
    assert clock.first_at(np.array([0.0055, 0.006])).tolist() == [6, 6]
    assert clock.seconds(6) == 0.006


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.uint64()])
def test_other_numbers_are_compared_in_seconds(kind):
    clock = Clock.of(kind, 1e3)
    assert clock.times(np.array([2000.0])).tolist() == [2.0]
    assert clock.first_at(np.array([2.5])).tolist() == [2.5]
    assert clock.seconds(2.0) == 2.0


def test_moments_no_column_holds_are_beyond_all_ticks_it_may_hold():
    clock = Clock.of(pa.timestamp("us"), 1.0)
    low, high = clock.first_at(np.array([-1e30, 1e30])).tolist()
    assert low < -(2**60)
    assert high > 2**60
