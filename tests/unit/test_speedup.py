"""The speed verdict follows the replication, mix, censoring and floor rules, in that order."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change, live, lognormal, runs

from analyzers.speedup import Speedup
from nibai.model import Reason, ReasonCode, UnitKind, Verdict, Window


def judge(comparison, claim="2x faster at p50"):
    return Speedup().analyze(change(claim), Given(latency=comparison))


def only(comparison, claim="2x faster at p50"):
    (finding,) = judge(comparison, claim)
    return finding


def test_a_real_speed_up_is_confirmed_with_its_interval():
    found = only(live(lognormal(1, 9000, 0.2), lognormal(2, 9000, 0.08)))
    assert found.verdict is Verdict.CONFIRMED
    assert found.estimate.low < 2.5 < found.estimate.high
    assert found.reason.text.startswith("p50 is 2.")
    assert found.evidence.blocks == 24
    assert found.evidence.unit == "hour"


def test_a_smaller_speed_up_is_refuted_quoting_what_is_supported():
    found = only(live(lognormal(1, 9000, 0.2), lognormal(2, 9000, 0.16)))
    assert found.verdict is Verdict.REFUTED
    assert "1.2" in found.reason.text
    assert found.reason.text.endswith("not 2x")
    assert found.evidence.p_refute < 0.001


@pytest.mark.parametrize("factor", [0.44, 0.48, 0.5, 0.52, 0.56])
def test_p_values_agree_with_the_interval(factor):
    found = only(live(lognormal(1, 9000, 0.2), lognormal(2, 9000, 0.2 * factor)))
    assert (found.evidence.p_confirm <= 0.025) == (found.verdict is Verdict.CONFIRMED)
    assert (found.evidence.p_refute <= 0.025) == (found.verdict is Verdict.REFUTED)
    assert found.evidence.variance_factor >= 1


def test_slower_is_said_as_slower():
    found = only(live(lognormal(1, 9000, 0.1), lognormal(2, 9000, 0.2)), "not slower at p50")
    assert found.verdict is Verdict.REFUTED
    assert "2.0" in found.reason.text
    assert "x slower" in found.reason.text


def test_between_says_how_much_more_data_would_decide():
    found = only(live(lognormal(1, 3000, 0.2), lognormal(2, 3000, 0.1)), "2.02x faster at p50")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.code in (
        ReasonCode.INTERVAL_STRADDLES,
        ReasonCode.PRACTICALLY_UNDECIDABLE,
    )


def test_a_margin_lowers_the_bar():
    comparison = live(lognormal(1, 40000, 0.2), lognormal(2, 40000, 0.2 / 1.95))
    assert only(comparison).verdict is Verdict.REFUTED
    assert only(comparison, "2x faster within 5% at p50").verdict is Verdict.CONFIRMED


def test_too_few_requests_for_the_tail():
    found = only(live(lognormal(1, 500), lognormal(2, 500, 0.01)), "2x faster at p99")
    assert found.reason.code is ReasonCode.TOO_FEW_REQUESTS
    assert "662" in found.reason.text


def test_a_gate_comes_before_everything():
    gate = Reason(ReasonCode.UNMATCHED_CLOCK, "the two windows hold other hours of the day")
    found = only(live(lognormal(1, 9000), lognormal(2, 9000, 0.01), gate=gate))
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.estimate is not None, "the number is still shown"


def test_a_short_live_window_needs_history():
    comparison = live(lognormal(1, 9000), lognormal(2, 9000, 0.01))
    short = [side.replicas[0] for side in (comparison.baseline, comparison.candidate)]
    sides = [
        replace(side, replicas=(replace(one, window=Window(0, 3600)),))
        for side, one in zip((comparison.baseline, comparison.candidate), short, strict=True)
    ]
    found = only(replace(comparison, baseline=sides[0], candidate=sides[1]))
    assert found.reason.code is ReasonCode.UNCALIBRATED_SHORT_WINDOW


def test_one_run_per_side_decides_the_middle_and_not_the_tail():
    comparison = runs([lognormal(1, 4000, 0.2)], [lognormal(2, 4000, 0.05)])
    middle, tail = judge(comparison, "2x faster at p75 and p90")
    assert middle.verdict is Verdict.CONFIRMED
    assert tail.verdict is Verdict.INCONCLUSIVE
    assert tail.reason.code is ReasonCode.ONE_RUN_PER_SIDE
    assert tail.evidence.scope == "these runs"


def test_the_rule_of_one_run_holds_when_only_one_side_has_more():
    comparison = runs(
        [lognormal(1, 4000, 0.2)], [lognormal(2, 4000, 0.05), lognormal(3, 4000, 0.05)]
    )
    assert only(comparison, "2x faster at p90").reason.code is ReasonCode.ONE_RUN_PER_SIDE


def test_a_few_runs_must_agree():
    fast, slow = lognormal(2, 2000, 0.05), lognormal(3, 2000, 0.2)
    comparison = runs([lognormal(1, 2000, 0.2), lognormal(4, 2000, 0.2)], [fast, slow])
    found = only(comparison)
    assert found.reason.code is ReasonCode.RUNS_DISAGREE
    assert found.verdict is Verdict.INCONCLUSIVE


def test_what_a_few_runs_say_is_told_with_what_chance_alone_does():
    slow, fast = (
        [lognormal(i, 4000) for i in range(4)],
        [lognormal(i, 4000) / 2 for i in range(7, 11)],
    )
    for units, orders in ((1, "1 of 2"), (2, "1 of 6"), (4, "1 of 70")):
        finding = only(runs(slow[:units], fast[:units]), "1.5x faster at p50")
        assert finding.verdict is Verdict.CONFIRMED
        assert finding.evidence.notes[-1].startswith("speaks for these runs only")
        assert f"in {orders} comparisons" in finding.evidence.notes[-1]
    undecided = only(runs(slow[:1], fast[:1]), "2x faster at p50")
    assert not any("speaks for" in note for note in undecided.evidence.notes)


def test_five_runs_decide_by_the_interval_over_runs():
    before = [lognormal(i, 800, 0.2 * (1 + i / 50)) for i in range(5)]
    after = [lognormal(10 + i, 800, 0.08 * (1 + i / 50)) for i in range(5)]
    found = only(runs(before, after, matched=True), "2x faster at p99")
    assert found.verdict is Verdict.CONFIRMED
    assert found.evidence.unit == "run"
    assert found.evidence.blocks is None


def test_runs_with_thin_blocks_are_not_judged_by_blocks():
    found = only(runs([lognormal(1, 100)], [lognormal(2, 100, 0.01)]))
    assert found.reason.code is ReasonCode.TOO_FEW_REQUESTS
    assert "20 requests" in found.reason.text


def test_another_host_per_side_is_no_evidence():
    comparison = live(lognormal(1, 4000), lognormal(2, 4000, 0.01))
    found = only(replace(comparison, unit=UnitKind.HOST))
    assert found.reason.code is ReasonCode.ONE_RUN_PER_SIDE
    assert "hosts" in found.reason.text


def test_a_sweep_in_another_order_forbids_the_tail():
    comparison = runs(
        [lognormal(i, 4000) for i in range(5)], [lognormal(9 + i, 4000, 0.01) for i in range(5)],
        sweep_order=("ascending", "descending"),
    )  # fmt: skip
    middle, tail = judge(comparison, "2x faster at p50 and p99")
    assert middle.verdict is Verdict.CONFIRMED
    assert (tail.verdict, tail.reason.code) == (Verdict.NOT_COMPARABLE, ReasonCode.SWEEP_ORDER)


def test_like_for_like_is_judged_and_the_mix_effect_shown():
    rng = np.random.default_rng(1)
    before = {
        "length=short": 0.1 * np.exp(rng.normal(0, 0.2, 7000)),
        "length=long": np.exp(rng.normal(0, 0.2, 5000)),
    }
    after = {
        "length=short": 0.11 * np.exp(rng.normal(0, 0.2, 10000)),
        "length=long": 1.1 * np.exp(rng.normal(0, 0.2, 2000)),
    }
    found = only(live(before, after), "not slower at p50")
    assert found.verdict is Verdict.REFUTED
    assert found.estimate.value == pytest.approx(1 / 1.1, rel=0.02)
    assert found.evidence.raw_ratio > 1.05
    assert found.evidence.simpson
    assert any("Simpson" in note for note in found.evidence.notes)
    terms = found.evidence.terms
    assert sum(terms.values()) == pytest.approx(np.log2(found.evidence.raw_ratio), abs=1e-12)


def test_a_segment_of_its_own_can_be_asked_for():
    before = {"length=short": lognormal(1, 4000, 0.1), "length=long": lognormal(2, 4000, 1.0)}
    after = {"length=short": lognormal(3, 4000, 0.03), "length=long": lognormal(4, 4000, 1.0)}
    comparison = live(before, after)
    assert only(comparison, "2x faster at p50 for length=short").verdict is Verdict.CONFIRMED
    assert only(comparison, "2x faster at p50 for length=long").verdict is Verdict.REFUTED
    assert only(comparison, "2x faster at p50 for length=huge").reason.code is ReasonCode.NO_DATA


def test_segments_of_one_side_only_leave_all_traffic_undecided():
    before = {"m=a": lognormal(1, 6000), "m=b": lognormal(2, 3000)}
    after = {"m=a": lognormal(3, 6000, 0.01), "m=c": lognormal(4, 3000, 0.01)}
    found = only(live(before, after))
    assert found.reason.code is ReasonCode.PARTIAL_SUPPORT
    assert "67%" in found.reason.text
    nothing = only(live({"m=a": lognormal(1, 6000)}, {"m=b": lognormal(3, 6000)}))
    assert nothing.reason.code is ReasonCode.NO_COMMON_SEGMENTS


def test_segments_that_are_too_thin_are_called_thin_and_not_different_traffic():
    before = {f"m={i}": lognormal(i, 85) for i in range(12)}
    after = {f"m={i}": lognormal(50 + i, 85) for i in range(12)}
    found = only(live(before, after))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.code is ReasonCode.TOO_FEW_REQUESTS
    assert found.reason.text == (
        "a segment needs 100 requests on both sides to hold the traffic mix constant, and the "
        "fullest has 85: measure longer, or leave the segments out"
    )


def test_failed_requests_never_make_it_faster():
    failing = lognormal(2, 9000, 0.05)
    failing[::3] = np.inf
    found = only(live(lognormal(1, 9000, 0.2, 0.1), failing), "2x faster at p90")
    assert found.verdict is Verdict.REFUTED
    assert found.evidence.censored_share == (0.0, pytest.approx(1 / 3, abs=0.01))
    assert "failed requests" in found.reason.text
    assert only(live(lognormal(1, 9000, 0.2), failing)).verdict is Verdict.CONFIRMED
