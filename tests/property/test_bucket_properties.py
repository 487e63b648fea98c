"""Bucket numbers from the bits of a double are those of exact arithmetic, at every bound."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nibai.buckets import MAX_SCALE, mantissa_bounds, regular_buckets
from nibai.errors import HistogramMismatchError
from nibai.histogram import SCALE, ZERO_THRESHOLD, bucket_index

EXPONENTS = (-29, -7, -1, 0, 1, 12, 1023)


def at_most(x, index, scale):
    """Whether x <= 2**((index + 1) / 2**scale), without rounding: both raised to 2**scale."""
    return Fraction(x) ** 2**scale <= Fraction(2) ** (index + 1)


def is_exact(x, index, scale):
    return at_most(x, index, scale) and not at_most(x, index - 1, scale)


def around_bounds(scale, exponent):
    """The doubles at and just above every bound in one doubling."""
    at = np.array(mantissa_bounds(scale), dtype=np.int64) + ((exponent + 1023) << 52)
    return np.concatenate([at - 1, at, at + 1]).view(np.float64)


@given(st.floats(ZERO_THRESHOLD, 1e300, exclude_min=True), st.integers(0, MAX_SCALE))
def test_a_bucket_holds_what_exact_arithmetic_puts_there(x, scale):
    assert is_exact(x, int(regular_buckets(np.array([x]), scale)[0]), scale)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_the_neighbours_of_every_bound_are_exact(exponent):
    values = around_bounds(SCALE, exponent)
    found = bucket_index(values).tolist()
    assert all(is_exact(x, i, SCALE) for x, i in zip(values.tolist(), found, strict=True))


@pytest.mark.parametrize("scale", range(MAX_SCALE + 1))
def test_numbers_rise_by_one_at_every_bound(scale):
    bounds = np.array(mantissa_bounds(scale), dtype=np.int64) + (1023 << 52)
    at, above = (regular_buckets(bits.view(np.float64), scale) for bits in (bounds, bounds + 1))
    assert at.tolist() == list(range(-1, 2**scale - 1))
    assert (above - at == 1).all()


def test_a_logarithm_agrees_except_where_it_rounds():
    rng = np.random.default_rng(3)
    values = np.exp(rng.uniform(math.log(1e-9), math.log(1e9), 200_000))
    rounded = np.ceil(np.log2(values) * 2**SCALE) - 1
    from_bound = np.abs(np.log2(values) * 2**SCALE - np.rint(np.log2(values) * 2**SCALE))
    assert (bucket_index(values) == rounded)[from_bound > 1e-11].all()
    assert (from_bound > 1e-11).mean() > 0.9999


@given(st.floats(1e-8, 1e8), st.integers(0, SCALE))
def test_a_coarser_scale_is_a_shift(x, scale):
    fine, coarse = (int(bucket_index([x], s)[0]) for s in (SCALE, scale))
    assert coarse == fine >> (SCALE - scale)


@pytest.mark.parametrize("value", [0.0, -0.0, -1e-9, -1.0, -1e300, 5e-324, math.nan, -math.nan])
def test_what_is_not_a_normal_positive_number_has_no_number_of_theirs(value):
    normal = regular_buckets(np.array([2.0**-1022, np.finfo(float).max]), SCALE)
    (found,) = regular_buckets(np.array([value]), SCALE)
    assert not normal[0] < found <= normal[1]


def test_the_shape_is_kept_and_strides_do_not_matter():
    values = np.geomspace(1e-3, 1e3, 60).reshape(6, 10)
    assert (bucket_index(values.T) == bucket_index(values).T).all()
    assert (bucket_index(values[::2, 1::3]) == bucket_index(values)[::2, 1::3]).all()


@pytest.mark.parametrize("scale", [-1, MAX_SCALE + 1])
def test_other_scales_are_refused(scale):
    with pytest.raises(HistogramMismatchError, match=f"scale {scale} is not 0 to 8"):
        bucket_index([1.0], scale)
