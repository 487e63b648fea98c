from dataclasses import replace

import numpy as np
import pytest
from support.outputs import CLASSES, DAY, START, judge, more_of, rows, sample, swapped, two_days

from nibai.model import ReasonCode, Verdict
from nibai.prediction_evidence import GateState
from nibai.predictions import EvidenceLevel, OutputRows
from nibai.stats.unpaired import mix_effect

CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED
INCONCLUSIVE, NOT_COMPARABLE = Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE


def said(finding):
    return finding.verdict, finding.reason.code


def outputs(shares, n, seed, segment=None, *, start=START):
    """Answers of one day with nothing known of the inputs but, perhaps, their segment."""
    rng = np.random.default_rng([7, seed])
    codes = rng.choice(len(shares), n, p=shares)
    times = np.sort(start + rng.random(n) * DAY)
    return OutputRows(codes, np.empty((n, 0)), segment, times)


# -- level C --------------------------------------------------------------------------------------


def test_moved_inputs_do_not_blame_the_model():
    one = two_days(1, 6000, shift=0.7)
    found = judge(one, "same output mix within 3%")
    assert found.verdict is CONFIRMED
    assert found.estimate.level == 0.9  # two one-sided tests at 5 %
    naive = mix_effect(one.unpaired, np.random.default_rng(1)).naive
    low, high = naive.together(0.95)
    assert ((low > 0.03) | (high < -0.03)).any()  # what comparing shares alone would say


def test_a_model_change_under_moved_inputs_is_found_and_parted_from_them():
    one = two_days(2, 6000, shift=0.3, change=lambda codes, rng: more_of(codes, 0.05, rng))
    found = judge(one, "same predictions within 1%")
    assert said(found) == (REFUTED, ReasonCode.FALLS_SHORT)
    assert "the share of “a” moved by +" in found.reason.text
    assert found.reason.text.endswith(
        "], the most of 4 classes: more than the 1pp allowed; a share can only move so far when "
        "at least as many answers changed (before and after, adjusted for inputs)"
    )
    moved = found.evidence.predictions.inputs_moved
    assert moved.total == pytest.approx(moved.input_part + moved.model_part.value, abs=1e-15)
    assert moved.model_part.low < 0.05 < moved.model_part.high
    assert 0.5 < moved.auc.low < moved.auc.value < moved.auc.high < 0.7
    assert moved.effective_share == pytest.approx(moved.effective_rows / 6000)
    assert found.estimate.value == moved.model_part.value
    (gate,) = found.evidence.predictions.gates
    assert (gate.name, gate.state) == ("output mix", GateState.FAILED)
    assert found.evidence.p_refute < 0.025


def test_level_c_never_confirms_same_predictions():
    one = two_days(3, 6000, change=lambda codes, rng: swapped(codes, 0.1, rng))
    found = judge(one, "same predictions within 2%")
    assert said(found) == (NOT_COMPARABLE, ReasonCode.UNPAIRED)
    assert "opposite changes of answers cancel" in found.reason.text
    assert judge(one, "same output mix within 3%").verdict is CONFIRMED  # the mix did stay


def test_inputs_that_moved_too_far_are_not_compared():
    found = judge(two_days(4, 1000, shift=2.0))
    assert said(found) == (NOT_COMPARABLE, ReasonCode.INPUTS_MOVED)
    assert found.reason.text.startswith(
        "inputs moved too far, replay instead: a classifier tells new inputs from old ones with an "
        "AUC of 0.9"
    )
    assert found.estimate is None
    assert found.evidence.predictions.inputs_moved.auc.low > 0.8


def test_thin_data_are_inconclusive():
    assert said(judge(two_days(5, 400))) == (INCONCLUSIVE, ReasonCode.TOO_FEW_REQUESTS)
    one = two_days(6, 1000)
    short = [
        replace(side, times=START + (side.times - side.times[0]) * 1200 / DAY)
        for side in (one.unpaired.before, one.unpaired.after)
    ]
    brief = replace(one, unpaired=replace(one.unpaired, before=short[0], after=short[1]))
    assert said(judge(brief)) == (INCONCLUSIVE, ReasonCode.TOO_FEW_BLOCKS)
    wide = judge(two_days(7, 1000))
    assert wide.verdict is INCONCLUSIVE
    assert "is inside the interval" in wide.reason.text


def test_swapping_the_periods_turns_the_estimate_around():
    one = two_days(8, 2000, change=lambda codes, rng: more_of(codes, 0.1, rng))
    turned = replace(one.unpaired, before=one.unpaired.after, after=one.unpaired.before)
    there, back = judge(one), judge(replace(one, unpaired=turned))
    assert there.verdict is back.verdict is REFUTED
    assert there.estimate.value == pytest.approx(-back.estimate.value, abs=0.015)


def test_a_claim_without_a_margin_says_what_is_missing():
    found = judge(two_days(9, 600), "same output mix", kinds=(), evidence={})
    assert said(found) == (NOT_COMPARABLE, ReasonCode.MARGIN_NOT_STATED)
    assert "same output mix within 2%" in found.reason.text


@pytest.mark.parametrize("claim", ["accuracy down at most 1pp", "same JSON validity"])
def test_other_claims_need_pairs(claim):
    found = judge(two_days(9, 600), claim)
    assert said(found) == (NOT_COMPARABLE, ReasonCode.UNPAIRED)
    assert f"“{claim}” is judged from pairs only" in found.reason.text


def test_the_same_data_give_the_same_verdict():
    assert judge(two_days(10, 600)) == judge(two_days(10, 600))


def test_rare_classes_are_joined_and_absent_ones_left_out():
    one = two_days(11, 3000)
    rare = one.unpaired.before.codes.copy()
    rare[:7] = 4
    before = replace(one.unpaired.before, codes=rare)
    unpaired = replace(one.unpaired, classes=(*CLASSES, "e", "f"), before=before)
    found = mix_effect(unpaired, np.random.default_rng(0))
    assert found.classes == (*CLASSES, "(rare answers)")


# -- the past -------------------------------------------------------------------------------------


def test_a_past_that_moves_as_far_takes_the_verdict_back():
    rng = np.random.default_rng(3)
    days = 6

    def restless(n, start, seconds, level):
        times = np.sort(start + rng.random(n) * seconds)
        inputs = rng.normal(size=(n, 2))
        day = ((times - START) // DAY).astype(int)
        p = 1 / (1 + np.exp(-(inputs[:, 0] + level[day])))
        return rows((rng.random(n) < p).astype(int), inputs, times)

    level = np.cumsum(rng.normal(0, 0.5, days + 2))
    step = level[days] - level[days + 1] + 0.6  # between the two days, the same in all seeds
    past = restless(days * 600, START, days * DAY, level)
    before = restless(600, START + days * DAY, DAY, level)
    after = restless(600, START + (days + 1) * DAY, DAY, level + step)
    calm = sample(before, after, classes=("no", "yes"))
    assert judge(calm).verdict is REFUTED
    assert "placebo points: uncalibrated: no unchanged past" in " ".join(judge(calm).evidence.notes)
    found = judge(sample(before, after, classes=("no", "yes"), past=past))
    assert said(found) == (INCONCLUSIVE, ReasonCode.HISTORY_TOO_UNSTABLE)
    assert "fake change points in the past moved at least as far" in found.reason.text


# -- segments alone and outputs alone -------------------------------------------------------------


def test_segments_alone_hold_the_mix_of_traffic_constant():
    def day(seed, share, start):
        n = 12_000
        rng = np.random.default_rng(seed)
        segment = (rng.random(n) < share).astype(np.int64)
        codes = (rng.random(n) < np.where(segment, 0.7, 0.2)).astype(np.int64)
        times = np.sort(start + rng.random(n) * DAY)
        return OutputRows(codes, np.empty((n, 0)), segment, times)

    one = sample(
        day(1, 0.3, START), day(2, 0.6, START + DAY),
        classes=("no", "yes"), segments=("lang=en", "lang=ja"),
    )  # fmt: skip
    found = judge(one, "same output mix within 3%")
    assert found.verdict is CONFIRMED
    assert found.evidence.predictions.inputs_moved.input_part == pytest.approx(-0.15, abs=0.03)
    asked = judge(one, "same output mix within 5% for lang=ja")
    assert asked.verdict is CONFIRMED
    assert asked.evidence.requests[0] < 12_000
    nothing = judge(one, "same output mix within 5% for lang=fr")
    assert nothing.reason.text == (
        "no answers of lang=fr on both sides: the segments are lang=en, lang=ja"
    )


def test_segments_on_one_side_only_are_too_little():
    n = 2000
    before = outputs([0.5, 0.5], n, 1, np.zeros(n, dtype=np.int64))
    after = outputs([0.5, 0.5], n, 2, np.ones(n, dtype=np.int64), start=START + DAY)
    found = judge(sample(before, after, classes=("no", "yes"), segments=("lang=en", "lang=ja")))
    assert said(found) == (NOT_COMPARABLE, ReasonCode.NO_COMMON_SEGMENTS)


@pytest.mark.parametrize("claim", ["same predictions within 2%", "same output mix within 2%"])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.7, 0.3]])
def test_outputs_alone_decide_nothing(claim, shares):
    before = outputs([0.5, 0.5], 5000, 1)
    after = outputs(shares, 5000, 2, start=START + DAY)
    found = judge(sample(before, after, classes=("no", "yes")), claim)
    assert said(found) == (NOT_COMPARABLE, ReasonCode.OUTPUTS_ONLY)
    assert found.reason.text.startswith(
        "outputs only; capture inputs, or replay (unadjusted, the share of “"
    )
    assert found.evidence.predictions.level is EvidenceLevel.OUTPUTS_ONLY


def test_a_period_without_answers_is_said():
    empty = OutputRows(np.empty(0, dtype=np.int64), np.empty((0, 6)), None, np.empty(0))
    one = two_days(12, 600)
    found = judge(replace(one, unpaired=replace(one.unpaired, after=empty)))
    assert said(found) == (NOT_COMPARABLE, ReasonCode.NO_DATA)
