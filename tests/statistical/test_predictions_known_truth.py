"""Verdicts about predictions on pairs whose truth is known: drift.md, section 13.

A rate passes when it keeps its bound within two standard errors of the simulation, which stand
beside it in the table at the end of the run.
"""

import math

import numpy as np
import pytest
from support.pairs import invalid, sample, truth
from support.peeking import peeked_difference_misses, peeked_misses, planted_verdicts

from analyzers.prediction_gates import prediction_gates
from analyzers.prediction_reading import Scope
from nibai.prediction_evidence import GateState
from nibai.stats.equivalence import Accuracy
from nibai.stats.flip_margins import COARSE
from nibai.stats.gates import judge_gates

pytestmark = pytest.mark.slow

STREAM = 20261126


def error(rate, repeats):
    return math.sqrt(max(rate * (1 - rate), 1 / repeats) / repeats)


def shown(rate, repeats):
    return f"{rate:.1%} ±{error(rate, repeats):.1%}"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_peeked_intervals(share, figure):
    """Looking after every one of 5000 pairs; drift.md measured 2.7 % against Wilson's 37 %."""
    rng = np.random.default_rng([STREAM, 1, int(1000 * share)])
    repeats, chunks = 400, 5
    found = np.mean(
        [peeked_misses(rng, share=share, pairs=5000, repeats=repeats) for _ in range(chunks)],
        axis=0,
    )
    n = repeats * chunks
    figure(f"flip rate {share:.0%}, peeked 5000x: miss {shown(found[0], n)}, Wilson "
           f"{shown(found[1], n)} (R={n})")  # fmt: skip
    assert found[0] <= 0.05 + 2 * error(0.05, n)
    assert found[1] > 0.25


@pytest.mark.parametrize(("plus", "minus"), [(0.0, 0.01), (0.005, 0.005), (0.02, 0.03), (0.2, 0.3)])
def test_peeked_differences(plus, minus, figure):
    """A look after every pair of the first 500, then every 50 up to 5000."""
    repeats = 1000
    rng = np.random.default_rng([STREAM, 9, int(1000 * plus)])
    early = peeked_difference_misses(
        rng, plus=plus, minus=minus, pairs=500, step=1, repeats=repeats // 4
    )
    late = peeked_difference_misses(
        rng, plus=plus, minus=minus, pairs=5000, step=50, repeats=repeats
    )
    figure(f"+{plus:.1%} -{minus:.1%}, difference peeked 500x: miss "
           f"{shown(early, repeats // 4)}; 100x: {shown(late, repeats)}")  # fmt: skip
    assert early <= 0.05
    assert late <= 0.05


@pytest.mark.parametrize(
    ("rate", "pairs", "verdict", "expected"),
    [
        (0.05, 3000, "refuted", (0.95, 1.0)), (0.02, 3000, "inconclusive", (0.95, 1.0)),
        (0.01, 3000, "confirmed", (0.69, 0.69)), (0.01, 5000, "confirmed", (0.96, 0.96)),
        (0.0, 357, "confirmed", (1.0, 1.0)),
    ],
)  # fmt: skip
def test_planted_flips(rate, pairs, verdict, expected, figure):
    """Margin 2 %, floors measured as 0: the shares that drift.md computes."""
    repeats = 1000
    rng = np.random.default_rng([STREAM, 2, int(1000 * rate), pairs])
    found = planted_verdicts(rng, rate, pairs=pairs, repeats=repeats)
    figure(f"planted {rate:.0%} of {pairs}, margin 2 %: " + ", ".join(
        f"{name} {shown(share, repeats)}" for name, share in found.items() if share
    ) + f" (R={repeats})")  # fmt: skip
    slack = 2 * error(found[verdict], repeats) + 0.01
    assert expected[0] - slack <= found[verdict] <= expected[1] + slack
    wrong = {0.05: "confirmed", 0.01: "refuted", 0.0: "refuted"}.get(rate)
    if wrong is not None:
        assert found[wrong] <= 0.05


def multinomial(rng, n, one, other):
    """Pairs with a signal on one side alone, and on the other alone."""
    return [int(x) for x in rng.multinomial(n, [one, other, 1 - one - other])[:2]]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("margin", [0.1, 2.0])
def test_unchanged_variants_are_not_refuted(noise, margin, figure):
    """A/A: both variants are one system that disagrees with itself on `noise` of answers.

    A fifth of what differs is right before or after, a tenth is invalid. The verdict's note quotes
    the sum: `analyzers.prediction_report.GUARANTEE`.
    """
    repeats = 500
    rng = np.random.default_rng([STREAM, 3, int(1000 * noise), int(10 * margin)])

    def signals():
        right, broken = (multinomial(rng, 3000, noise * x, noise * x) for x in (0.1, 0.05))
        return truth(3000, *right) | invalid(3000, *broken)

    found = planted_verdicts(
        rng, noise, pairs=3000, repeats=repeats, old=noise, new=noise, signals=signals,
        claim=f"same predictions within {margin:g}%",
    )  # fmt: skip
    figure(f"A/A, self-flips {noise:.0%}, margin {margin:g} %: refuted "
           f"{shown(found['refuted'], repeats)} (R={repeats})")  # fmt: skip
    assert found["refuted"] <= 0.05
    assert not found["refuted"], "the note says 0 of 4,000: correct it"


def test_a_noisy_new_variant_is_refuted_and_shared_noise_is_not(figure):
    repeats = 300
    rng = np.random.default_rng([STREAM, 4])
    noisy = planted_verdicts(rng, 0.052, pairs=3000, repeats=repeats, old=0.0, new=0.05)
    small = planted_verdicts(rng, 0.019, pairs=3000, repeats=repeats, old=0.0, new=0.05)
    shared = planted_verdicts(rng, 0.05, pairs=3000, repeats=repeats, old=0.05, new=0.05)
    figure(f"self-flip new 5 %, old 0 %: refuted {shown(noisy['refuted'], repeats)}; with flips "
           f"within the margin {shown(small['refuted'], repeats)}; both 5 %: refuted "
           f"{shown(shared['refuted'], repeats)} (R={repeats})")  # fmt: skip
    assert noisy["refuted"] >= 0.95
    assert small["refuted"] >= 0.95
    assert shared["refuted"] <= 0.05


def test_all_four_gates_at_their_margins_together(figure):
    """The worst case of Holm: every gate's truth is exactly what is allowed."""
    repeats, n = 600, 5000
    rng = np.random.default_rng([STREAM, 5])
    found = {"confirmed": 0.0, "refuted": 0.0, "inconclusive": 0.0}
    for _ in range(repeats):
        signals = truth(n, *multinomial(rng, n, 0.03, 0.02))
        signals |= invalid(n, *multinomial(rng, n, 0.01, 0.03))
        one = planted_verdicts(
            rng, 0.03, pairs=n, repeats=1, old=0.01, new=0.03, signals=signals
        )  # fmt: skip
        for name in found:
            found[name] += one[name] / repeats
    figure("four gates at their margins, n=5000: refuted "
           f"{shown(found['refuted'], repeats)}, confirmed {shown(found['confirmed'], repeats)} "
           f"(R={repeats})")  # fmt: skip
    assert found["refuted"] <= 0.05
    assert found["confirmed"] <= 0.05


@pytest.mark.parametrize("floor", ["measured", "raw"])
def test_looking_again_and_again_decides_an_exact_claim_wrongly_at_most_1_in_20(floor, figure):
    """True excess 2 % against a margin of 2 %, a look every 100 pairs up to 5000."""
    repeats, step, looks = 300, 100, 50
    rng = np.random.default_rng([STREAM, 6, len(floor)])
    wrong = {GateState.PASSED: 0, GateState.FAILED: 0}
    for _ in range(repeats):
        ab, old, new = (rng.binomial(step, p, looks).cumsum() for p in (0.03, 0.01, 0.01))
        if floor == "raw":
            ab = rng.binomial(step, 0.02, looks).cumsum()
        seen = set()
        for look in range(2, looks):
            n = step * (look + 1)
            own = {"old": (n, int(old[look])), "new": (n, int(new[look]))}
            one = sample(n, int(ab[look]), **(own if floor == "measured" else {"raw": True}))
            floors = [None if f is None else f[""] for f in (one.floor_old, one.floor_new)]
            readings = prediction_gates(Scope(one, one.pairs[""], *floors), COARSE, 0.05)
            seen.add(judge_gates([reading.test for reading in readings], 0.05).states[0])
        for state in wrong:
            wrong[state] += state in seen
    figure(f"excess at the margin, {looks} looks, floor {floor}: passed "
           f"{shown(wrong[GateState.PASSED] / repeats, repeats)}, failed "
           f"{shown(wrong[GateState.FAILED] / repeats, repeats)} (R={repeats})")  # fmt: skip
    assert all(count / repeats <= 0.05 for count in wrong.values())


def test_a_file_of_5_percent_flips(figure):
    """drift.md §13.9: n = 3000, m = 2 %, raw flips."""
    repeats = 500
    rng = np.random.default_rng([STREAM, 7])
    found = planted_verdicts(rng, 0.05, pairs=3000, repeats=repeats, raw=True)
    one = planted_verdicts(rng, 0.01, pairs=3000, repeats=repeats, raw=True)
    figure(f"a file, raw 5 %: refuted {shown(found['refuted'], repeats)}; raw 1 %: confirmed "
           f"{shown(one['confirmed'], repeats)} (R={repeats})")  # fmt: skip
    assert found["refuted"] > 0.95
    assert one["confirmed"] > 0.7


def test_accuracy_equivalence_at_its_margin(figure):
    """TOST's size where accuracy fell by exactly the margin, at a fixed n."""
    repeats, n = 20_000, 3000
    rng = np.random.default_rng([STREAM, 8])
    lines = []
    for lost, won in ((0.03, 0.02), (0.0105, 0.0005)):
        counts = rng.multinomial(n, [lost, won, 1 - lost - won], size=repeats)
        equal = [Accuracy(n, int(a), int(b)).equivalent(0.01) for a, b, _ in counts]
        rate = float(np.mean(equal))
        lines.append(f"{shown(rate, repeats)} at {lost + won:.2%} discordant")
        assert rate <= 0.05 + 0.01
    figure(f"TOST at its margin of 1 pp, n={n}: equivalent in {', '.join(lines)} (R={repeats})")
