"""Many hypotheses: known answers, brute force, and what stays true whatever the numbers."""

from itertools import combinations

import numpy as np
import pytest

from nibai.stats.block_tails import lifted, typical_correlation
from nibai.stats.multiplicity import adjusted, e_bh, harmonic, largest_true


def stepped_up(p, q):
    """Benjamini-Hochberg as it is written: the largest k with p_(k) <= q k / N."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    last = max((k for k in range(1, len(p) + 1) if p[order[k - 1]] <= q * k / len(p)), default=0)
    return {order[i] for i in range(last)}


@pytest.mark.parametrize("seed", range(20))
def test_adjusted_p_values_reject_what_the_step_up_rejects(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(30) ** rng.integers(1, 6)
    for q in (0.01, 0.05, 0.2):
        assert set(np.flatnonzero(adjusted(p) <= q)) == stepped_up(p, q)
    assert np.all(adjusted(p, any_dependence=True) >= adjusted(p))


def test_any_dependence_costs_the_harmonic_number():
    p = [1e-4, 2e-3, 0.5]
    assert harmonic(3) == pytest.approx(11 / 6)
    assert adjusted(p, any_dependence=True)[0] == pytest.approx(adjusted(p)[0] * 11 / 6)


def test_nothing_at_all_and_one_alone():
    assert len(adjusted([])) == 0
    assert len(e_bh([], 0.05)) == 0
    assert largest_true([], 0.05) == 0
    assert adjusted([0.03]).tolist() == [0.03]
    assert e_bh(np.log([20.0]), 0.05).tolist() == [True]
    assert e_bh(np.log([19.9]), 0.05).tolist() == [False]


def test_e_bh_counts_from_the_largest_k_down():
    # The smallest of three needs 1000 / (0.05 * 3); then the two others are rejected with it.
    e = np.ones(1000)
    e[[3, 500, 900]] = 1000 / 0.15
    assert np.flatnonzero(e_bh(np.log(e), 0.05)).tolist() == [3, 500, 900]
    assert not e_bh(np.log(e * 0.99), 0.05).any()
    assert e_bh([np.inf, -np.inf], 0.05).tolist() == [True, False]


def simes_accepts(p, alpha):
    return all(value > (j + 1) * alpha / len(p) for j, value in enumerate(sorted(p)))


@pytest.mark.parametrize("seed", range(12))
def test_the_largest_set_that_simes_accepts_is_found_by_brute_force_too(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(9) ** rng.integers(1, 8)
    weights = rng.integers(1, 9, 9).astype(float)
    accepted = [
        chosen
        for size in range(1, 10)
        for chosen in combinations(range(9), size)
        if simes_accepts(p[list(chosen)], 0.1)
    ]
    assert largest_true(p, 0.1) == max((len(c) for c in accepted), default=0)
    heaviest = max((weights[list(c)].sum() for c in accepted), default=0.0)
    assert heaviest <= largest_true(p, 0.1, weights) <= heaviest + weights.max()


def test_equal_weights_count():
    p = np.random.default_rng(3).random(200) ** 5
    assert largest_true(p, 0.05, np.ones(200)) == largest_true(p, 0.05)


def test_correlation_of_a_fleet_is_recovered_from_clipped_estimates():
    rng = np.random.default_rng(5)
    for true in (0.0, 0.2, 0.5):
        r = np.clip(rng.normal(true, np.sqrt((1 - true**2) / 24), 2000), 0, 0.8)
        assert typical_correlation((1 + r) / (1 - r), 24) == pytest.approx(true, abs=0.08)
    mixed = np.clip(rng.normal(np.repeat([0.0, 0.6], 1000), 0.2), 0, 0.8)
    assert typical_correlation((1 + mixed) / (1 - mixed), 24) > 0.4, "spread between endpoints"
    assert typical_correlation([], 24) == 0.0


def test_lifted_p_values_are_never_smaller_and_keep_their_order():
    p = np.sort(np.random.default_rng(6).random(500) ** 4)
    for correlation in (0.0, 0.3, 0.8):
        found = lifted(p, correlation)
        assert np.all(found >= p)
        assert np.all(np.diff(found) >= 0)
        assert np.all(found <= 1)
