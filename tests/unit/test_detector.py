"""The online detector: alarms, gaps, awkward values, state that continues."""

import json

import numpy as np
import pytest
from support.series import ar1_noise, stepped

from nibai.stats.detector import RUN_LENGTH, Baseline, Detector, learn, watch

LEARN = 400


@pytest.fixture
def rng():
    return np.random.default_rng(20261126)


def run(detector, columns):
    alarms = []
    for column in columns:
        detector, raised = detector.advance(column)
        alarms += raised
    return detector, alarms


def test_it_learns_median_correlation_and_innovations(rng):
    normal = learn(3.0 + ar1_noise(rng, 2, 20_000, 0.6, heavy=False))
    assert normal.median == pytest.approx([3.0, 3.0], abs=0.1)
    assert normal.phi == pytest.approx([0.6, 0.6], abs=0.03)
    assert normal.sd == pytest.approx([0.8, 0.8], abs=0.02)


def test_a_change_is_noticed_and_its_start_located(rng):
    values = stepped(ar1_noise(rng, 4, 3000, 0.5), -2.0, 2500)
    values[0] += np.where(np.arange(3000) >= 2500, 2.0, 0.0)  # the first series is unchanged
    first = {alarm.series: alarm for alarm in reversed(watch(values)) if alarm.at >= 2500}
    assert set(first) == {1, 2, 3}
    assert all(alarm.at < 2550 and alarm.shift == -1 for alarm in first.values())
    assert abs(np.median([alarm.start for alarm in first.values()]) - 2500) <= 5


def test_a_higher_threshold_waits_longer(rng):
    values = stepped(ar1_noise(rng, 1, 4000, 0.5), 1.0, 2500)
    fast, slow = (watch(values, threshold=c)[0].at for c in (RUN_LENGTH, 1000 * RUN_LENGTH))
    assert fast < slow


def test_the_state_continues_through_json(rng):
    values = stepped(ar1_noise(rng, 3, 2000, 0.5), 1.5, 1500)
    begun = Detector.begin(learn(values[:, :LEARN]))
    _, whole = run(begun, values[:, LEARN:].T)
    half, early = run(begun, values[:, LEARN:1200].T)
    kept = Detector.from_plain(json.loads(json.dumps(half.to_plain())))
    _, late = run(kept, values[:, 1200:].T)
    assert whole
    assert [(a.series, a.at, a.start) for a in whole] == [
        (a.series, a.at, a.start) for a in [*early, *late]
    ]


def test_missing_blocks_are_bridged(rng):
    """Whitening over a gap uses the correlation that is left after it: no alarm from gaps."""
    noise = ar1_noise(rng, 50, 5000, 0.8)
    noise[:, 2500:2510] = np.nan
    noise[:, 2600::3] = np.nan
    assert len(watch(noise)) <= 50 * 3000 / RUN_LENGTH * 2.5
    changed = stepped(noise, 3.0, 3000)
    assert {alarm.series for alarm in watch(changed)} == set(range(50))


def test_a_series_without_a_learning_week_is_silent():
    values = np.full((1, 600), np.nan)
    values[:, 500:] = 9.0
    assert np.isnan(learn(values[:, :LEARN]).median).all()
    assert watch(values, learning=LEARN) == ()


def test_a_constant_series_alarms_at_the_first_steps_of_another_value():
    values = np.ones((1, 600))
    assert watch(values, learning=LEARN) == ()
    values[:, 500:] = 2.0
    (alarm, *_) = watch(values, learning=LEARN)
    assert (alarm.start, alarm.shift) == (500, 1)
    assert alarm.at < 504


def test_a_floor_keeps_the_grid_of_buckets_quiet():
    values = np.ones((1, 600))
    values[:, 500:] += 1 / 64
    normal = learn(values[:, :LEARN], floor=1 / 32)
    _, alarms = run(Detector.begin(normal), values[:, LEARN:540].T)
    assert alarms == []


def test_infinite_values_count_as_far_away(rng):
    values = ar1_noise(rng, 1, 700, 0.3)
    values[:, 50] = np.inf
    values[:, 600:] = np.inf
    (alarm, *_) = watch(values, learning=LEARN)
    assert abs(alarm.start - 600) <= 1
    assert alarm.shift == 1


def test_a_detector_starts_afresh_after_its_alarm():
    normal = Baseline(np.zeros(1), np.zeros(1), np.ones(1))
    detector, alarms = run(Detector.begin(normal), np.full((60, 1), 3.0))
    assert len(alarms) > 1
    assert alarms[1].start > alarms[0].at
    assert (detector.evidence < detector.threshold * 8).all()
