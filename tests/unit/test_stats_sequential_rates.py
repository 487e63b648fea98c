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
    sides = {name: Trials(**state.pop(name)) for name in ("baseline", "candidate", "past")}
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


PAST = Trials(1000, 100_000)


def test_the_past_share_saves_requests_and_never_costs_many():
    """A rise from 1 % to 1.9 % against "at most 0.5pp": a third fewer; far from the past, 1 nat."""
    sides = {"baseline": Trials(180, 18_000), "candidate": Trials(342, 18_000)}
    plain, informed = RateSequence(**sides), RateSequence(**sides, past=PAST)
    assert informed.requests_needed(0.005) < 0.7 * plain.requests_needed(0.005)
    far = {"baseline": Trials(3600, 18_000), "candidate": Trials(5400, 18_000)}
    lost = RateSequence(**far).log_e(0.0) - RateSequence(**far, past=PAST).log_e(0.0)
    assert lost <= math.log(2) + 1e-9
    for unknown in (Trials(), Trials(0, 5000), Trials(7, 7)):
        assert RateSequence(**sides, past=unknown).log_e(0.0) == RateSequence(**sides).log_e(0.0)


def test_an_exact_rise_is_rarely_rejected_with_the_past_in_the_prior():
    """Evidence of 20 against the truth, at any of 48 looks: at most 5 % of days (R = 300)."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(300):
        baseline, candidate = Trials(), Trials()
        for _ in range(48):
            baseline = baseline.merge(Trials(int(rng.binomial(300, 0.01)), 300))
            candidate = candidate.merge(Trials(int(rng.binomial(300, 0.015)), 300))
            if RateSequence(0.95, baseline, candidate, past=PAST).log_e(0.005) >= math.log(20):
                wrong += 1
                break
    assert wrong / 300 <= 0.05


@pytest.mark.parametrize("difference", [0.005, 0.0])
def test_what_is_needed_is_what_rejects(difference):
    sides = {"baseline": Trials(100, 10_000), "candidate": Trials(190, 10_000)}
    found = RateSequence(**sides, past=PAST)
    needed = found.requests_needed(difference)
    at = [
        RateSequence(
            0.95, Trials(round(n * 0.01), n), Trials(round(n * 0.019), n), past=PAST
        ).log_e(difference)
        for n in (round(needed * 0.85), needed)
    ]
    assert at[0] < math.log(20)
    if needed > 10_000:
        assert at[1] >= math.log(20) - 0.05
    assert found.requests_needed(0.009) is None, "it is exactly so"
