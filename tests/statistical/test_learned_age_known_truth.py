"""A watch that takes minutes at a learned age: what it decides, and how long after their end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.late_minutes import BLOCKS, watched_day

from nibai.stats.settling import HOUR

pytestmark = pytest.mark.slow

STREAM, REPETITIONS, OF_POWER = 20261128, 400, 100
PS = (0.5, 0.9)
ALLOWED = 0.05 + 2 * math.sqrt(0.05 * 0.95 / REPETITIONS)


def days(late_from, *, faster=0.0, learns=True, repetitions=REPETITIONS):
    """By quantile, the days; `late_from` makes the moment from which minutes are late."""
    rng = np.random.default_rng(STREAM)
    return [
        [
            watched_day(rng, p, faster=faster, late_from=late_from(rng), learns=learns)
            for _ in range(repetitions)
        ]
        for p in PS
    ]


def shares(found):
    return [sum(day.decided for day in each) / len(each) for each in found]


def said(found):
    return "/".join(f"{share:.1%}" for share in shares(found))


def never(_rng):
    return math.inf


def always(_rng):
    return 0.0


def suddenly(rng):
    return rng.uniform(0, BLOCKS * 1800.0)


def test_unchanged_traffic_that_is_never_late_is_decided_as_seldom_as_before(figure):
    found = days(never)
    figure(f"learned age, never late, R={REPETITIONS}: unchanged traffic decided {said(found)}")
    assert max(shares(found)) <= ALLOWED


def test_what_changed_is_told_a_quarter_of_an_hour_after_its_block(figure):
    quick, slow = (
        days(never, faster=0.3, learns=learns, repetitions=OF_POWER) for learns in (True, False)
    )
    waited = [
        np.quantile([d.waited_minutes for each in found for d in each if d.decided], (0.5, 1.0))
        for found in (quick, slow)
    ]
    figure(
        f"learned age, 1.23x faster, R={OF_POWER}: decided {said(quick)} (before {said(slow)}), "
        f"{waited[0][0]:.0f} minutes after the block (at most {waited[0][1]:.0f}), before "
        f"{waited[1][0]:.0f}"
    )
    assert waited[0].max() <= 20
    assert waited[1].min() >= 180
    assert shares(quick) == shares(slow)


def test_traffic_that_is_always_late_is_waited_for(figure):
    found = days(always)
    ages = {day.age_seconds for each in found for day in each if day.decided}
    figure(
        f"learned age, slowest twentieth up to 2 h late, R={REPETITIONS}: unchanged traffic "
        f"decided {said(found)}, at ages {ages}"
    )
    assert max(shares(found)) <= ALLOWED
    assert ages <= {2 * HOUR, None}


def test_traffic_that_is_suddenly_late_after_a_clean_week_is_noticed_in_time(figure):
    found = days(suddenly)
    figure(
        f"learned age, suddenly late after a clean week, R={REPETITIONS}: unchanged traffic "
        f"decided {said(found)}"
    )
    assert max(shares(found)) <= ALLOWED
