"""Throughput: completed requests per second of runs, never of live traffic."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change, live, lognormal, runs

from analyzers.throughput import Throughput
from nibai.model import ReasonCode, Verdict


def judged(claim, comparison):
    (finding,) = Throughput().analyze(change(claim), Given(latency=comparison))
    return finding


def completing(counts, seed=0):
    return [lognormal(seed + i, n) for i, n in enumerate(counts)]


BEFORE = completing([400, 410, 395, 405, 402, 398])


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ([800, 830, 790, 815, 805, 799], Verdict.CONFIRMED),
        ([500, 510, 495, 505, 502, 498], Verdict.REFUTED),
        ([500, 700, 610, 580, 690, 555], Verdict.INCONCLUSIVE),
    ],
)
def test_the_rate_is_told_from_the_promised_one(counts, verdict):
    finding = judged("1.5x more throughput", runs(BEFORE, completing(counts, 50)))
    assert finding.verdict is verdict
    assert finding.estimate.value == pytest.approx(np.mean(counts) / 401.7, rel=0.02)
    assert finding.evidence.replicas == (6, 6)


def test_failed_requests_do_not_count_as_completed():
    after = completing([800] * 6, 50)
    for values in after:
        values[::2] = np.inf
    finding = judged("1.5x more throughput", runs(BEFORE, after))
    assert finding.verdict is Verdict.REFUTED
    assert finding.estimate.value == pytest.approx(1.0, rel=0.02)


def test_one_run_per_side_settles_nothing_but_is_shown():
    finding = judged("1.5x more throughput", runs(BEFORE[:1], completing([1600], 50)))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.ONE_RUN_PER_SIDE
    assert finding.estimate.value == pytest.approx(4.0, rel=0.02)


@pytest.mark.parametrize(
    ("comparison", "code", "said"),
    [
        (live(lognormal(1, 500), lognormal(2, 500)), ReasonCode.SIDES_DIFFER, "in live traffic"),
        (
            replace(runs(BEFORE, BEFORE), clock=False),
            ReasonCode.SIDES_DIFFER,
            "without a time column there is no rate: give --time COLUMN",
        ),
        (
            runs(BEFORE, completing([19, 400])),
            ReasonCode.TOO_FEW_REQUESTS,
            "a run needs at least 20 completed requests to have a rate, the shortest has 19",
        ),
    ],
)
def test_what_has_no_rate_is_said(comparison, code, said):
    finding = judged("1.5x more throughput", comparison)
    assert finding.reason.code is code
    assert finding.reason.text.startswith(said)
    assert finding.estimate is None


def test_no_data_is_inconclusive():
    (finding,) = Throughput().analyze(change("1.5x more throughput"), Given())
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.NO_DATA


def test_one_run_against_three_shows_rates_and_not_sums():
    equal = [lognormal(i, 800) for i in range(4)]
    finding = judged("1x more throughput", runs(equal[:1], equal[1:]))
    assert finding.reason.code is ReasonCode.ONE_RUN_PER_SIDE
    assert finding.estimate.value == pytest.approx(1.0, abs=0.01)  # it was 3
