"""The calibration rule: thresholds from the past alone, tracker, gates, state."""

import dataclasses
import math

import numpy as np
import pytest

from nibai.model import ReasonCode
from nibai.stats.placebo import (
    HISTORY_WINDOWS,
    LEARNING_RATE,
    MAX_THETA,
    PlaceboState,
    Rule,
    calibrate,
    judged,
    sibling_reference,
    walk,
)

RULE = Rule(window=60)


def calm(size: int, seed: int = 1) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(size=size))


def base_by_hand(past: np.ndarray, rule: Rule) -> float:
    """Step 2 of the specification, word by word."""
    past = past[-HISTORY_WINDOWS * rule.lag :]
    sample = np.concatenate([rule.reference_sample(), past])
    mass = np.concatenate([np.full(100, 0.2), np.full(len(past), 1 / rule.lag)])
    total = mass.sum()
    wanted = min(1.0, (1 - rule.alpha) * (1 + 1 / total)) * total
    reached = 0.0
    for i in np.argsort(sample):
        reached += mass[i]
        if reached >= wanted - 1e-9:
            return max(float(sample[i]), rule.lowest)
    raise AssertionError


def test_thresholds_follow_the_formula_pair_by_pair():
    t = calm(400)
    valid = np.random.default_rng(2).random(400) > 0.2
    found = walk(t, RULE, valid)
    theta = 0.0
    for k in range(len(t)):
        j = k - 6
        if j >= 0 and valid[j]:
            missed = t[j] > found.base[j] * math.exp(found.theta[j])
            theta = min(max(theta + 0.3 / 6 * (missed - 0.05), 0.0), 1.5)
        past = t[: max(j + 1, 0)][valid[: max(j + 1, 0)]]
        assert found.base[k] == pytest.approx(base_by_hand(past, RULE))
        assert found.theta[k] == pytest.approx(theta, abs=1e-12)
        assert found.effective_windows[k] == pytest.approx(min(len(past), 240) / 6)
    assert found.critical == pytest.approx(found.base * np.exp(found.theta))


def test_without_history_the_reference_alone_decides():
    """At a total mass of 20 the share is 99.75 %: the reference's largest value."""
    found = walk([0.1], RULE)
    assert found.base[0] == pytest.approx(math.sqrt(2) * 2.5758, abs=1e-3)
    assert found.at(0, RULE).reason is ReasonCode.UNCALIBRATED_SHORT_HISTORY


def test_a_pair_and_the_five_before_it_never_move_its_threshold():
    t = calm(300)
    before = walk(t, RULE)
    for k in (6, 50, 299):
        changed = t.copy()
        changed[k - 5 :] = 50.0
        after = walk(changed, RULE)
        assert np.array_equal(before.critical[: k + 1], after.critical[: k + 1])
    changed = t.copy()
    changed[50 - 6] = 50.0
    assert walk(changed, RULE).critical[50] > before.critical[50]


def test_the_coming_pair_is_calibrated_as_the_walk_would():
    t = calm(300)
    valid = np.arange(300) % 7 != 0
    found = walk(t, RULE, valid)
    for k in (10, 30, 250):
        one = calibrate(t[: k - 5], RULE, valid[: k - 5])
        assert (one.critical, one.effective_windows) == pytest.approx(
            (found.critical[k], found.effective_windows[k])
        )


def test_invalid_pairs_are_as_if_they_had_never_been():
    t = calm(120)
    wild = t.copy()
    wild[40:60] = 1e6
    valid = np.ones(120, dtype=bool)
    valid[40:60] = False
    assert np.array_equal(walk(t, RULE, valid).critical, walk(wild, RULE, valid).critical)
    wild[40:60] = math.nan
    assert np.array_equal(walk(t, RULE, valid).critical, walk(wild, RULE).critical)


def test_tracker_widens_by_up_to_thirty_per_cent_and_nineteen_quiet_windows_undo_it():
    t = np.zeros(600)
    t[60:66] = 3.9  # one whole window beyond any threshold here
    found = walk(t, RULE)
    assert found.theta[65] == 0.0
    assert found.theta[71] == pytest.approx(LEARNING_RATE * 0.95)
    quiet = 19 * 6
    assert 0 < found.theta[71 + quiet - 1] < found.theta[71] / 10
    assert found.theta[71 + quiet] == pytest.approx(0.0, abs=1e-12)


def test_tracker_never_narrows_and_has_a_ceiling():
    assert walk(np.zeros(500), RULE).theta.max() == 0.0
    rising = 4.0 * 1.5 ** np.arange(300)
    assert walk(rising, RULE).theta.max() == MAX_THETA


def test_a_level_shift_in_the_history_costs_width_for_forty_windows_only():
    t = calm(900, seed=5)
    t[100:106] = 30.0
    found = walk(t, RULE)
    assert found.critical[120] > 3 > found.critical[-1]
    assert found.base[105 + 6 + 240] < found.base[105 + 6]


def test_thin_history_and_unstable_history_are_not_judged():
    rule = Rule(window=60, ceiling=9.45)
    few = calibrate(calm(23), rule)
    assert (few.effective_windows, few.reason) == (
        pytest.approx(23 / 6),
        ReasonCode.UNCALIBRATED_SHORT_HISTORY,
    )
    assert calibrate(calm(24), rule).reason is None
    wild = calibrate(np.full(300, 9.45), rule)
    assert wild.reason is ReasonCode.HISTORY_TOO_UNSTABLE
    found = judged(np.full(300, 9.45), walk(np.full(300, 9.45), rule), rule)
    assert not (found.changed & ~found.decided).any()
    assert (found.no_history.astype(int) + found.unstable + found.changed <= 1).all()
    assert found.no_history[:29].all()
    assert found.unstable[-1]


def test_infinite_statistics_leave_no_finite_threshold():
    """The pairs of a series that was flat before, for statistics without a largest value."""
    found = calibrate(np.full(200, math.inf), RULE)
    assert math.isinf(found.critical)
    assert found.reason is ReasonCode.HISTORY_TOO_UNSTABLE


def test_floor_is_that_of_independent_data():
    assert Rule(60).lowest == pytest.approx(1.96, abs=1e-3)
    assert calibrate(np.zeros(5000), Rule(60, floor=2.5)).base == 2.5
    assert Rule(60, alpha=0.05 / 3).lowest == pytest.approx(2.394, abs=1e-3)


def test_continuing_equals_recomputing():
    t = calm(350, seed=9) * np.linspace(1, 2, 350)
    valid = np.random.default_rng(3).random(350) > 0.15
    rule = Rule(window=12, floor=2.262, ceiling=40.0, lag=3)
    found = walk(t, rule, valid)
    state = PlaceboState(rule)
    for k in range(350):
        now, then = state.calibration(), found.at(k, rule)
        assert dataclasses.astuple(now)[:4] == pytest.approx(dataclasses.astuple(then)[:4])
        assert now.reason is then.reason
        state = state.advance(float(t[k]), valid=bool(valid[k]))
    assert len(state.history) <= 120
    assert len(state.pending) <= 3


def test_siblings_replace_the_reference_when_there_are_enough():
    bold = [2 * calm(60, seed) for seed in (1, 2, 3)]
    assert sibling_reference(bold[:2], RULE) is None
    assert sibling_reference([*bold[:2], calm(59)], RULE) is None
    reference = sibling_reference([*bold, np.full(600, math.nan)], RULE)
    assert reference is not None
    quantiles = [np.quantile(t, (np.arange(100) + 0.5) / 100) for t in bold]
    assert np.array_equal(reference, np.median(quantiles, axis=0))
    wider = calibrate(calm(60, 7), Rule(60, reference=reference))
    assert wider.base > calibrate(calm(60, 7), RULE).base
