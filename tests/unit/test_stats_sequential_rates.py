"""The beta-binomial sequence: exact mixture, valid bounds, addable counts."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from nibai.stats.sequential_rates import RateSequence, Trials, share_interval

LIMIT = math.log(20)


def test_the_mixture_is_the_likelihood_averaged_over_the_prior():
    trials = Trials(3, 40)
    angle = (np.arange(200_000) + 0.5) / 200_000 * math.pi / 2
    share = np.sin(angle) ** 2  # Jeffreys' prior is uniform in this angle
    average = np.mean(share**3 * (1 - share) ** 37)
    assert trials.log_mixture() == pytest.approx(math.log(average), rel=1e-6)


@pytest.mark.parametrize("trials", [Trials(0, 50), Trials(3, 40), Trials(40, 40)])
def test_the_interval_ends_where_the_share_is_rejected(trials):
    low, high = share_interval(trials)
    assert 0.0 <= low <= trials.share <= high <= 1.0
    for end in (low, high):
        if 0 < end < 1:
            gain = trials.log_mixture() - trials.log_likelihood(end)
            assert gain == pytest.approx(LIMIT, rel=1e-3)


def test_no_requests_bound_nothing():
    assert share_interval(Trials()) == (0.0, 1.0)
    assert RateSequence().look(0, Trials(), Trials(1, 9)).confidence_set() == (-1.0, 1.0)


def test_the_difference_is_tested_at_the_base_rate_that_suits_it_best():
    sequence = RateSequence().look(0, Trials(10, 1000), Trials(30, 1000))
    shares = np.linspace(1e-6, 0.1, 100_001)
    for difference in (0.0, 0.01, -0.005):
        b = shares[shares + difference > 0]
        c = b + difference
        joint = 10 * np.log(b) + 990 * np.log1p(-b) + 30 * np.log(c) + 970 * np.log1p(-c)
        mixture = sequence.baseline.log_mixture() + sequence.candidate.log_mixture()
        assert sequence.log_e(difference) == pytest.approx(mixture - joint.max(), abs=1e-6)
    for end in sequence.confidence_set():
        assert sequence.log_e(end) == pytest.approx(LIMIT, rel=1e-3)


def test_one_sided_evidence_counts_only_on_its_side():
    sequence = RateSequence().look(0, Trials(10, 1000), Trials(80, 1000))
    assert sequence.log_e_value(0.01, above=True) > LIMIT
    assert sequence.log_e_value(0.01, above=False) == -math.inf
    assert sequence.low > 0.01


def test_no_failures_at_all_bound_the_difference_by_their_number():
    few = RateSequence().look(0, Trials(0, 100), Trials(0, 100))
    many = RateSequence().look(0, Trials(0, 100_000), Trials(0, 100_000))
    assert few.high > 0.03
    assert many.high < 0.0003
    assert many.low == pytest.approx(-many.high, rel=1e-3)


def test_reading_a_block_again_changes_nothing_and_counts_add_up():
    once = RateSequence().look(0, Trials(1, 100), Trials(2, 100))
    assert once.look(0, Trials(50, 100), Trials(0, 100)) is once
    twice = once.look(1, Trials(3, 50), Trials(0, 50))
    assert (twice.baseline, twice.candidate) == (Trials(4, 150), Trials(2, 150))
    joined = RateSequence().look(1, Trials(4, 150), Trials(2, 150))
    assert joined.low <= twice.low
    assert twice.high <= joined.high
    assert Trials(1, 2).merge(Trials(3, 4)) == Trials(3, 4).merge(Trials(1, 2)) == Trials(4, 6)
    state = json.loads(json.dumps(asdict(twice)))
    sides = {name: Trials(**state.pop(name)) for name in ("baseline", "candidate")}
    assert RateSequence(**state, **sides) == twice


@pytest.mark.parametrize(("before", "after"), [(0.02, 0.02), (0.002, 0.01)])
def test_independent_failures_are_covered_at_all_times_together(before, after):
    rng = np.random.default_rng(21)
    missed = 0
    for _ in range(40):
        sequence = RateSequence()
        for number in range(12):
            b, c = (Trials(int(rng.binomial(1200, share)), 1200) for share in (before, after))
            sequence = sequence.look(number, b, c)
        missed += not sequence.low <= after - before <= sequence.high
    assert missed / 40 <= 0.05
