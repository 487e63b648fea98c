"""Before and after with different requests: who is blamed, by the judge and by plain comparison."""

import numpy as np
import pytest
from support.outputs import START, judge, more_of, rows, sample, swapped, two_days
from support.rates import Rate, at_least, at_most

from nibai.model import ReasonCode, Verdict
from nibai.stats.output_blocks import block_numbers
from nibai.stats.reweight import Period, naive

pytestmark = pytest.mark.slow

R = 60
N = 8_000
CLAIM = "same predictions within 0.1%"
"""A change of hardware: the old and the new model should be the same."""


def plainly_blamed(one, margin=0.001):
    """Whether the 95 % intervals of plain shares lie beyond the margin."""
    sides = (one.unpaired.before, one.unpaired.after)
    periods = [Period(s.codes, s.features, block_numbers(s.times, s.n, 300.0)) for s in sides]
    low, high = naive(*periods, 4, np.random.default_rng(0)).together(0.95)
    return bool(((low > margin) | (high < -margin)).any())


def judged(r, claim=CLAIM, n=N, **options):
    one = two_days(r, n, **options)
    return judge(one, claim), one


def test_moved_inputs_with_the_same_model_are_not_refuted(figure):
    refuted = plain = 0
    for r in range(R):
        found, one = judged(r, shift=0.3)
        refuted += found.verdict is Verdict.REFUTED
        plain += plainly_blamed(one)
    rates = Rate(refuted, R), Rate(plain, R)
    figure(f"moved inputs, same model, n = {N}, margin 0.1 %, R = {R}: refuted {rates[0]} %, "
           f"plain comparison blames in {rates[1]} %")  # fmt: skip
    at_most(rates[0], 0.05, "refuted although only the inputs moved")
    assert rates[1].value > 0.20


def test_two_points_of_model_change_under_moved_inputs_are_found(figure):
    refuted = covered = 0
    for r in range(R):
        found, _ = judged(
            1000 + r, shift=0.3, n=2 * N, change=lambda codes, rng: more_of(codes, 0.02, rng)
        )
        refuted += found.verdict is Verdict.REFUTED
        moved = found.evidence.predictions.inputs_moved.model_part
        covered += moved.low <= 0.02 <= moved.high
    rate = Rate(refuted, R)
    figure(f"+2 pp of model change under moved inputs, n = {2 * N}, margin 0.1 %, R = {R}: "
           f"refuted {rate} %, interval covers in {Rate(covered, R)} %")  # fmt: skip
    at_least(rate, 0.95, "planted change found")
    at_least(Rate(covered, R), 0.95, "coverage")


@pytest.mark.parametrize("hourly", [0.0, 0.5])
def test_nothing_changed_is_refuted_in_at_most_five_percent(hourly, figure):
    """`hourly`: inputs that wander from hour to hour, so that neighbours in time are alike."""
    refuted = sum(
        judged(2000 + r, n=4000, hourly=hourly)[0].verdict is Verdict.REFUTED for r in range(2 * R)
    )
    rate = Rate(refuted, 2 * R)
    figure(f"A/A, hourly wander {hourly}, n = 4000, margin 0.1 %, R = {2 * R}: refuted {rate} %")
    at_most(rate, 0.05, "refuted although nothing changed")


def test_inputs_that_moved_too_far_are_not_compared(figure):
    found = [judged(3000 + r, n=4000, shift=1.6)[0] for r in range(R)]
    refused = sum(one.reason.code is ReasonCode.INPUTS_MOVED for one in found)
    least = min(one.evidence.predictions.inputs_moved.auc.value for one in found)
    figure(f"inputs moved far (AUC >= {least:.2f}), R = {R}: refused {Rate(refused, R)} %")
    assert least > 0.8
    assert refused == R


def test_flips_that_cancel_in_every_share_never_confirm(figure):
    found = [
        judged(
            4000 + r, "same predictions within 2%", 6000,
            change=lambda codes, rng: swapped(codes, 0.2, rng),
        )[0]
        for r in range(R)
    ]  # fmt: skip
    confirmed = sum(one.verdict is Verdict.CONFIRMED for one in found)
    refuted = sum(one.verdict is Verdict.REFUTED for one in found)
    figure(f"20 % of answers swapped, R = {R}: confirmed {confirmed}, refuted {refuted}")
    assert confirmed == 0


def test_a_wrong_word_about_the_mix_is_rare(figure):
    """The truth lies on the margin or beyond it: "same output mix" may hardly be confirmed."""
    confirmed = sum(
        judged(
            5000 + r, "same output mix within 2%", 8000, shift=0.3,
            change=lambda codes, rng: more_of(codes, 0.02, rng),
        )[0].verdict is Verdict.CONFIRMED
        for r in range(R)
    )  # fmt: skip
    rate = Rate(confirmed, R)
    figure(f"mix moved by exactly the margin, n = 8000, R = {R}: confirmed {rate} %")
    at_most(rate, 0.05, "confirmed although at the margin")


def test_a_real_model_with_fewer_bits_under_another_mix_of_inputs():
    """Handwritten digits, a nearest-centroid model, and its weights cut to two levels.

    The new period sees more of the digits 0 to 4; the same model is not blamed for them.
    """
    datasets = pytest.importorskip("sklearn.datasets")
    images, digits = datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(14)
    centres = np.array([images[digits == digit].mean(axis=0) for digit in range(10)])
    coarse = np.round(centres / 16 * 1.5) * 16 / 1.5

    def answers(shares, weights, n=4000):
        drawn = rng.choice(len(images), n, p=shares / shares.sum())
        far = (weights**2).sum(axis=1) - 2 * images[drawn] @ weights.T
        return rows(far.argmin(axis=1), images[drawn], np.sort(START + rng.random(n) * 86_400))

    even, more_low = np.ones(len(images)), np.where(digits < 5, 1.5, 1.0)
    before = answers(even, centres)
    names = tuple(map(str, range(10)))
    same = judge(
        sample(before, answers(more_low, centres), classes=names), "same output mix within 3%"
    )
    assert same.verdict is Verdict.CONFIRMED
    assert same.evidence.predictions.scores[0].value > 0.08  # total variation of plain shares
    fewer = sample(before, answers(more_low, coarse), classes=names)
    assert judge(fewer, "same predictions within 1%").verdict is Verdict.REFUTED
