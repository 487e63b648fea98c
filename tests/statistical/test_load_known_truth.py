"""Load matching and hosts as units on known truth: statistics.md, sections 4 and 9.

Rates stand at the end of the run with their repetitions. A share passes when it misses its target
by at most two standard errors of the simulation.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change, lognormal, replica
from support.loads import loaded, rhythm_day
from support.simulator import DAY, SCENARIOS, simulate

from analyzers.speedup import Speedup
from nibai.model import Comparison, ReasonCode, Side, UnitKind, Verdict, WindowKind
from nibai.stats.cells import load_of
from nibai.stats.mix import MixAnalysis, analyse_mix
from nibai.stats.replication import run_interval
from nibai.stats.sides import pooled_segments

pytestmark = pytest.mark.slow

PS = (0.5, 0.9, 0.99)
STREAM, PAIRS, QUEUE_PAIRS, HOST_TRIALS = 20261127, 200, 60, 400


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng([STREAM, *key])


def analyses(comparison: Comparison) -> list[MixAnalysis]:
    sides = (pooled_segments(side) for side in (comparison.baseline, comparison.candidate))
    return analyse_mix(*sides, PS, load=load_of(comparison))


class Trials:
    """Repetitions of one comparison: misses, centres and widths, raw and like for like."""

    def __init__(self, truth: float) -> None:
        self.truth = truth
        self.overlaps: list[float] = []
        self.misses: list[list[tuple[bool, bool]]] = []
        self.values: list[list[tuple[float, float]]] = []
        self.widths: list[list[tuple[float, float]]] = []

    def add(self, comparison: Comparison) -> None:
        found = analyses(comparison)
        assert comparison.load is not None
        self.overlaps.append(comparison.load.overlap)
        pairs = [(a.raw, a.like_for_like or a.raw) for a in found]
        self.misses.append([tuple(self._missed(x) for x in pair) for pair in pairs])
        self.values.append([tuple(x.value for x in pair) for pair in pairs])
        self.widths.append([tuple(x.high - x.low for x in pair) for pair in pairs])
        for terms in (a.decomposition for a in found):
            total = terms.like_for_like + terms.load + terms.mix + terms.support
            assert abs(terms.raw - total) < 1e-12

    def _missed(self, found) -> bool:
        return bool(found.low > self.truth or found.high < self.truth)

    @property
    def repetitions(self) -> int:
        return len(self.overlaps)

    @property
    def miss(self) -> np.ndarray:
        """Share of intervals without the truth, shape (quantiles, raw and like for like)."""
        return np.mean(self.misses, axis=0)

    @property
    def width_ratio(self) -> np.ndarray:
        """Median width of like for like over raw, where both are bounded."""
        widths = np.array(self.widths)
        finite = np.isfinite(widths).all(axis=2)
        return np.array(
            [np.median(widths[ok, i, 1] / widths[ok, i, 0]) for i, ok in enumerate(finite.T)]
        )

    def line(self, what: str) -> str:
        centre = np.exp2(np.median(self.values, axis=0))
        gated = np.mean(np.array(self.overlaps) < 0.7)
        return (
            f"{what} R={self.repetitions}: overlap {np.median(self.overlaps):.2f} "
            f"(gated {gated:.0%}) | raw {_row(centre[:, 0])}, miss {_row(100 * self.miss[:, 0])} % "
            f"| matched {_row(centre[:, 1])}, miss {_row(100 * self.miss[:, 1])} % "
            f"| width matched/raw {_row(self.width_ratio)}"
        )


def _row(values) -> str:
    return "/".join(f"{value:.3g}" for value in values)


def limit(target: float, repetitions: int) -> float:
    return target + 2 * math.sqrt(target * (1 - target) / repetitions)


# -- load -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["ar10", "queue"])
def test_the_same_load_costs_little_and_stays_quiet(scenario, figure):
    trials = Trials(0.0)
    repetitions = PAIRS if scenario == "ar10" else QUEUE_PAIRS
    for r in range(repetitions):
        trials.add(
            loaded(
                *(simulate(rng(1, r, i), SCENARIOS[scenario], minutes=DAY, rate=30) for i in (0, 1))
            )
        )
    figure(trials.line(f"A/A at the same load, {scenario} 24 h 30/min"))
    assert (trials.miss[:, 1] <= limit(0.08, repetitions)).all()
    assert (trials.width_ratio <= 1.25).all()
    assert np.median(trials.overlaps) > 0.9


@pytest.mark.parametrize(("share", "gated"), [(0.8, False), (0.5, True)])
def test_less_load_is_no_speed_up(share, gated, figure):
    """Unchanged, at less load: raw is fooled, matched covers; half the load is gated besides."""
    trials, verdicts = Trials(0.0), []
    judge = Speedup()
    for r in range(PAIRS):
        comparison = loaded(
            rhythm_day(rng(2, r, 0)), rhythm_day(rng(2, r, 1, int(100 * share)), rate=60 * share)
        )
        trials.add(comparison)
        verdicts += judge.analyze(change("1.05x faster at p50"), Given(latency=comparison))
    figure(trials.line(f"unchanged at {share:g} of the load, 24 h"))
    assert (trials.miss[:, 0] > 0.7).all(), "raw says faster"
    assert (trials.miss[:, 1] <= limit(0.08, PAIRS)).all()
    confirmed = np.mean([found.verdict is Verdict.CONFIRMED for found in verdicts])
    assert confirmed <= limit(0.05, PAIRS)
    reasons = [found.reason.code is ReasonCode.LOAD_OVERLAP for found in verdicts]
    assert np.mean(reasons) == 1.0 if gated else np.mean(reasons) < 0.5


def test_a_true_speed_up_is_recovered_at_another_load(figure):
    trials = Trials(math.log2(1.3))
    for r in range(PAIRS):
        trials.add(
            loaded(rhythm_day(rng(3, r, 0)), rhythm_day(rng(3, r, 1), rate=72, factor=1 / 1.3))
        )
    figure(trials.line("true 1.3x at 1.2 of the load, 24 h"))
    assert (trials.miss[:, 0] > 0.5).all(), "raw hides a part of it"
    assert (trials.miss[:, 1] <= limit(0.08, PAIRS)).all()


def test_queues_remember_the_slot_before(figure):
    scenario, bias = SCENARIOS["burstq"], {}
    for memory in (True, False):
        found = []
        for r in range(QUEUE_PAIRS // 2):
            sides = [
                simulate(
                    rng(4, r, i), replace(scenario, load=scenario.load * share), minutes=DAY,
                    rate=60 * share,
                )
                for i, share in ((0, 1.0), (1, 0.75))
            ]  # fmt: skip
            rows = analyses(loaded(*sides, memory=memory))
            found.append([row.like_for_like.value for row in rows])
        bias[memory] = np.exp2(np.median(found, axis=0))
    figure(
        f"unchanged bursts at 0.75 of the load R={QUEUE_PAIRS // 2}: with memory "
        f"{_row(bias[True])}, plain five minutes {_row(bias[False])}"
    )
    assert (bias[True][:2] < bias[False][:2]).all()


# -- hosts ------------------------------------------------------------------------------------

HOST_SD = 0.1


def hosts(generator: np.random.Generator, count: int) -> tuple:
    return tuple(
        replica(
            {"": lognormal(int(generator.integers(1 << 30)), 4800, 0.1 * math.exp(effect))},
            name=f"h{generator.integers(1 << 30)}",
        )
        for effect in generator.normal(0, HOST_SD, count)
    )


def compared(key: int, count: int) -> Comparison:
    generator = rng(5, key, count)
    sides = [Side(label, hosts(generator, count)) for label in ("before", "after")]
    return Comparison(
        "latency", WindowKind.LIVE, UnitKind.HOST, *sides, arrivals_known=True
    )  # fmt: skip


@pytest.mark.parametrize("count", [3, 5])
def test_hosts_that_differ_are_covered_by_intervals_over_hosts_only(count, figure):
    trials = HOST_TRIALS // 2
    missed = {"hosts": 0, "blocks": 0}
    wrong = 0
    for r in range(trials):
        comparison = compared(r, count)
        sides = (comparison.baseline, comparison.candidate)
        medians = [
            [float(one.segments[""].histograms.log2_quantile([0.5])[0]) for one in side.replicas]
            for side in sides
        ]
        over = run_interval(*medians, matched=False)
        pooled = analyse_mix(*(pooled_segments(side) for side in sides), [0.5])[0].raw
        missed["hosts"] += over.low > 0 or over.high < 0
        missed["blocks"] += pooled.low > 0 or pooled.high < 0
        found = Speedup().analyze(change("not slower at p50"), Given(latency=comparison))
        wrong += found[0].verdict is Verdict.REFUTED
    figure(
        f"hosts differing by sd {HOST_SD:g}, {count} a side R={trials}: median missed by the "
        f"interval over hosts {missed['hosts'] / trials:.1%}, over blocks "
        f"{missed['blocks'] / trials:.1%}; unchanged refuted {wrong / trials:.1%}"
    )
    assert missed["hosts"] / trials <= limit(0.05, trials)
    assert missed["blocks"] / trials > 0.5
    assert wrong / trials <= limit(0.05, trials)


def test_one_host_per_arm_decides_nothing(figure):
    verdicts = []
    for r in range(HOST_TRIALS // 4):
        found = Speedup().analyze(
            change("not slower at p50, 1.05x faster at p50"), Given(latency=compared(r, 1))
        )
        verdicts += [one.verdict for one in found]
        assert all(one.reason.code is ReasonCode.ONE_RUN_PER_SIDE for one in found)
    figure(f"one host per arm, R={HOST_TRIALS // 4}: inconclusive every time")
    assert set(verdicts) == {Verdict.INCONCLUSIVE}
