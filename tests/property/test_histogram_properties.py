"""What must hold for every histogram, whatever was counted and in whatever order it was merged."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nibai.errors import HistogramMismatchError
from nibai.histogram import (
    OVERFLOW_BUCKET,
    SCALE,
    ZERO_BUCKET,
    ZERO_THRESHOLD,
    BlockHistograms,
    bucket_index,
    concatenate,
    from_otel_exponential,
    merge,
    to_otel_exponential,
)

latency = st.floats(1e-7, 1e5) | st.just(0.0) | st.just(math.inf)
latencies = st.lists(latency, max_size=60)
finite_latencies = st.lists(st.floats(1e-7, 1e5), min_size=1, max_size=60)
probability = st.floats(0.001, 0.999)


def same(a: BlockHistograms, b: BlockHistograms) -> bool:
    """Equal counts, however wide the stored range of empty buckets is."""
    if a.scale != b.scale or a.blocks != b.blocks:
        return False
    joined = merge([a, BlockHistograms.empty(a.blocks, a.scale), b])
    width = joined.counts.shape[1]

    def spread(h: BlockHistograms) -> np.ndarray:
        out = np.zeros((h.blocks, width), dtype=np.int64)
        if h.counts.shape[1]:
            start = h.offset - joined.offset
            out[:, start : start + h.counts.shape[1]] = h.counts
        return out

    return (
        np.array_equal(spread(a), spread(b))
        and np.array_equal(a.zero, b.zero)
        and np.array_equal(a.overflow, b.overflow)
    )


@given(latencies, latencies, latencies)
def test_merging_is_associative_and_commutative(x, y, z):
    a, b, c = (BlockHistograms.from_values(v) for v in (x, y, z))
    assert same(a.merge(b), b.merge(a))
    assert same(a.merge(b).merge(c), a.merge(b.merge(c)))


@given(latencies, latencies)
def test_merging_equals_counting_the_concatenation(x, y):
    merged = BlockHistograms.from_values(x).merge(BlockHistograms.from_values(y))
    assert same(merged, BlockHistograms.from_values(x + y))


@given(st.lists(st.tuples(latency, st.integers(0, 3)), max_size=60))
def test_blocks_in_one_pass_equal_blocks_one_by_one(rows):
    values, blocks = [v for v, _ in rows], [b for _, b in rows]
    together = BlockHistograms.from_values(values, blocks, blocks=4)
    apart = [BlockHistograms.from_values([v for v, b in rows if b == g]) for g in range(4)]
    assert same(together, concatenate(apart))
    assert same(together.total(), BlockHistograms.from_values(values))


@given(st.lists(st.tuples(latency, st.integers(0, 3)), max_size=60), probability)
def test_quantiles_of_all_blocks_at_once_equal_those_one_by_one(rows, p):
    histograms = BlockHistograms.from_values([v for v, _ in rows], [b for _, b in rows], blocks=4)
    one_by_one = [histograms.take([g]).log2_quantile([p])[0] for g in range(4)]
    assert histograms.block_log2_quantiles([p])[0] == pytest.approx(one_by_one, nan_ok=True)


@given(finite_latencies, probability)
def test_a_quantile_is_within_one_bucket_of_the_sample_quantile_of_its_rank(values, p):
    estimate = BlockHistograms.from_values(values).quantile([p])[0]
    rank = max(math.ceil(p * len(values) - 1e-9), 1)
    exact = sorted(values)[rank - 1]
    assert abs(math.log2(estimate / exact)) <= 2.0**-SCALE * (1 + 1e-9)


@given(latencies, probability)
def test_the_cumulative_count_at_a_quantile_is_its_rank(values, p):
    histogram = BlockHistograms.from_values(values)
    log2 = histogram.log2_quantile([p])[0]
    if np.isfinite(log2):
        assert histogram.cumulative_at(log2).sum() == pytest.approx(p * len(values), abs=1e-6)


@given(finite_latencies, st.floats(0.02, 0.98))
def test_the_quantile_at_a_cumulative_count_is_the_value_again(values, part):
    histogram = BlockHistograms.from_values(values)
    filled = np.flatnonzero(histogram.counts[0])
    x = (histogram.offset + filled[len(filled) // 2] + part) / 2.0**SCALE
    share = histogram.cumulative_at(x).sum() / len(values)
    assert histogram.log2_quantile([share])[0] == pytest.approx(x, abs=1e-6)


@given(latencies, st.integers(0, SCALE), st.integers(0, SCALE))
def test_downscaling_in_steps_equals_counting_at_the_coarse_scale(values, first, second):
    histogram = BlockHistograms.from_values(values)
    low = min(first, second)
    stepped = histogram.downscale(max(first, second)).downscale(low)
    assert same(stepped, histogram.downscale(low))
    # Counting at the coarse scale directly can differ only by rounding at a bucket's very edge.
    direct = BlockHistograms.from_values(values, scale=low)
    edges = np.log2([v for v in values if ZERO_THRESHOLD < v < math.inf] or [0.5]) * 2.0**SCALE
    if np.abs(edges - np.round(edges)).min() > 1e-9:
        assert same(stepped, direct)


@given(latencies, latencies)
def test_merging_different_scales_goes_down_to_the_coarser(x, y):
    fine, coarse = BlockHistograms.from_values(x), BlockHistograms.from_values(y).downscale(3)
    assert same(fine.merge(coarse), BlockHistograms.from_values(x + y).downscale(3))


@given(finite_latencies)
def test_an_otel_point_and_back_is_the_same_histogram(values):
    histogram = BlockHistograms.from_values([*values, 0.0])
    scale, zero, offset, counts = to_otel_exponential(histogram)
    back = from_otel_exponential(
        scale=scale, zero_count=zero, positive_offset=offset, positive_counts=counts
    )
    assert same(back, histogram)


@given(st.integers(-300, 300), st.integers(0, SCALE))
def test_the_upper_bound_of_a_bucket_belongs_to_it(index, scale):
    upper = 2.0 ** ((index + 1) / 2**scale)
    if upper > ZERO_THRESHOLD:
        found = bucket_index([upper, np.nextafter(upper, np.inf) * (1 + 1e-12)], scale).tolist()
        assert found[0] in (index, index + 1)  # irrational bounds round either way
        assert found[1] == index + 1
    if (index + 1) % 2**scale == 0 and upper > ZERO_THRESHOLD:
        assert found[0] == index


def test_sentinels_for_zero_and_infinity():
    assert bucket_index([0.0, ZERO_THRESHOLD, math.inf]).tolist() == [
        ZERO_BUCKET,
        ZERO_BUCKET,
        OVERFLOW_BUCKET,
    ]


@pytest.mark.parametrize("value", [-1.0, math.nan, -math.inf])
def test_negative_and_nan_values_are_refused(value):
    with pytest.raises(ValueError, match="negative and NaN"):
        bucket_index([1.0, value])


def test_failed_requests_are_slower_than_every_finite_one():
    histogram = BlockHistograms.from_values([0.1] * 98 + [math.inf] * 2)
    assert histogram.quantile([0.98])[0] == pytest.approx(0.1, rel=0.03)
    assert histogram.quantile([0.99])[0] == math.inf
    assert histogram.cumulative_at(50.0).sum() == 98
    assert histogram.cumulative_at(math.inf).sum() == 100


def test_zero_latencies_have_a_quantile_of_zero_and_an_empty_histogram_has_none():
    assert BlockHistograms.from_values([0.0, 0.0, 1.0]).quantile([0.5])[0] == 0.0
    assert np.isnan(BlockHistograms.empty(3).quantile([0.5])[0])


def test_refining_and_uneven_blocks_are_programming_errors():
    with pytest.raises(HistogramMismatchError):
        BlockHistograms.empty(1, scale=3).downscale(5)
    with pytest.raises(HistogramMismatchError):
        BlockHistograms.empty(1).merge(BlockHistograms.empty(2))


def test_signed_difference_rows_sum_away():
    rows = BlockHistograms.from_rows([0, 0], [7, 7], [3, -1], blocks=1)
    assert rows.n.tolist() == [2]
