"""What must hold for every pair of sides, whatever was counted."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nibai.histogram import SCALE, BlockHistograms, concatenate, merge
from nibai.model import Verdict
from nibai.stats.mix import analyse_mix, decompose
from nibai.stats.ratio import paired, pbs_ar, pbs_ar_many
from nibai.stats.replication import run_interval
from nibai.stats.score import pooled_table
from nibai.stats.shares import shares
from nibai.stats.standardised import standardised
from nibai.stats.verdict import Part, conjunction, decide, holm_rejects

BLOCKS = 8
STEP = 1 / 2**SCALE

# Intervals cost milliseconds each: a third of the usual examples, all of them in test-slow.
costly = settings(max_examples=settings().max_examples // 3)


@st.composite
def block_histograms(draw, *, infinite=True):
    """8 blocks with their own level, spread and size, sometimes with zeros and infinities."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.floats(0.01, 2.0))
    level = draw(st.floats(-8, 4)) + draw(st.floats(0, 1.5)) * rng.normal(size=BLOCKS)
    sizes = rng.poisson(draw(st.integers(3, 200)), BLOCKS) + 1
    block = np.repeat(np.arange(BLOCKS), sizes)
    values = np.exp2(level[block] + spread * rng.normal(size=len(block)))
    if infinite:
        values[rng.random(len(values)) < draw(st.sampled_from([0, 0, 0.02, 0.3]))] = np.inf
        values[rng.random(len(values)) < draw(st.sampled_from([0, 0, 0.05]))] = 0.0
    return BlockHistograms.from_values(values, block, blocks=BLOCKS)


quantile = st.sampled_from([0.05, 0.25, 0.5, 0.9, 0.95, 0.99])
sides = block_histograms()
finite_sides = block_histograms(infinite=False)


@given(sides, quantile)
def test_table_and_histogram_agree_on_every_quantile(side, p):
    assert pooled_table(side).log2_quantile(p) == pytest.approx(
        float(side.log2_quantile(p)), abs=1e-9
    )


@given(finite_sides, st.floats(0.001, 0.999))
def test_table_is_its_own_inverse(side, p):
    table = pooled_table(side)
    assert table.share_at(np.array([table.position(p)]))[0] == pytest.approx(p, abs=1e-9)


@costly
@given(sides, sides, quantile)
def test_swapping_inverts_the_ratio_exactly_and_mirrors_the_interval(b, c, p):
    one, other = pbs_ar(b, c, p), pbs_ar(c, b, p)
    assert other.value == -one.value or (math.isnan(one.value) and math.isnan(other.value))
    assert other.low == pytest.approx(-one.high, abs=2e-3)
    assert other.high == pytest.approx(-one.low, abs=2e-3)
    assert other.reason == one.reason


@costly
@given(sides, sides, quantile)
def test_the_interval_holds_its_estimate(b, c, p):
    found = pbs_ar(b, c, p)
    assert math.isnan(found.value) or found.low <= found.value <= found.high
    assert (found.reason is None) == (math.isfinite(found.low) and math.isfinite(found.high))
    assert 1.0 <= found.variance_factor <= 9.0 + 1e-9
    assert found.n_effective[0] <= found.requests[0]
    assert found.n_effective[1] <= found.requests[1]


@costly
@given(sides, sides, quantile)
def test_more_confidence_is_never_narrower(b, c, p):
    usual, wide = pbs_ar(b, c, p, level=0.9), pbs_ar(b, c, p, level=0.99)
    assert wide.low <= usual.low + 1e-9
    assert wide.high >= usual.high - 1e-9


@costly
@given(sides, quantile)
def test_identical_data_are_a_ratio_of_one(side, p):
    found = pbs_ar(side, side, p)
    assert found.value == 0.0 or math.isnan(found.value)
    assert found.low <= 0.0 <= found.high


@costly
@given(finite_sides, finite_sides, quantile, st.integers(-200, 200))
def test_scaling_one_side_shifts_everything_by_the_factor(b, c, p, steps):
    moved = BlockHistograms(b.scale, b.offset + steps, b.counts, b.zero, b.overflow)
    before, after = pbs_ar(b, c, p), pbs_ar(moved, c, p)
    shift = steps * STEP
    assert after.value == pytest.approx(before.value + shift, abs=1e-9)
    for one, other in ((before.low, after.low), (before.high, after.high)):
        assert other == pytest.approx(one + shift, abs=2e-3)


@costly
@given(sides, sides, quantile, st.integers(2, 5))
def test_splitting_and_merging_rows_changes_nothing(b, c, p, parts):
    portion = b.counts // parts
    slices = [portion] * (parts - 1) + [b.counts - portion * (parts - 1)]
    none = np.zeros_like(b.zero)
    pieces = [BlockHistograms(b.scale, b.offset, x, none, none) for x in slices]
    rest = BlockHistograms(b.scale, b.offset, np.zeros_like(b.counts), b.zero, b.overflow)
    assert repr(pbs_ar(merge([*pieces, rest]), c, p)) == repr(pbs_ar(b, c, p))


@costly
@given(sides, sides, quantile, st.floats(-7, 7))
def test_p_values_and_interval_never_contradict_each_other(b, c, p, threshold):
    found = pbs_ar(b, c, p)
    pair = paired(b, c)
    if found.high < threshold - 2e-3:
        assert pair.p_less(p, threshold) <= 0.0251
    if found.low > threshold + 2e-3:
        assert pair.p_greater(p, threshold) <= 0.0251
    if found.low < threshold - 2e-3 < found.high - 4e-3 and found.reason is None:
        assert pair.p_less(p, threshold) >= 0.0249
        assert pair.p_greater(p, threshold) >= 0.0249


@costly
@given(sides, sides)
def test_several_quantiles_at_once_equal_one_by_one(b, c):
    ps = (0.5, 0.9, 0.99)
    assert repr(pbs_ar_many(b, c, ps)) == repr([pbs_ar(b, c, p) for p in ps])


@costly
@given(st.lists(sides, min_size=1, max_size=4), st.lists(sides, min_size=1, max_size=4), quantile)
def test_the_decomposition_telescopes(some, others, p):
    b = {f"s={i}": side for i, side in enumerate(some)}
    c = {f"s={i}": side for i, side in enumerate(others)}
    terms = decompose(b, c, p, min_requests=30)
    raw = float(merge(b.values()).log2_quantile(p)) - float(merge(c.values()).log2_quantile(p))
    parts = (terms.like_for_like, terms.load, terms.mix, terms.support)
    if math.isfinite(raw):
        assert terms.raw == pytest.approx(raw, abs=1e-9)
    if all(math.isfinite(x) for x in (terms.raw, *parts)):
        assert abs(terms.raw - sum(parts)) < 1e-12
        reverse = terms.reverse_like_for_like + terms.reverse_mix + terms.support
        assert math.isnan(reverse) or abs(terms.raw - reverse) < 1e-12
    assert all(0 <= share <= 1 for share in terms.coverage)


@costly
@given(st.lists(finite_sides, min_size=2, max_size=4), quantile)
def test_with_weights_held_swapping_mirrors_like_for_like_too(some, p):
    b = {f"s={i}": side for i, side in enumerate(some)}
    c = {f"s={i}": side for i, side in enumerate(reversed(some))}
    weights = shares(b, list(b))
    one = standardised(b, c, min_requests=1, weights=weights).intervals([p])[0]
    other = standardised(c, b, min_requests=1, weights=weights).intervals([p])[0]
    assert other.value == -one.value
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=2e-3)


@costly
@given(
    st.lists(finite_sides, min_size=1, max_size=3), st.lists(finite_sides, min_size=3, max_size=3)
)
def test_the_like_for_like_interval_is_about_the_like_for_like_term(some, others):
    b = {f"s={i}": side for i, side in enumerate(some)}
    c = {f"s={i}": side for i, side in enumerate(others)}
    for found in analyse_mix(b, c, [0.5, 0.9], min_requests=30):
        if found.like_for_like is None:
            assert math.isnan(found.decomposition.like_for_like)
            continue
        terms = found.decomposition
        assert found.like_for_like.value == pytest.approx(terms.like_for_like, abs=1e-9)


@costly
@given(finite_sides, st.integers(2, 3))
def test_repeating_all_blocks_keeps_the_estimate(side, times):
    repeated = concatenate([side] * times)
    other = BlockHistograms(side.scale, side.offset + 7, side.counts, side.zero, side.overflow)
    assert pbs_ar(repeated, concatenate([other] * times), 0.5).value == pytest.approx(
        pbs_ar(side, other, 0.5).value, abs=1e-9
    )


numbers = st.lists(st.floats(-10, 10), min_size=2, max_size=8)


@given(numbers, numbers, st.floats(-20, 20))
def test_runs_confirm_or_refute_but_never_both(b, c, threshold):
    found = run_interval(b, c, matched=False)
    assert found.low <= found.value <= found.high
    decision = decide(found.low, found.high, threshold)
    if decision.verdict is Verdict.CONFIRMED:
        assert found.p_less(threshold) >= 0.5
    if decision.verdict is Verdict.REFUTED:
        assert found.p_less(threshold) <= 0.0251


verdicts = st.sampled_from([v for v in Verdict if v is not Verdict.PARTLY])
parts = st.builds(Part, verdicts, st.none() | st.floats(0, 1))


@given(st.lists(parts, min_size=1, max_size=6), st.randoms())
def test_the_order_of_parts_does_not_change_a_sentence(some, random):
    shuffled = some.copy()
    random.shuffle(shuffled)
    assert conjunction(some).verdict is conjunction(shuffled).verdict


@given(st.lists(parts, min_size=1, max_size=6))
def test_a_sentence_is_confirmed_only_by_all_and_refuted_only_by_one(some):
    found = conjunction(some).verdict
    assert (found is Verdict.CONFIRMED) == all(x.verdict is Verdict.CONFIRMED for x in some)
    if found is Verdict.REFUTED:
        assert any(x.verdict is Verdict.REFUTED for x in some)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_bonferroni_and_no_correction(p_values):
    for p, rejected in zip(p_values, holm_rejects(p_values, 0.05), strict=True):
        assert rejected or p > 0.05 / len(p_values)
        assert not rejected or p <= 0.05
