"""Errors: shares of all requests, judged against the allowed rise."""

import numpy as np
import pytest
from support.comparisons import Given, change, live, lognormal, runs

from analyzers.errors import Errors
from nibai.model import ReasonCode, Verdict

N = 40_000


def with_failures(seed, share, n=N):
    values = lognormal(seed, n)
    failed = np.random.default_rng(seed + 1000).permutation(n)[: round(share * n)]
    values[failed] = np.inf
    return values


def judged(claim, comparison):
    (finding,) = Errors().analyze(change(claim), Given(latency=comparison))
    return finding


@pytest.mark.parametrize(
    ("after", "verdict"),
    [(0.010, Verdict.CONFIRMED), (0.030, Verdict.REFUTED), (0.015, Verdict.INCONCLUSIVE)],
)
def test_the_rise_is_told_from_the_allowed_one(after, verdict):
    finding = judged(
        "errors up at most 0.5pp", live(with_failures(1, 0.010), with_failures(2, after))
    )
    assert finding.verdict is verdict
    assert finding.estimate.value == pytest.approx(after - 0.010, abs=0.003)
    assert finding.estimate.low < finding.estimate.value < finding.estimate.high
    assert finding.evidence.threshold == pytest.approx(0.005)


def test_the_words_say_both_shares_and_what_is_allowed():
    finding = judged("errors up at most 0.5pp", live(with_failures(1, 0.0), with_failures(2, 0.0)))
    assert finding.reason.text.startswith(
        "errors went from 0.000% to 0.000% of requests, +0pp [-0.00"
    )
    assert finding.reason.text.endswith("at most 0.5pp")


def test_several_runs_are_judged_over_runs():
    before = [with_failures(i, 0.02, 4000) for i in range(6)]
    after = [with_failures(i + 50, 0.06, 4000) for i in range(6)]
    finding = judged("errors up at most 1pp", runs(before, after))
    assert finding.verdict is Verdict.REFUTED
    assert finding.evidence.replicas == (6, 6)
    assert finding.evidence.blocks is None


def test_few_failures_in_runs_get_exact_bounds():
    clean = [lognormal(i, 500) for i in range(12)]
    finding = judged("errors up at most 1pp", runs(clean[:6], clean[6:]))
    assert finding.verdict is Verdict.CONFIRMED
    assert 0 < finding.estimate.high < 0.003  # 3.7 / 3,000 at 95 %


def test_survivors_are_not_judged():
    comparison = live(lognormal(1, N), lognormal(2, N), arrivals_known=False)
    finding = judged("errors up at most 1pp", comparison)
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert finding.reason.code is ReasonCode.SURVIVORS
    assert finding.reason.text == (
        "nothing says which requests failed: name a status column or give --ok EXPR"
    )


def test_no_data_is_inconclusive():
    (finding,) = Errors().analyze(change("errors up at most 1pp"), Given())
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.NO_DATA
    assert judged("errors up at most 1pp", live([], lognormal(1, 100))).estimate is None


def test_a_few_runs_that_differ_are_not_settled_by_their_requests():
    before = [with_failures(i, share, 4000) for i, share in enumerate((0.01, 0.02, 0.03))]
    after = [with_failures(i + 50, share, 4000) for i, share in enumerate((0.02, 0.04, 0.05))]
    finding = judged("errors up at most 0pp", runs(before, after))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.text.endswith("more per side would decide")
    assert finding.estimate.low < 0 < finding.estimate.value < finding.estimate.high
    assert finding.evidence.p_refute > 0.025


def test_few_failures_that_all_fall_into_one_run_are_not_taken_for_independent():
    clean = [lognormal(i, 4000) for i in range(5)]
    broken = with_failures(9, 18 / 4000, 4000)
    finding = judged("errors up at most 0pp", runs(clean[:3], [*clean[3:], broken]))
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_one_run_per_side_says_what_chance_alone_does():
    finding = judged(
        "errors up at most 1pp", runs([with_failures(1, 0.02)], [with_failures(2, 0.06)])
    )
    assert finding.verdict is Verdict.REFUTED
    assert "in 1 of 2 comparisons" in finding.evidence.notes[-1]
