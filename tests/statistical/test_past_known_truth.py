"""One hour against the same hour of the day before, calibrated on a week: statistics.md 19, row 2.

Each repetition is eight days of one unchanged endpoint. Beside the calibrated rate stand the rate
of Student's quantile on the same pairs, the share of unbounded intervals, the share of exact 1.3x
changes that are found, and how often anything else was said to have changed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.past import hour_pair, traffic
from support.rates import Rate, at_most, excludes, line, rates, unbounded

from analyzers.calibration import past_judgement, side_notes
from analyzers.sample import Sample
from nibai.claims import parse
from nibai.stats.past_judge import PastJudgement
from nibai.stats.student import critical_value

pytestmark = pytest.mark.slow

PS = (0.5, 0.9, 0.99)
STREAM = 20261126
ENDPOINTS = 200
CHANGE = math.log2(1.3)
TARGET = 0.10
(CLAIM,) = parse("not slower at p50").parts


def judged(seed, scenario):
    """(past judgement, calibrated interval, Student's interval) by quantile, and side notes."""
    sample = Sample(hour_pair(*traffic(seed, scenario, days=8.5)), None)
    pair = sample.like_for_like
    found = []
    for p in PS:
        past = past_judgement(sample, CLAIM, p, 0.95)
        assert isinstance(past, PastJudgement)
        critical = past.critical or math.inf
        calibrated, usual = (
            pair.intervals([p], critical=c)[0] for c in (critical, critical_value(0.95, 7))
        )
        found.append((past, calibrated, usual))
    return found, side_notes(sample, CLAIM, 0.5, 0.95)


@pytest.mark.parametrize("scenario", ["iid", "ar10", "ar60", "queue", "burstq", "incid"])
def test_an_unchanged_hour_stays_quiet_with_a_week_of_history(scenario, figure):
    runs = [judged([STREAM, len(scenario), r], scenario) for r in range(ENDPOINTS)]
    rows = [row for row, _ in runs]
    wrong = rates([[excludes(x, 0.0) for _, x, _ in row] for row in rows])
    figure(
        line(
            f"A/A {scenario} 1 h, a week of history, 30/min, R={ENDPOINTS}",
            calibrated=wrong,
            student=rates([[excludes(x, 0.0) for _, _, x in row] for row in rows]),
            unbounded=rates([[unbounded(x) for _, x, _ in row] for row in rows]),
            found_1_3x=rates([[excludes(x, CHANGE) for _, x, _ in row] for row in rows]),
            printed=[
                f"{100 * np.mean([row[i][0].rate.value for row in rows if row[i][0].rate]):.1f}"
                for i in range(len(PS))
            ],
            also_changed=[Rate(sum(bool(notes) for _, notes in runs), ENDPOINTS)],
        )
    )
    for p, rate in zip(PS, wrong, strict=True):
        at_most(rate, TARGET, f"calibrated false positives, {scenario} p{100 * p:g}")
