"""The block e-process: its formula, its state, and how rarely many looks are wrong."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from support.simulator import ar1

from nibai.stats.sequential import BlockSums, ConfidenceSequence, MixtureTest
from nibai.stats.whitening import clipped_correlation, history_correlation

LIMIT = math.log(20)
VALUES = [0.11, 0.07, 0.16, 0.12, 0.05, 0.14, 0.1, 0.09, 0.13, 0.15, 0.08, 0.12]


def by_the_book(values, theta, phi, alpha=0.05, n_star=24):
    """ln E_n as statistics.md writes it."""
    y = np.asarray(values) - theta
    e = (y[1:] - phi * y[:-1]) / (1 - phi)
    n, m = len(e), e.mean()
    s2 = e.var(ddof=1)
    t2, nu = n * m * m / s2, n - 1
    tau2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / n_star
    grown = 1 + n * tau2
    gain = math.log(1 + t2 / nu) - math.log(1 + t2 / (nu * grown))
    return -0.5 * math.log(grown) + (nu + 1) / 2 * gain


def looked(values, phi=0.3, first=0):
    sequence = ConfidenceSequence(MixtureTest(phi))
    for number, value in enumerate(values, start=first):
        sequence = sequence.look(number, value)
    return sequence


# -- formula ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.0, 0.4, 0.95])
@pytest.mark.parametrize("theta", [0.0, 0.1, 1.0])
def test_the_e_value_is_that_of_the_specification(phi, theta):
    found = MixtureTest(phi).log_e(BlockSums.of(VALUES), theta)
    assert found == pytest.approx(by_the_book(VALUES, theta, phi), rel=1e-9)


@pytest.mark.parametrize("phi", [0.0, 0.4, None])
def test_the_set_ends_where_the_e_value_reaches_one_over_alpha(phi):
    test, sums = MixtureTest(phi), BlockSums.of(VALUES)
    for end in test.confidence_set(sums):
        assert test.log_e(sums, end) == pytest.approx(LIMIT, rel=1e-6)
    assert test.log_e(sums, test.estimate(sums)) < 0


def test_one_sided_evidence_counts_only_on_its_side():
    sequence = looked(VALUES)
    assert sequence.log_e_value(0.0, above=True) == sequence.test.log_e(sequence.sums, 0.0) > LIMIT
    assert sequence.log_e_value(0.0, above=False) == -math.inf
    assert sequence.log_e_value(1.0, above=False) > LIMIT


def test_without_history_the_correlation_is_taken_around_theta():
    """Far from the values every deviation is alike: correlation, hence little evidence."""
    sums = BlockSums.of(VALUES)
    without, known = MixtureTest(None), MixtureTest(0.0)
    assert without.log_e(sums, 0.5) < known.log_e(sums, 0.5) / 2
    low, high = without.confidence_set(sums)
    inner = known.confidence_set(sums)
    assert low < inner[0] < inner[1] < high


def test_few_blocks_bound_nothing():
    widths = [looked(VALUES[:n]).high for n in range(9)]
    assert all(math.isinf(width) for width in widths[:8])
    assert math.isfinite(widths[8])


def test_the_same_data_on_both_sides_are_no_evidence_and_a_constant_ratio_is():
    same = looked([0.0] * 60)
    assert same.low <= 0.0 <= same.high
    assert same.log_e_value(0.0, above=True) == -math.inf
    twice = looked([1.0] * 20)
    assert twice.log_e_value(0.5, above=True) > LIMIT
    assert twice.low == pytest.approx(1.0)


@pytest.mark.parametrize("phi", [0.0, 0.4])
def test_the_wait_is_about_what_it_turns_out_to_be(phi):
    """Repeating the same blocks keeps mean and scatter: the evidence is enough where it says so."""
    test, few = MixtureTest(phi), BlockSums.of(VALUES)
    theta = 0.095
    needed = test.pairs_needed(few, theta)
    assert needed > few.pairs
    many = BlockSums.of(VALUES * 30)
    exact = next(
        n for n in range(2, 360) if test.log_e(BlockSums.of((VALUES * 30)[:n]), theta) > LIMIT
    )
    assert needed == pytest.approx(exact, rel=0.5)
    assert test.pairs_needed(many, test.estimate(many)) is None
    assert test.pairs_needed(BlockSums(), 0.0) is None


# -- state -----------------------------------------------------------------------------------


def test_reading_a_closed_block_again_changes_nothing():
    once = looked(VALUES)
    assert once.look(11, 5.0) is once
    assert once.look(3, -5.0) is once


@pytest.mark.parametrize("cut", range(1, 12))
def test_adjacent_stretches_merge_exactly(cut):
    left, right = BlockSums.of(VALUES[:cut]), BlockSums.of(VALUES[cut:], first=cut)
    whole = BlockSums.of(VALUES)
    merged = asdict(left.merge(right))
    assert merged == pytest.approx(asdict(whole), rel=1e-12)
    with pytest.raises(ValueError, match="overlap"):
        right.merge(left)
    assert BlockSums().merge(whole) == whole.merge(BlockSums()) == whole


def test_a_joined_stretch_is_one_look_and_stays_inside_what_was_known():
    before = looked(VALUES)
    later = [0.3 - value for value in VALUES]
    joined = before.join(BlockSums.of(later, first=12))
    every = before
    for number, value in enumerate(later, start=12):
        every = every.look(number, value)
    assert asdict(joined.sums) == pytest.approx(asdict(every.sums))
    rounding = 1e-12
    assert before.low <= joined.low <= every.low + rounding
    assert every.high - rounding <= joined.high <= before.high


def test_a_gap_costs_one_pair():
    sums = BlockSums.of([*VALUES[:5], math.nan, *VALUES[5:]])
    assert (sums.blocks, sums.pairs, sums.last) == (12, 10, 12)


def test_the_state_is_a_few_plain_numbers_at_any_length():
    sums = BlockSums.of(VALUES * 100)
    text = json.dumps(asdict(sums))
    assert len(text) < 300
    assert BlockSums(**json.loads(text)) == sums


# -- correlation from history ----------------------------------------------------------------


def test_correlation_is_learnt_from_six_pairs_of_days():
    rng = np.random.default_rng(3)
    phi = math.exp(-1 / 2)
    days = [ar1(rng, 48, 0.1, 2) for _ in range(30)]
    assert history_correlation(days) == pytest.approx(phi, abs=0.08)
    assert history_correlation(days[:5]) is None
    days[0][::2] = np.nan  # no two blocks follow each other
    assert history_correlation(days[:6]) is None


def test_a_day_that_differs_as_a_whole_counts_as_correlation():
    rng = np.random.default_rng(4)
    days = [rng.normal(offset, 0.02, 48) for offset in (-0.2, 0.2, 0.1, -0.1, 0.3, -0.3)]
    assert history_correlation(days) > 0.9


def test_days_that_differ_less_than_their_blocks_count_by_the_scatter_of_their_sums():
    rng = np.random.default_rng(4)
    alike = [ar1(rng, 48, 0.14, 2) for _ in range(7)]
    plain = history_correlation(alike)
    assert plain == pytest.approx(0.6, abs=0.05)
    offsets = (-0.09, 0.08, 0.04, -0.05, 0.1, -0.07, 0.02)
    apart = [day + offset for day, offset in zip(alike, offsets, strict=True)]
    assert 0.8 < history_correlation(apart) <= 0.95  # neighbours alone would say 0.7


def test_correlation_is_clipped():
    assert clipped_correlation(-0.5, 48) == 0.0
    assert clipped_correlation(0.99, 48) == 0.95


# -- error rates (the big simulations are in tests/statistical) --------------------------------


def ever_outside(rng, phi_true, truth, shift, *, repetitions, blocks):
    """Share of repetitions in which some look excluded `truth` (history: six pairs of days)."""
    outside = 0
    tau = -1 / math.log(phi_true) if phi_true else 1e-9
    for _ in range(repetitions):
        path = lambda: ar1(rng, 48, 0.1, tau)  # noqa: E731 - a name for one call
        phi = history_correlation([path() for _ in range(6)])
        sequence = ConfidenceSequence(MixtureTest(phi))
        for number, value in enumerate(ar1(rng, blocks, 0.1, tau) + shift):
            sequence = sequence.look(number, value)
        outside += not sequence.low <= truth <= sequence.high
    return outside / repetitions


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7])
def test_looking_at_every_block_of_a_day_is_rarely_wrong(phi):
    rate = ever_outside(np.random.default_rng(11), phi, 0.0, 0.0, repetitions=200, blocks=48)
    assert rate <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)


def test_a_difference_of_one_and_a_half_block_sd_is_found_within_a_day():
    rate = ever_outside(np.random.default_rng(12), 0.3, 0.0, 0.15, repetitions=60, blocks=48)
    assert rate >= 0.9
