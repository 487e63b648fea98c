"""The endpoint's own past: which pairs, the same statistic as the judged one, what it allows."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change, swapped
from support.past import MONDAY, TUESDAY_AFTER, hour_pair, judged, slowed, traffic, without_history

from analyzers.sample import Sample
from analyzers.speedup import Speedup
from nibai.model import ReasonCode, Verdict, Window
from nibai.stats.clock import DAY, HOUR
from nibai.stats.past_judge import judge_past
from nibai.stats.past_pairs import MAX_PAIRS, plan_past
from nibai.stats.student import critical_value

# (hours of a window, days between the windows, blocks, days of history)
PLANS = [
    (1, 1, 8, 8), (1, 7, 8, 20), (0.98361, 1, 8, 4), (6, 1, 12, 10), (20.3, 1, 12, 10),
    (24, 1, 24, 12), (24, 7, 24, 40), (168, 7, 28, 60), (1, 1, 8, 90), (24, 1, 24, 200),
]  # fmt: skip


def part_start(plan, part):
    stretch, inside = divmod(int(part), plan.parts_per_stretch)
    return plan.start + stretch * plan.period + inside * plan.part_seconds


@pytest.mark.parametrize(("hours", "days", "blocks", "history"), PLANS)
def test_pairs_keep_length_and_distance_and_stay_in_the_unchanged_past(
    hours, days, blocks, history
):
    end = 100 * DAY
    baseline = Window(end - days * DAY, end - days * DAY + hours * HOUR)
    candidate = Window(end, end + hours * HOUR)
    unchanged = Window(end - history * DAY, end)
    plan = plan_past(baseline, candidate, blocks, unchanged=unchanged)
    assert len(plan.pairs)
    assert len(plan.pairs) <= 1.5 * MAX_PAIRS + 37
    assert plan.part_seconds * plan.parts_per_block * blocks == pytest.approx(hours * HOUR)
    for first, second in plan.pairs:
        b, c = part_start(plan, first), part_start(plan, second)
        assert c - b == pytest.approx(days * DAY)
        assert b >= unchanged.start - 1e-3
        assert c + hours * HOUR <= unchanged.end + 1e-3
        assert second + blocks * plan.parts_per_block <= plan.parts
        if hours < 24:
            clock = (b - baseline.start + DAY / 2) % DAY - DAY / 2
            assert abs(clock) <= 3 * HOUR + 1e-3
            assert first % plan.parts_per_stretch + 24 <= plan.parts_per_stretch
    assert part_start(plan, plan.pairs[-1][1]) + hours * HOUR > end - (DAY if hours < 24 else HOUR)


@pytest.mark.parametrize("hours", [6.0, 17.0, 19.5, 20.0, 22.5, 23.5, 23.9])
def test_stretches_of_the_past_do_not_overlap(hours):
    windows = (Window(13 * DAY, 13 * DAY + hours * HOUR), Window(14 * DAY, 14 * DAY + hours * HOUR))
    plan = plan_past(*windows, 12, unchanged=Window(0.0, 14 * DAY))
    assert len(plan.pairs) >= 10
    assert plan.stretch_seconds <= plan.period, "a minute would lie in parts of two stretches"
    assert plan.pairs.max() + 24 <= plan.parts


def test_pairs_do_not_mix_weekends_and_working_days_unless_whole_weeks_lie_between():
    end = TUESDAY_AFTER + 10 * HOUR
    for days, mixed in ((1, True), (7, False)):
        plan = plan_past(
            Window(end - days * DAY, end - days * DAY + HOUR), Window(end, end + HOUR), 8,
            unchanged=Window(MONDAY - 21 * DAY, end),
        )  # fmt: skip
        assert plan.valid.all() != mixed
        for (first, second), valid in zip(plan.pairs, plan.valid, strict=True):
            kinds = [
                (part_start(plan, part) - MONDAY) % (7 * DAY) >= 5 * DAY for part in (first, second)
            ]
            assert valid == (kinds[0] == kinds[1])


def test_no_pair_spans_a_known_change():
    end = TUESDAY_AFTER + 10 * HOUR
    moment = end - 3 * DAY
    windows = Window(end - DAY, end - DAY + HOUR), Window(end, end + HOUR)
    plan = plan_past(*windows, 8, unchanged=Window(MONDAY, end), changes=[moment, end + DAY])
    free = plan_past(*windows, 8, unchanged=Window(MONDAY, end))
    assert plan.changes == 1
    assert plan.valid.sum() < free.valid.sum()
    for (first, second), valid in zip(plan.pairs, plan.valid, strict=True):
        across = part_start(plan, first) < moment < part_start(plan, second) + HOUR
        assert not (valid and across)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("segments", [False, True])
def test_the_statistic_of_the_past_is_that_of_the_judged_pair(inverted, segments):
    times, values = traffic(5, "ar10")
    labels = np.where(np.random.default_rng(1).random(len(times)) < 0.3, "m=a", "m=b")
    values = np.where(labels == "m=a", 3 * values, values)
    comparison = hour_pair(times, values, labels=labels if segments else None)
    past = Sample(replace(comparison, higher_is_better=inverted), None).past
    assert (past.weights is not None) == segments
    for shift in (0.0, 0.07, -0.31):
        found = {p: past.standing(p, shift) for p in (0.5, 0.9)}
        for j in np.flatnonzero(past.usable)[::61]:
            pair = past.pair(int(j))
            for p, told in found.items():
                (interval,) = pair.intervals([p])
                t = pair.t(np.array([p]), np.array([shift]))[0]
                assert told[j] == pytest.approx(t / interval.variance_factor**0.5, rel=1e-6)


def test_a_stretch_without_data_is_no_history():
    times, values = traffic(2)
    kept = (times < MONDAY + 2 * DAY) | (times > MONDAY + 5 * DAY)
    whole = Sample(hour_pair(times, values), None).past
    holed = Sample(hour_pair(times[kept], values[kept]), None).past
    assert holed.usable.sum() < whole.usable.sum()
    assert np.isnan(holed.standing(0.5)[~holed.usable]).all()


def test_thin_past_windows_are_undecidable_for_high_quantiles():
    past = Sample(hour_pair(*traffic(3, rate=5.0)), None).past
    assert np.isfinite(past.standing(0.5)).sum() > 100
    assert np.isnan(past.standing(0.99)).all()
    assert judge_past(past, 0.99).calibration.reason is ReasonCode.UNCALIBRATED_SHORT_HISTORY


# -- the verdict --------------------------------------------------------------------------------


def judge(comparison, claim="not slower at p50"):
    return Speedup().analyze(change(claim), Given(latency=comparison))


def test_a_short_window_without_history_says_how_much_is_missing():
    times, values = traffic(4, days=2.5)
    comparison = hour_pair(times, values, at=MONDAY + DAY + 10 * HOUR, since=MONDAY + 10 * HOUR)
    (found,) = judge(comparison)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.code is ReasonCode.UNCALIBRATED_SHORT_WINDOW
    assert found.reason.text == (
        "a live window of 1 h is judged by the endpoint's own unchanged past: 0 of the 4 windows "
        "needed are known, 1 more day of history before the baseline would do; or use at least "
        "6 h on both sides, or repeated runs (--runs)"
    )
    assert found.evidence.false_positive_rate is None
    assert found.estimate is not None, "the number is still shown"
    (unknown,) = judge(without_history(comparison))
    assert "without the endpoint's own history" in unknown.reason.text


def test_a_calibrated_hour_finds_a_real_change_and_prints_how_often_it_was_wrong():
    times, values = traffic(6, rate=60.0)
    at = TUESDAY_AFTER + 10 * HOUR
    comparison = hour_pair(times, slowed(times, values, at, 1.3))
    slower, calm = judge(comparison)[0], judge(hour_pair(times, values))[0]
    assert slower.verdict is Verdict.REFUTED
    assert calm.verdict is not Verdict.REFUTED
    for found in (slower, calm):
        rate = found.evidence.false_positive_rate
        assert 15 <= rate.placebos <= 40
        assert 0 < rate.low < rate.value < rate.high < 0.2
        assert found.evidence.critical >= critical_value(0.95, 7)
        assert found.evidence.effective_windows >= 20
        assert 0 < found.evidence.smallest_effect < 0.3
    assert slower.estimate.high < 1


def test_the_claims_margin_gets_a_rate_of_its_own():
    comparison = hour_pair(*traffic(6, rate=60.0))
    (found,) = judge(comparison, "no more than 5% slower within 1% at p50")
    margin, _, judged_ = found.evidence.false_positive_rate.other_margin
    assert margin == pytest.approx(1.05 * 1.01 - 1)
    assert judged_ == found.evidence.false_positive_rate.placebos


def test_longer_windows_use_the_past_where_there_is_enough_of_it():
    times, values = traffic(7, days=18, rate=10.0)
    at = MONDAY + 17 * DAY
    for since, calibrated in ((MONDAY, True), (at - 2 * DAY, False)):
        comparison = judged(
            times, values, baseline=Window(at - DAY, at), candidate=Window(at, at + DAY),
            since=since,
        )  # fmt: skip
        (found,) = judge(comparison)
        assert found.reason.code is not ReasonCode.UNCALIBRATED_SHORT_WINDOW
        assert (found.evidence.critical is not None) == calibrated
        assert (found.evidence.false_positive_rate is not None) == calibrated


def test_swapping_the_sides_mirrors_a_calibrated_interval():
    times, values = traffic(8, "ar10")
    comparison = hour_pair(times, slowed(times, values, TUESDAY_AFTER, 0.5))
    one, other = (judge(c)[0].estimate for c in (comparison, swapped(comparison)))
    assert one.value * other.value == pytest.approx(1, rel=1e-9)
    assert one.low * other.high == pytest.approx(1, rel=1e-4)


# -- what else changed --------------------------------------------------------------------------


def restless(times, values, at):
    """Every other eighth of an hour slower, the others faster: the median hardly moves."""
    eighth = ((times - at) // (HOUR / 8)).astype(int)
    factor = np.where(eighth % 2 == 0, 1.6, 1 / 1.6)
    return np.where(times >= at, values * factor, values)


def test_a_side_that_changed_is_said_and_turns_no_verdict():
    times, values = traffic(9, rate=60.0)
    at = TUESDAY_AFTER + 10 * HOUR
    (calm,) = judge(hour_pair(times, values))
    (found,) = judge(hour_pair(times, restless(times, values, at)))
    said = [note for note in found.evidence.notes if note.startswith("also changed: ")]
    assert not [note for note in calm.evidence.notes if note.startswith("also changed")]
    assert [note.split(" is ")[0].split(" varies ")[0] for note in said] == [
        "also changed: in the slowest blocks p50",
        "also changed: p50",
    ]
    assert said[1].endswith(" more from block to block")
    assert found.verdict is Verdict.INCONCLUSIVE


def test_nothing_is_said_of_the_sides_without_history():
    times, values = traffic(9, days=2.5, rate=60.0)
    at = MONDAY + DAY + 10 * HOUR
    comparison = hour_pair(times, restless(times, values, at), at=at, since=MONDAY + 10 * HOUR)
    assert judge(comparison)[0].evidence.notes == ()


def test_block_quantiles_of_the_past_are_those_of_the_blocks():
    times, values = traffic(10)
    comparison = hour_pair(times, values)
    past = Sample(comparison, None).past
    day_before, judged_hour = past.block_quantiles(0.9)
    assert day_before.shape == judged_hour.shape == (len(past.history.pairs), 8)
    parts, per_block = past.history.segments[""], past.history.parts_per_block
    known = np.flatnonzero(past.usable)
    assert np.isnan(np.delete(judged_hour, known, axis=0)).all()
    for j in (known[0], known[-1]):
        for begin, found in zip(
            past.history.pairs[j], (day_before[j], judged_hour[j]), strict=True
        ):
            expected = [
                parts.take(np.arange(begin, begin + per_block) + g * per_block) for g in range(8)
            ]
            whole = [float(one.total().log2_quantile(0.9)) for one in expected]
            np.testing.assert_allclose(found, whole, rtol=1e-9)
