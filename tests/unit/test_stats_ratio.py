"""PBS-AR against its formula written out plainly, and at the edges of what data can be."""

import math

import numpy as np
import pytest
from scipy import special
from support.simulator import SCENARIOS, simulate

from nibai.errors import HistogramMismatchError
from nibai.histogram import BlockHistograms
from nibai.model import ReasonCode
from nibai.stats.ratio import p_value_greater, p_value_less, paired, pbs_ar, pbs_ar_many

PS = (0.5, 0.9, 0.99)


def side(seed, scenario="ar10", *, hours=6, blocks=12, rate=60.0, factor=1.0):
    rng = np.random.default_rng([4021, seed])
    requests = simulate(rng, SCENARIOS[scenario], minutes=hours * 60, rate=rate)
    return requests.histograms(blocks, factor)


def lognormal(seed, *, median=0.1, blocks=12, per_block=400, infinite=0.0):
    rng = np.random.default_rng([4022, seed])
    values = median * np.exp(rng.normal(0, 0.5, blocks * per_block))
    values[rng.random(len(values)) < infinite] = math.inf
    return BlockHistograms.from_values(values, np.arange(len(values)) % blocks, blocks=blocks)


def plain_scores(b, c, p, d, steps=45):
    """D_g of section 5, one formula after the other, with a bisection for x."""
    low = min(b.log2_quantile(p), c.log2_quantile(p) + d) - 0.02
    high = max(b.log2_quantile(p), c.log2_quantile(p) + d) + 0.02
    n_b, n_c = b.n.sum(), c.n.sum()
    all_b, all_c = b.total(), c.total()
    for _ in range(steps):
        x = (low + high) / 2
        joint = all_b.cumulative_at(x).sum() / n_b + all_c.cumulative_at(x - d).sum() / n_c
        low, high = (x, high) if joint / 2 < p else (low, x)
    u_b = b.blocks * (p * b.n - b.cumulative_at(x)) / n_b
    u_c = c.blocks * (p * c.n - c.cumulative_at(x - d)) / n_c
    return u_b - u_c


def plain_t(b, c, p, d, steps=45):
    scores = plain_scores(b, c, p, d, steps)
    return scores.mean() / (scores.std(ddof=1) / math.sqrt(len(scores)))


def plain_interval(b, c, p):
    value = float(b.log2_quantile(p) - c.log2_quantile(p))
    e = plain_scores(b, c, p, value)
    e = e - e.mean()
    blocks = len(e)
    r1 = (e[:-1] * e[1:]).sum() / (e**2).sum()
    r = min(max(r1 + (1 + 3 * r1) / blocks, 0.0), 0.8)
    factor = (1 + r) / (1 - r)
    beyond_chance = r * min(max((r * math.sqrt(blocks) - 2) / 2, 0.0), 1.0)
    worth = blocks * (1 - beyond_chance) / (1 + beyond_chance)
    limit = special.stdtrit(max(worth - 1, 4.0), 0.975) * math.sqrt(factor)
    bounds = []
    for sign in (-1, 1):
        near, k = 0.0, 0
        while -sign * plain_t(b, c, p, value + sign * (far := 0.01 * 1.7**k), 25) <= limit:
            near, k = far, k + 1
        for _ in range(15):
            middle = (near + far) / 2
            beyond = -sign * plain_t(b, c, p, value + sign * middle, 25) > limit
            near, far = (near, middle) if beyond else (middle, far)
        bounds.append(value + sign * near)
    return value, bounds[0], bounds[1], factor


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("seed", [1, 2])
def test_interval_equals_the_formula_written_out(seed, p):
    b, c = side(seed), side(seed + 100, factor=0.6)
    found = pbs_ar(b, c, p)
    value, low, high, factor = plain_interval(b, c, p)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.variance_factor == pytest.approx(factor, rel=1e-9)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_trial_statistic_equals_the_formula_far_from_the_estimate_too():
    b, c = side(1), side(2, "incid", factor=1.3)
    trials = np.array([-5.0, -1.0, -0.3, 0.0, 0.07, 0.9, 4.0])
    for p in (0.1, 0.5, 0.99):
        found = paired(b, c).t(np.full(len(trials), p), trials)
        assert found == pytest.approx([plain_t(b, c, p, d) for d in trials], rel=1e-6)


def test_many_equals_one_by_one():
    b, c = side(1), side(2)
    assert pbs_ar_many(b, c, PS) == [pbs_ar(b, c, p) for p in PS]


def test_identical_data_give_a_ratio_of_one_and_no_doubt():
    b = side(1)
    for found in pbs_ar_many(b, b, PS):
        assert found.value == 0.0
        assert found.variance_factor == 1.0
        assert found.low <= 0.0 <= found.high
        assert found.high - found.low < 1e-5
        assert paired(b, b).t(np.array([found.p]), np.array([0.0]))[0] == 0.0


def test_exactly_doubled_latencies_are_a_ratio_of_two():
    slow, fast = side(1, factor=2.0), side(1)
    found = pbs_ar(slow, fast, 0.9)
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert found.low == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("scenario", ["ar10", "incid"])
def test_swapping_the_sides_mirrors_everything(scenario):
    b, c = side(1, scenario), side(2, scenario, factor=0.7)
    for one, other in zip(pbs_ar_many(b, c, PS), pbs_ar_many(c, b, PS), strict=True):
        assert other.value == -one.value
        assert other.low == pytest.approx(-one.high, abs=1e-9)
        assert other.high == pytest.approx(-one.low, abs=1e-9)
        assert other.n_effective == pytest.approx(one.n_effective[::-1])


def test_a_tail_of_too_few_episodes_is_an_infinite_bound_with_its_reason():
    calm = np.exp(np.random.default_rng(7).normal(0, 0.5, (12, 300)))
    calm[5, :200] *= 50  # one incident holds the whole tail
    b = BlockHistograms.from_values(calm.ravel(), np.repeat(np.arange(12), 300), blocks=12)
    found = pbs_ar(b, lognormal(1), 0.99)
    assert math.isinf(found.low) or math.isinf(found.high)
    assert found.reason is ReasonCode.TOO_FEW_TAIL_EPISODES
    assert found.tail_episodes < 2
    assert pbs_ar(b, lognormal(1), 0.5).reason is None


def test_fewer_than_eight_filled_blocks_give_no_bound():
    b, c = lognormal(1), lognormal(2)
    hollow = b.take(np.arange(7)).regroup(np.arange(7), blocks=12)
    found = pbs_ar(hollow, c, 0.5)
    assert (found.low, found.high, found.blocks) == (-math.inf, math.inf, 7)
    assert found.reason is ReasonCode.TOO_FEW_BLOCKS
    assert math.isfinite(found.value)
    assert p_value_less(hollow, c, 0.5, 9.0) == 1.0
    assert math.isfinite(pbs_ar(b.take(np.arange(8)), c.take(np.arange(8)), 0.5).low)


def test_nothing_at_all_is_said_not_raised():
    none = BlockHistograms.empty(12)
    for pair in ((none, lognormal(1)), (lognormal(1), none), (none, none)):
        found = pbs_ar(*pair, 0.5)
        assert math.isnan(found.value)
        assert (found.low, found.high) == (-math.inf, math.inf)
        assert found.reason is ReasonCode.NO_DATA


def test_unequal_block_counts_cannot_pair():
    with pytest.raises(HistogramMismatchError, match="12 baseline blocks cannot pair with 8"):
        pbs_ar(lognormal(1), lognormal(2, blocks=8), 0.5)


def test_coarser_side_sets_the_scale():
    found = pbs_ar(lognormal(1).downscale(3), lognormal(2), 0.5)
    assert found.low < 0.0 < found.high


# -- censoring ------------------------------------------------------------------------------


def test_infinite_candidate_quantile_bounds_the_ratio_from_above_only():
    found = pbs_ar(lognormal(1), lognormal(2, infinite=0.05), 0.99)
    assert found.value == -math.inf
    assert found.low == -math.inf
    assert found.high < -0.3  # the largest finite latency is far above the baseline's p99
    assert found.reason is ReasonCode.CENSORED
    assert p_value_less(lognormal(1), lognormal(2, infinite=0.05), 0.99, 0.0) < 0.025
    assert p_value_greater(lognormal(1), lognormal(2, infinite=0.05), 0.99, -9.0) == 1.0


def test_infinite_baseline_quantile_bounds_the_ratio_from_below_only():
    b, c = lognormal(1, infinite=0.05), lognormal(2)
    found, mirrored = pbs_ar(b, c, 0.99), pbs_ar(c, b, 0.99)
    assert found.value == math.inf
    assert found.high == math.inf
    assert found.low == pytest.approx(-mirrored.high, abs=1e-9)
    assert p_value_greater(b, c, 0.99, 0.0) < 0.025


def test_a_known_timeout_sharpens_the_one_sided_bound():
    b, c = lognormal(1), lognormal(2, infinite=0.05)
    usual, sharp = (pbs_ar(b, c, 0.99, ceiling_log2=x) for x in (None, math.log2(30.0)))
    assert sharp.high < usual.high
    assert sharp.high == pytest.approx(b.log2_quantile(0.99) - math.log2(30.0), abs=0.1)


def test_a_share_just_over_the_quantile_does_not_bound_it():
    """Whether the p99 is infinite is itself uncertain when about 1 % never completed."""
    b, c = lognormal(1), lognormal(2, infinite=0.0103)
    assert pbs_ar(b, c, 0.99).value == -math.inf
    assert pbs_ar(b, c, 0.99).high > -0.5


def test_both_sides_infinite_say_nothing():
    found = pbs_ar(lognormal(1, infinite=0.2), lognormal(2, infinite=0.2), 0.9)
    assert math.isnan(found.value)
    assert (found.low, found.high, found.reason) == (-math.inf, math.inf, ReasonCode.BOTH_CENSORED)


def test_few_infinite_requests_leave_lower_quantiles_alone():
    b = lognormal(1)
    clean, failing = lognormal(2), lognormal(2, infinite=0.02)
    p50 = pbs_ar(b, failing, 0.5)
    assert p50.reason is None
    assert p50.value == pytest.approx(pbs_ar(b, clean, 0.5).value, abs=0.05)
    assert p50.value < pbs_ar(b, clean, 0.5).value  # failures count as slow, never as absent


def test_zero_latencies_are_an_infinite_ratio_bounded_below():
    zeros = BlockHistograms.from_values(np.zeros(4800), np.arange(4800) % 12, blocks=12)
    mixed = lognormal(2).merge(zeros)
    found = pbs_ar(lognormal(1), mixed, 0.2)
    assert found.value == math.inf
    assert found.high == math.inf
    assert math.isfinite(found.low)


# -- p-values -------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["ar10", "incid"])
def test_p_values_agree_with_the_interval(scenario):
    b, c = side(5, scenario), side(6, scenario, factor=0.5)
    for p in (0.5, 0.9):
        found = pbs_ar(b, c, p)
        assert p_value_less(b, c, p, found.high) == pytest.approx(0.025, rel=1e-2)
        assert p_value_greater(b, c, p, found.low) == pytest.approx(0.025, rel=1e-2)
        assert p_value_less(b, c, p, found.value) == pytest.approx(0.5, abs=1e-6)
        assert p_value_less(b, c, p, found.high + 0.05) < 0.025
        assert p_value_less(b, c, p, found.high - 0.02) > 0.025


def test_a_placebo_threshold_widens_interval_and_p_value_alike():
    b, c = side(5), side(6)
    usual, wide = pbs_ar(b, c, 0.9), pbs_ar(b, c, 0.9, critical=4.0)
    assert wide.low < usual.low < usual.high < wide.high
    assert p_value_less(b, c, 0.9, wide.high, critical=4.0) == pytest.approx(0.025, rel=1e-2)


def test_effective_numbers_shrink_with_clumping():
    calm, bursty = pbs_ar(side(1, "iid"), side(2, "iid"), 0.5), pbs_ar(side(1), side(2), 0.5)
    assert calm.deff < 4 < bursty.deff
    assert bursty.n_effective[0] == pytest.approx(bursty.requests[0] / bursty.deff)
    assert calm.n_effective[0] <= calm.requests[0]


# -- one seeded smoke case: the slow suite measures rates ------------------------------------


def test_unchanged_traffic_is_mostly_left_alone():
    missed = 0
    for seed in range(20):
        for found in pbs_ar_many(side(seed + 300), side(seed + 400), PS):
            missed += found.low > 0 or found.high < 0
    assert missed <= 8  # 60 intervals at a nominal 5 %: 8 or fewer in 99.3 % of cases


def test_twice_as_fast_is_seen():
    found = pbs_ar(
        side(31, hours=24, blocks=24, rate=100), side(32, hours=24, blocks=24, factor=0.5), 0.9
    )
    assert found.low < 1.0 < found.high
    assert found.high - found.low < 0.3
