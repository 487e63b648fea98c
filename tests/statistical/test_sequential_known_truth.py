"""Looking at every closed block for a day: statistics.md, section 19, row 5.

Each repetition is one stream of nine days: six pairs of unchanged days teach the correlation, the
eighth day is the baseline, the ninth the candidate, in 48 blocks of half an hour at 45 requests a
minute. "Ever wrong" counts a repetition in which any of the 48 looks excluded the truth.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.simulator import SCENARIOS, simulate

from nibai.stats.block_values import BlockReading
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.sequential import ConfidenceSequence, MixtureTest
from nibai.stats.sequential_rates import RateSequence, Trials
from nibai.stats.whitening import history_correlation

pytestmark = pytest.mark.slow

PS = (0.5, 0.9, 0.99)
STREAM, REPETITIONS, RATE = 20261126, 200, 45.0
DAYS, BLOCKS = 9, 48
FIVE_MINUTE_LOOKS = 6


def limit(target: float, repetitions: int = REPETITIONS) -> float:
    return target + 2 * math.sqrt(target * (1 - target) / repetitions)


@cache
def block_quantiles(scenario: str) -> np.ndarray:
    """log2 quantiles per block, (repetitions, days, blocks, quantiles)."""
    found = np.empty((REPETITIONS, DAYS * BLOCKS, len(PS)))
    for r in range(REPETITIONS):
        rng = np.random.default_rng([STREAM, list(SCENARIOS).index(scenario), r])
        requests = simulate(rng, SCENARIOS[scenario], minutes=DAYS * 1440, rate=RATE)
        histograms = requests.histograms(DAYS * BLOCKS)
        for g in range(DAYS * BLOCKS):
            found[r, g] = histograms.take([g]).log2_quantile(PS)
    return found.reshape(REPETITIONS, DAYS, BLOCKS, len(PS))


def values(days: np.ndarray, shift: float) -> np.ndarray:
    """log2 ratio of the last two days, the candidate faster by `shift`."""
    return days[-2] - days[-1] + shift


def plan_of(days: np.ndarray, threshold: float, *, history: bool = True) -> FollowPlan:
    placebos = [days[i] - days[i + 1] for i in range(DAYS - 3)]
    phi = history_correlation(placebos) if history else None
    return FollowPlan(
        0.0, 0.0, 1800.0, side_by_side=False, phi=phi, placebos=6, threshold=threshold
    )


def followed(series: np.ndarray, plan: FollowPlan, *, looks_per_block: int = 1) -> Track:
    """Every closed block read; with more looks each one offers all closed blocks again."""
    track = new_track(plan)
    for number in range(len(series)):
        for _ in range(looks_per_block):
            known = range(number + 1) if looks_per_block > 1 else (number,)
            for block in known:
                track = track.look(block, BlockReading(series[block], Trials(), Trials()))
    return track


def rate(hits: list[list[bool]]) -> np.ndarray:
    return np.mean(hits, axis=0)


def percent(rates: np.ndarray) -> str:
    return "/".join(f"{100 * x:.1f}" for x in rates)


def excluded(track: Track, truth: float) -> bool:
    return track.low > truth or track.high < truth


@pytest.mark.parametrize("scenario", ["ar10", "queue", "incid", "ar60"])
def test_unchanged_traffic_is_rarely_called_changed_at_any_look_of_a_day(scenario, figure):
    wrong, without, phis = [], [], []
    for days in block_quantiles(scenario):
        columns = [days[..., i] for i in range(len(PS))]
        plans = [plan_of(column, 0.0) for column in columns]
        phis.append([plan.phi for plan in plans])
        series = [values(column, 0.0) for column in columns]
        pairs = list(zip(series, plans, strict=True))
        wrong.append([excluded(followed(s, plan), 0.0) for s, plan in pairs])
        unknown = plan_of(columns[0], 0.0, history=False)
        without.append([excluded(followed(series[0], unknown), 0.0)])
    figure(
        f"anytime A/A {scenario} 24 h, 48 looks, R={REPETITIONS}: "
        f"ever wrong {percent(rate(wrong))} | p50 without history {percent(rate(without))} "
        "| mean phi " + "/".join(f"{x:.2f}" for x in np.mean(phis, axis=0))
    )
    assert (rate(wrong) <= limit(0.08)).all(), percent(rate(wrong))
    assert (rate(without) <= limit(0.08)).all(), percent(rate(without))


def test_looks_every_five_minutes_read_the_same_state():
    for days in block_quantiles("ar10")[:5]:
        column = days[..., 0]
        plan, series = plan_of(column, 0.0), values(column, 0.05)
        often = followed(series, plan, looks_per_block=FIVE_MINUTE_LOOKS)
        assert often == followed(series, plan)


def test_ten_percent_faster_is_found_within_a_day(figure):
    found, blocks, small = [], [], []
    for days in block_quantiles("ar10"):
        columns = [days[..., i] for i in range(len(PS))]
        tracks = [followed(values(c, math.log2(1.1)), plan_of(c, 0.0)) for c in columns]
        found.append([track.low > 0.0 for track in tracks])
        blocks.append([math.nan if t.decided is None else t.decided + 1 for t in tracks])
        small.append(
            [followed(values(c, math.log2(1.05)), plan_of(c, 0.0)).low > 0.0 for c in columns]
        )
    median = "/".join(f"{x:.0f}" for x in np.nanmedian(blocks, axis=0))
    figure(
        f"anytime power ar10 24 h R={REPETITIONS}: +10 % {percent(rate(found))} "
        f"(median block {median}), +5 % {percent(rate(small))}"
    )
    assert (rate(found) >= 0.9 - (limit(0.1) - 0.1)).all(), percent(rate(found))


@pytest.mark.parametrize("scenario", ["ar10", "incid"])
def test_an_exactly_true_claim_is_rarely_confirmed_at_any_look(scenario, figure):
    confirmed, refuted = [], []
    for days in block_quantiles(scenario):
        tracks = [
            followed(values(days[..., i], 1.0), plan_of(days[..., i], 1.0)) for i in range(len(PS))
        ]
        confirmed.append([track.low > 1.0 for track in tracks])
        refuted.append([track.high < 1.0 for track in tracks])
    figure(
        f"anytime true 2.0 against 2.0, {scenario} 24 h R={REPETITIONS}: "
        f"confirmed {percent(rate(confirmed))}, refuted {percent(rate(refuted))}"
    )
    assert (rate(confirmed) <= limit(0.05)).all(), percent(rate(confirmed))
    assert (rate(refuted) <= limit(0.05)).all(), percent(rate(refuted))


# -- error shares ------------------------------------------------------------------------------

SHARE_REPETITIONS, SHARE_LOOKS = 300, 24


@pytest.mark.parametrize(("before", "after"), [(0.01, 0.01), (0.001, 0.003)])
def test_independent_failures_are_covered_at_all_looks(before, after, figure):
    rng = np.random.default_rng([STREAM, 100, int(after * 1000)])
    missed = 0
    for _ in range(SHARE_REPETITIONS):
        sequence = RateSequence()
        for number in range(SHARE_LOOKS):
            b, c = (Trials(int(rng.binomial(1000, share)), 1000) for share in (before, after))
            sequence = sequence.look(number, b, c)
        missed += not sequence.low <= after - before <= sequence.high
    figure(
        f"beta-binomial difference {before:g} -> {after:g}, 24 looks, R={SHARE_REPETITIONS}: "
        f"ever missed {100 * missed / SHARE_REPETITIONS:.1f} %"
    )
    assert missed / SHARE_REPETITIONS <= 0.05


def bursty(rng: np.random.Generator, blocks: int) -> list[Trials]:
    """1000 requests a block; one block in twenty loses a tenth of them."""
    shares = np.where(rng.random(blocks) < 0.05, 0.1, 0.002)
    return [Trials(int(k), 1000) for k in rng.binomial(1000, shares)]


def test_failures_in_bursts_fool_counts_but_not_counts_and_blocks_together(figure):
    rng = np.random.default_rng([STREAM, 101])
    counts, both, blocks = 0, 0, 0
    plan = FollowPlan(0.0, 0.0, 1800.0, side_by_side=False, phi=None, placebos=6, threshold=0.0)
    for _ in range(SHARE_REPETITIONS):
        history = [
            [b.share - c.share for b, c in zip(bursty(rng, 48), bursty(rng, 48), strict=True)]
            for _ in range(6)
        ]
        phi = history_correlation(history)
        track = new_track(replace(plan, phi=phi, shares=True))
        alone = ConfidenceSequence(MixtureTest(phi))
        for number, (b, c) in enumerate(zip(bursty(rng, 48), bursty(rng, 48), strict=True)):
            track = track.look(number, BlockReading(b.share - c.share, b, c))
            alone = alone.look(number, b.share - c.share)
        counts += track.rates.low > 0 or track.rates.high < 0
        blocks += alone.low > 0 or alone.high < 0
        both += excluded(track, 0.0)
    figure(
        f"errors in bursts, A/A 48 looks R={SHARE_REPETITIONS}: ever wrong by counts "
        + ", ".join(
            f"{what} {100 * hits / SHARE_REPETITIONS:.1f} %"
            for what, hits in (("alone", counts), ("by blocks", blocks), ("by both", both))
        )
    )
    assert both / SHARE_REPETITIONS <= limit(0.05, SHARE_REPETITIONS)
