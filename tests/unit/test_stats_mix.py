"""Like for like: known mixes, common support, coverage and the Simpson flag."""

import math

import numpy as np
import pytest
from support.simulator import LONG_MIX, SHORT_MIX, SIMPSON_MIX, simulate_segments

from nibai.histogram import BlockHistograms, merge
from nibai.stats.mix import analyse_mix, decompose, opposite_signs
from nibai.stats.ratio import pbs_ar
from nibai.stats.score import standardised_table
from nibai.stats.shares import Scope, common_support, scope_of, shares
from nibai.stats.standardised import standardised

PS = (0.5, 0.9, 0.99)


def traffic(seed, **options):
    return simulate_segments(np.random.default_rng([4031, seed]), **options)


def flat(median, n, *, blocks=12, seed=0):
    rng = np.random.default_rng([4032, seed])
    values = median * np.exp(rng.normal(0, 0.3, n))
    return BlockHistograms.from_values(values, np.arange(n) % blocks, blocks=blocks)


def plain_scores(segments, weights, p, x):
    """u_g(x) of section 8, written out."""
    blocks = next(iter(segments.values())).blocks
    u = np.full(blocks, p)
    for name, weight in weights.items():
        h = segments[name]
        n = h.n.sum()
        share = h.cumulative_at(x).sum() / n
        u += -weight * share + weight * blocks / n * (share * h.n - h.cumulative_at(x))
    return u


def test_scores_equal_the_formula_written_out():
    side = traffic(1)
    weights = shares(traffic(2, mix=LONG_MIX), list(side))
    table = standardised_table(side, weights)
    for x in (-4.0, -1.3, 0.0, 2.1):
        position = np.array([x * 2**table.scale - table.offset])
        assert table.score_at(np.array([0.9]), position)[0] == pytest.approx(
            plain_scores(side, weights, 0.9, x), abs=1e-12
        )


def test_simpson_all_segments_slower_while_raw_looks_faster():
    found = analyse_mix(traffic(1), traffic(2, mix=SIMPSON_MIX, factor=1.1), PS)
    for each, raw_least in zip(found, (1.3, 1.6, 1.15), strict=True):
        terms = each.decomposition
        assert 2**terms.raw > raw_least
        assert 2**terms.like_for_like == pytest.approx(1 / 1.1, rel=0.06)  # p99: half-width 4 %
        assert terms.simpson
        assert each.like_for_like.high < 0  # "not slower" is refuted like for like
        assert terms.scope is Scope.ALL_TRAFFIC


def test_a_shift_of_the_mix_alone_is_no_change_like_for_like():
    for each in analyse_mix(traffic(3), traffic(4, mix=SHORT_MIX), PS):
        terms = each.decomposition
        assert terms.raw > 0.3
        assert terms.mix == pytest.approx(terms.raw, abs=0.06)
        assert each.like_for_like.low < 0 < each.like_for_like.high
        assert each.raw.low > 0
        assert not terms.orders_disagree or abs(terms.like_for_like) < 0.05


def test_terms_telescope_to_the_raw_ratio():
    for each in analyse_mix(traffic(5), traffic(6, mix=LONG_MIX, factor=0.5), PS):
        t = each.decomposition
        assert abs(t.raw - (t.like_for_like + t.load + t.mix + t.support)) < 1e-12
        own = t.raw - t.support
        assert abs(own - (t.reverse_like_for_like + t.reverse_mix)) < 1e-12
        assert t.raw == each.raw.value
        assert t.like_for_like == pytest.approx(each.like_for_like.value, abs=1e-9)
        assert t.shapley_like_for_like == pytest.approx(1.0, abs=0.1)


def test_thin_segments_leave_the_support_and_are_a_term():
    b = {"a": flat(0.1, 2400), "rare": flat(5.0, 96, seed=1), "gone": flat(1.0, 600, seed=2)}
    c = {"a": flat(0.1, 2400, seed=3), "rare": flat(0.1, 1200, seed=4), "new": flat(1.0, 120)}
    terms = decompose(b, c, 0.9)
    assert terms.kept == ("a",)
    assert terms.coverage == pytest.approx((2400 / 3096, 2400 / 3720))
    assert terms.scope is Scope.KEPT_SEGMENTS
    assert terms.support == pytest.approx(terms.raw - terms.like_for_like, abs=1e-12)
    assert terms.mix == 0.0
    assert decompose(b, c, 0.9, min_requests=96).kept == ("a", "rare")


def test_no_common_segment_leaves_only_the_raw_ratio():
    b, c = {"a": flat(0.2, 2400)}, {"b": flat(0.1, 2400)}
    (found,) = analyse_mix(b, c, [0.5])
    assert found.like_for_like is None
    assert found.decomposition.raw == pytest.approx(1.0, abs=0.1)
    assert math.isnan(found.decomposition.like_for_like)
    assert found.decomposition.scope is Scope.NOTHING
    assert standardised(b, c) is None


def test_one_segment_agrees_with_the_raw_interval_exactly():
    b, c = {"": flat(0.2, 2400)}, {"": flat(0.1, 2400, seed=1)}
    (found,) = analyse_mix(b, c, [0.9])
    assert found.raw == found.like_for_like == pbs_ar(b[""], c[""], 0.9)
    assert not found.decomposition.simpson


def test_own_mix_on_both_sides_standardises_to_the_pooled_ratio():
    b = traffic(7)
    pair = standardised(b, b)
    for p in PS:
        assert pair.estimate(p) == 0.0
        assert pair.baseline.log2_quantile(p) == pytest.approx(
            float(merge(b.values()).log2_quantile(p)), abs=1e-9
        )


def test_swapping_sides_mirrors_when_the_weights_are_held():
    b, c = traffic(8), traffic(9, mix=LONG_MIX)
    weights = shares(b, list(b))
    for p in PS:
        one = standardised(b, c, weights=weights).intervals([p])[0]
        other = standardised(c, b, weights=weights).intervals([p])[0]
        assert other.value == -one.value
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-9)
        assert decompose(c, b, p).raw == -decompose(b, c, p).raw


def test_mixed_scales_are_brought_to_the_coarser():
    b, c = traffic(8), traffic(9)
    coarse = {**b, "size=s": b["size=s"].downscale(4)}
    assert standardised(coarse, c).intervals([0.5])[0].value == pytest.approx(
        standardised(b, c).intervals([0.5])[0].value, abs=0.02
    )


def test_infinite_quantiles_are_unknown_terms_not_errors():
    b = {"a": flat(0.2, 2400), "b": flat(0.4, 2400, seed=1)}
    lost = BlockHistograms.from_values(np.full(2400, np.inf), np.arange(2400) % 12, blocks=12)
    (found,) = analyse_mix(b, {"a": flat(0.2, 2400), "b": lost}, [0.9])
    assert math.isnan(found.decomposition.like_for_like)
    assert found.like_for_like.value == -math.inf
    assert math.isfinite(found.like_for_like.high)


def test_support_keeps_the_order_of_the_baseline():
    b = {"z": flat(1, 120), "a": flat(1, 120), "m": flat(1, 99)}
    assert common_support(b, dict(reversed(b.items()))) == ("z", "a")
    assert common_support({"e": BlockHistograms.empty(12)}, {"e": flat(1, 120)}, 0) == ()


@pytest.mark.parametrize(
    ("coverage", "scope"),
    [
        ((1.0, 0.9), Scope.ALL_TRAFFIC),
        ((1.0, 0.899), Scope.KEPT_SEGMENTS),
        ((0.5, 0.95), Scope.KEPT_SEGMENTS),
        ((0.49, 1.0), Scope.NOTHING),
    ],
)
def test_coverage_decides_what_may_be_said(coverage, scope):
    assert scope_of(coverage) is scope


def test_the_interval_flag_needs_both_sides_clear_of_one():
    fast, slow = (
        pbs_ar(flat(0.2, 2400), flat(0.1, 2400), 0.5),
        pbs_ar(flat(0.1, 2400), flat(0.2, 2400), 0.5),
    )
    none = pbs_ar(flat(0.1, 2400), flat(0.1, 2400, seed=1), 0.5)
    assert opposite_signs(fast, slow)
    assert opposite_signs(slow, fast)
    assert not opposite_signs(fast, none)
    assert not opposite_signs(fast, fast)


def test_noise_around_one_raises_no_flag():
    for seed in range(10):
        found = analyse_mix(
            traffic(seed + 40, minutes=480, blocks=8),
            traffic(seed + 60, minutes=480, blocks=8),
            [0.5, 0.9],
        )
        assert not any(each.decomposition.simpson for each in found)
