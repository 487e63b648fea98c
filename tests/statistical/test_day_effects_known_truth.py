"""Watched endpoints on which whole days differ, and noise that lasts for hours: an exact claim."""

import numpy as np
import pytest
from support.rates import Rate, at_most

from nibai.model import Verdict
from nibai.stats.block_values import BlockReading
from nibai.stats.following import FollowPlan, new_track
from nibai.stats.sequential_rates import Trials
from nibai.stats.whitening import history_correlation

pytestmark = pytest.mark.slow

REPETITIONS = 200
DAYS_BEFORE, DAYS_AFTER, A_DAY = 8, 7, 48
NOBODY = Trials(0, 500)


def ar1(rng, n, correlation, sd):
    steps = rng.normal(0, sd * np.sqrt(1 - correlation**2), n)
    found = np.empty(n)
    found[0] = rng.normal(0, sd)
    for i in range(1, n):
        found[i] = correlation * found[i - 1] + steps[i]
    return found


def log2_quantiles(rng, kind):
    """Half-hours of 15 days, shape (15, 48)."""
    days = DAYS_BEFORE + DAYS_AFTER
    slow = 0.97 if kind == "half a day" else 0.6
    series = ar1(rng, days * A_DAY, slow, 0.1) + rng.normal(0, 0.05, days * A_DAY)
    of_day = {"days by 5 %": 0.05 * np.log2(np.e), "days by 10 %": 0.1 * np.log2(np.e)}.get(kind, 0)
    return series.reshape(days, A_DAY) + rng.normal(0, 1, (days, 1)) * of_day


def watched(kind, repetition, faster=0.0):
    days = log2_quantiles(np.random.default_rng([31, repetition]), kind)
    before, after = days[:DAYS_BEFORE], days[DAYS_BEFORE:]
    phi = history_correlation(list(before[:-1] - before[1:]))
    track = new_track(
        FollowPlan(0, 0, 1800.0, side_by_side=False, phi=phi, placebos=7, threshold=0.0)
    )
    for day in range(DAYS_AFTER):  # each against an unused day further back
        for i, value in enumerate(before[-1 - day] - after[day] + faster):
            track = track.look(day * A_DAY + i, BlockReading(float(value), NOBODY, NOBODY))
    return track.verdict


@pytest.mark.parametrize("kind", ["alike", "days by 5 %", "days by 10 %", "half a day"])
def test_a_week_of_looks_at_an_exact_claim(kind, figure):
    """Decided at all is wrong. Neighbouring blocks alone: 6, 22, 15 and 41 %."""
    found = [watched(kind, r) for r in range(REPETITIONS)]
    decided = Rate(sum(one is not None for one in found), REPETITIONS)
    more = [watched(kind, r, faster=np.log2(1.1)) for r in range(REPETITIONS // 4)]
    power = Rate(sum(one is Verdict.CONFIRMED for one in more), REPETITIONS // 4)
    figure(f"a week of looks, {kind}: exact claim decided {decided} %, 10 % faster found {power} %")
    at_most(decided, 0.08, f"an exact claim decided, {kind}")
