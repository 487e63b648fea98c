"""A series followed from block to block: learned, alarmed once, learned anew."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.series import ar1_noise

from nibai.stats.series_watch import Readings, SeriesWatch

WEEK = 672  # blocks of 15 minutes
FIRST = 4 * 1000
THRESHOLD = 3 * 2880.0


def readings(seed, blocks, *, rhythm=0.0, shift=0.0, at=None, failing=0.0, later=None):
    rng = np.random.default_rng([20261126, seed])
    at = blocks if at is None else at
    level = 0.1 * ar1_noise(rng, 2, blocks, 0.5)
    level += rhythm * np.sin(2 * np.pi * np.arange(FIRST, FIRST + blocks) / 96)
    level[:, at:] += shift
    requests = rng.poisson(600, blocks)
    share = np.where(np.arange(blocks) < at, failing, failing if later is None else later)
    return Readings(FIRST, 900.0, level, rng.binomial(requests, share), requests)


def looks(given, size):
    """The same readings, seen a few blocks at a time through stored states."""
    state, found = SeriesWatch(FIRST), []
    for end in [*range(FIRST + 1, given.end, size), given.end]:
        state, raised = state.advance(given.cut(min(state.cursor, end), end), THRESHOLD)
        found += raised
        state = SeriesWatch.from_plain(json.loads(json.dumps(state.to_plain())))
    return state, tuple(found)


@pytest.mark.parametrize("size", [3, 5000])
def test_many_small_looks_are_one_large_look(size):
    given = readings(1, 1500, shift=0.2, at=1200)
    once, found = SeriesWatch(FIRST).advance(given, THRESHOLD)
    assert {raised.view for raised in found} <= {"p50", "p99"}
    assert abs(found[0].start - (FIRST + 1200)) <= 12
    assert found[0].start <= found[0].at <= found[0].start + 40
    again, told = looks(given, size)
    assert (told, again.cursor) == (found, once.cursor)
    assert once.detector is None
    assert once.cursor % 4 == 0
    assert once.cursor > found[-1].at


def test_the_new_level_is_learned_after_an_alarm():
    given = readings(2, 2200, shift=0.4, at=1000)
    state, found = SeriesWatch(FIRST).advance(given, THRESHOLD)
    assert len({raised.at for raised in found}) == 1
    assert state.detector is not None
    assert state.detector.baseline.median[0] > 0.3


@pytest.mark.parametrize("series", [3, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rhythm", [0.0, 0.5])
def test_unchanged_series_stay_quiet(rhythm, series):
    """Series for 30 days at one false alarm of a stream in 90 days: one each expected at most."""
    alarms = [
        SeriesWatch(FIRST).advance(
            readings(100 + i, WEEK + 2880, rhythm=rhythm, failing=0.001), THRESHOLD
        )[1]
        for i in range(series)
    ]
    assert sum(len(found) for found in alarms) <= series + 2 * series**0.5


def test_rare_failures_that_become_common_are_an_alarm():
    given = readings(3, 1000, failing=0.001, at=900, later=0.01)
    _, found = SeriesWatch(FIRST).advance(given, THRESHOLD)
    assert [raised.view for raised in found] == ["errors"]
    assert abs(found[0].start - (FIRST + 900)) <= 2


def test_first_failures_are_an_alarm_only_when_they_last():
    given = readings(4, 1000)
    once = given.failed.copy()
    once[900] = 3
    assert SeriesWatch(FIRST).advance(replace(given, failed=once), THRESHOLD)[1] == ()
    once[900:] = 6
    _, found = SeriesWatch(FIRST).advance(replace(given, failed=once), THRESHOLD)
    assert [raised.view for raised in found] == ["errors"]


def test_less_than_a_week_is_learned_and_a_thin_week_is_skipped():
    given = readings(5, 600)
    assert SeriesWatch(FIRST).advance(given, THRESHOLD)[0].cursor == FIRST
    thin = readings(6, WEEK + 10)
    thin = replace(thin, quantiles=thin.quantiles * np.nan, requests=np.minimum(thin.requests, 5))
    state, _ = SeriesWatch(FIRST).advance(thin, THRESHOLD)
    assert (state.cursor, state.detector) == (FIRST + WEEK, None)


def test_a_week_of_silence_is_followed_by_learning():
    given = readings(7, 3 * WEEK)
    quantiles, requests = given.quantiles.copy(), given.requests.copy()
    quantiles[:, WEEK + 50 : 2 * WEEK + 80], requests[WEEK + 50 : 2 * WEEK + 80] = np.nan, 0
    silent = replace(given, quantiles=quantiles, requests=requests)
    state, found = SeriesWatch(FIRST).advance(silent, THRESHOLD)
    assert (found, state.detector) == ((), None)
    assert state.cursor == FIRST + 2 * WEEK + 80
