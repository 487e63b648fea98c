"""Coverage and false alarms on traffic whose truth is known: statistics.md, section 19.

Rates stand at the end of the run with the share of unbounded intervals beside them: a low miss rate
can be abstention. A rate passes when it is at most its target plus two standard errors of the
simulation. Seeds belong to a stream that no development run has used.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from support.rates import Rate, at_least, at_most, excludes, line, rates, unbounded
from support.simulator import (
    BASELINE_MIX,
    DAY,
    LONG_MIX,
    SCENARIOS,
    SHORT_MIX,
    SIMPSON_MIX,
    simulate,
    simulate_segments,
)

from nibai.model import Verdict
from nibai.stats.inversion import RatioInterval
from nibai.stats.mix import MixAnalysis, analyse_mix
from nibai.stats.ratio import paired, pbs_ar_many
from nibai.stats.verdict import Part, conjunction, decide, faster_threshold, no_slower_threshold

pytestmark = pytest.mark.slow

PS = (0.5, 0.9, 0.99)
STREAM = 20261124
WINDOW_PAIRS, DAY_PAIRS, MIX_PAIRS = 400, 300, 250  # repetitions: 3 minutes in all
SCENARIO_NUMBER = {name: i for i, name in enumerate(SCENARIOS)}


def half_widths(found: Sequence[Sequence[RatioInterval]]) -> list[str]:
    """Median half-width in %."""
    widths = [[(x.high - x.low) / 2 for x in row] for row in found]
    middle = [float(np.exp2(w) - 1) * 100 for w in np.median(widths, axis=0)]
    return [f"{w:.1f}" if math.isfinite(w) else "inf" for w in middle]


def one_side(stream: Sequence[int], scenario: str, hours: int, blocks: int, rate: float):
    rng = np.random.default_rng([STREAM, SCENARIO_NUMBER[scenario], hours, int(rate), *stream])
    requests = simulate(rng, SCENARIOS[scenario], minutes=hours * 60, rate=rate)
    return lambda factor=1.0: requests.histograms(blocks, factor)


# -- target 1: unchanged traffic is not called changed ---------------------------------------

UNCHANGED = [
    *((name, hours, 12 if hours == 6 else 24, 0.08)
      for name in ("iid", "ar10", "queue", "burstq", "incid") for hours in (6, 24)),
    ("ar60", 24, 24, 0.10),
]  # fmt: skip


@pytest.mark.parametrize(("scenario", "hours", "blocks", "target"), UNCHANGED)
def test_unchanged_traffic_keeps_its_false_positive_rate(scenario, hours, blocks, target, figure):
    found = []
    for r in range(WINDOW_PAIRS):
        b, c = (one_side((1, r, i), scenario, hours, blocks, 30)() for i in (0, 1))
        found.append(pbs_ar_many(b, c, PS))
    missed = rates([[excludes(x, 0.0) for x in row] for row in found])
    figure(
        line(
            f"A/A {scenario} {hours} h G={blocks} 30/min R={WINDOW_PAIRS}",
            miss=missed,
            unbounded=rates([[unbounded(x) for x in row] for row in found]),
            half_width=half_widths(found),
        )
    )
    for p, rate in zip(PS, missed, strict=True):
        at_most(rate, target, f"false positives, {scenario} {hours} h p{100 * p:g}")


# -- targets 3 and 4: claims of twice as fast ------------------------------------------------


CLAIMED = {"ar10": (2.0, 2.2, 1.8), "incid": (2.0,)}


@pytest.fixture(scope="module")
def claims() -> dict[tuple[str, float], list[list[RatioInterval]]]:
    """Intervals of day pairs by (scenario, true ratio); the same streams for every ratio."""
    found: dict[tuple[str, float], list[list[RatioInterval]]] = defaultdict(list)
    for scenario, truths in CLAIMED.items():
        for r in range(DAY_PAIRS):
            b = one_side((2, r, 0), scenario, 24, 24, 100)()
            candidate = one_side((2, r, 1), scenario, 24, 24, 100)
            for truth in truths:
                found[scenario, truth].append(pbs_ar_many(b, candidate(1 / truth), PS))
    return found


def verdicts(found: list[list[RatioInterval]], threshold: float) -> list[list[Verdict]]:
    return [[decide(x.low, x.high, threshold).verdict for x in row] for row in found]


def is_(verdict: Verdict, rows: list[list[Verdict]]) -> list[Rate]:
    return rates([[v is verdict for v in row] for row in rows])


@pytest.mark.parametrize("scenario", ["ar10", "incid"])
def test_a_claim_that_is_exactly_true_is_rarely_confirmed_wrongly(claims, scenario, figure):
    """Exactly 2.0 sits on the border: confirming it is wrong as often as the level allows."""
    found = claims[scenario, 2.0]
    judged = verdicts(found, faster_threshold(2.0))
    confirmed = is_(Verdict.CONFIRMED, judged)
    figure(
        line(
            f"true 2.0 against 2.0, {scenario} 24 h 100/min R={len(found)}",
            confirmed=confirmed,
            refuted=is_(Verdict.REFUTED, judged),
            miss=rates([[excludes(x, 1.0) for x in row] for row in found]),
            unbounded=rates([[unbounded(x) for x in row] for row in found]),
        )
    )
    for p, rate in zip(PS, confirmed, strict=True):
        at_most(rate, 0.05, f"exactly true claim confirmed, {scenario} p{100 * p:g}")


@pytest.mark.parametrize(("truth", "expected"), [(2.2, Verdict.CONFIRMED), (1.8, Verdict.REFUTED)])
def test_a_claim_off_by_a_tenth_is_decided(claims, truth, expected, figure):
    found = claims["ar10", truth]
    judged = verdicts(found, faster_threshold(2.0))
    decided = is_(expected, judged)
    figure(line(f"true {truth} against 2.0, ar10 24 h 100/min R={len(found)}", decided=decided))
    for p, rate in zip(PS, decided, strict=True):
        at_least(rate, 0.97, f"{truth} against 2.0 {expected.value}, p{100 * p:g}")
    wrong = Verdict.REFUTED if expected is Verdict.CONFIRMED else Verdict.CONFIRMED
    assert not any(v is wrong for row in judged for v in row)


def test_a_sentence_over_three_quantiles_errs_no_more_than_one_part(claims, figure):
    """Intersection-union confirms and Holm refutes at the one-sided level of a part."""
    outcomes = []
    threshold = faster_threshold(2.0)
    for row in claims["ar10", 2.0]:
        parts = [decide(x.low, x.high, threshold).verdict for x in row]
        outcomes.append(conjunction([Part(v, None) for v in parts]).verdict)
    rate = Rate(sum(v is Verdict.CONFIRMED for v in outcomes), len(outcomes))
    figure(f"true 2.0 against 2.0 at p50, p90 and p99 together: confirmed {rate} %")
    at_most(rate, 0.025, "conjunction confirmed wrongly")


def test_no_slower_is_not_refuted_by_chance(figure):
    """Three parts at ratio exactly 1/1.05: refuted at most as often as the level, Holm-adjusted."""
    threshold = no_slower_threshold(0.05)
    outcomes = []
    for r in range(DAY_PAIRS):
        b = one_side((3, r, 0), "ar10", 24, 24, 60)()
        pair = paired(b, one_side((3, r, 1), "ar10", 24, 24, 60)(1.05))
        parts = [
            Part(decide(x.low, x.high, threshold).verdict, pair.p_less(x.p, threshold))
            for x in pair.intervals(PS)
        ]
        outcomes.append(conjunction(parts).verdict)
    refuted, confirmed = (
        Rate(sum(v is w for v in outcomes), DAY_PAIRS) for w in (Verdict.REFUTED, Verdict.CONFIRMED)
    )
    figure(
        f"exactly 5 % slower against 'no more than 5 %': refuted {refuted}, confirmed {confirmed}"
    )
    at_most(refuted, 0.05, "exactly true 'no more than 5 % slower' refuted")
    at_most(confirmed, 0.05, "exactly true 'no more than 5 % slower' confirmed")


# -- target 6: the mix -----------------------------------------------------------------------


def shifted(case: int, mix: Sequence[float], factor: float, r: int) -> list[MixAnalysis]:
    sides = [
        simulate_segments(np.random.default_rng([STREAM, 6, case, r, i]), mix=shares, factor=scale)
        for i, (shares, scale) in enumerate(((BASELINE_MIX, 1.0), (mix, factor)))
    ]
    return analyse_mix(sides[0], sides[1], PS)


MIX_CASES = [
    pytest.param(1, BASELINE_MIX, 1.0, id="same-mix"),
    pytest.param(2, SHORT_MIX, 1.0, id="mix-to-short"),
    pytest.param(3, LONG_MIX, 0.5, id="twice-as-fast-mix-to-long"),
    pytest.param(4, SIMPSON_MIX, 1.1, id="simpson"),
]


@pytest.mark.parametrize(("case", "mix", "factor"), MIX_CASES)
def test_like_for_like_covers_the_truth_whatever_the_mix_does(case, mix, factor, figure):
    truth = -math.log2(factor)
    found = [shifted(case, mix, factor, r) for r in range(MIX_PAIRS)]
    like = [[x.like_for_like for x in row] for row in found]
    terms = [[x.decomposition for x in row] for row in found]
    covered = rates([[not excludes(x, truth) for x in row] for row in like])
    centre = np.exp2(np.median([[t.like_for_like for t in row] for row in terms], axis=0))
    raw = np.exp2(np.median([[t.raw for t in row] for row in terms], axis=0))
    flagged = rates([[t.simpson for t in row] for row in terms])
    figure(
        line(
            f"mix case {case}, {DAY // 60} h 60/min G=24 R={MIX_PAIRS}",
            cover=covered,
            half_width=half_widths(like),
            like_for_like=[f"{x:.3f}" for x in centre],
            raw=[f"{x:.2f}" for x in raw],
            simpson=flagged,
        )
    )
    for p, rate, middle in zip(PS, covered, centre, strict=True):
        at_least(rate, 0.93, f"like-for-like coverage, case {case}, p{100 * p:g}")
        assert middle == pytest.approx(1 / factor, rel=0.01)
    for row in terms:
        for t in row:
            total = t.like_for_like + t.load + t.mix + t.support
            assert abs(t.raw - total) < 1e-12
    if mix is SIMPSON_MIX:
        assert (raw > 1.3).all()
        slower = [[x.high < 0.0 for x in row] for row in like]
        for p, refuted, flag in zip(PS, rates(slower), flagged, strict=True):
            at_least(refuted, 0.97, f"'not slower' refuted, p{100 * p:g}")
            at_least(flag, 0.97, f"Simpson flag, p{100 * p:g}")
    else:
        for p, flag in zip(PS, flagged, strict=True):
            at_most(flag, 0.05, f"Simpson flag without a paradox, case {case}, p{100 * p:g}")


def test_raw_interval_under_a_wandering_mix(figure):
    """Mix noise with tau 40 min is drift to the raw interval; like-for-like is the cure."""
    found = [shifted(5, BASELINE_MIX, 1.0, r) for r in range(MIX_PAIRS)]
    missed = rates([[excludes(x.raw, 0.0) for x in row] for row in found])
    figure(line(f"raw interval, unchanged wandering mix R={MIX_PAIRS}", miss=missed))
    for p, rate in zip(PS, missed, strict=True):
        at_most(rate, 0.10, f"raw false positives under a wandering mix, p{100 * p:g}")
