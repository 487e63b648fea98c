"""Load strata: joint, distinct, bounded weights; the decomposition stays exact."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change
from support.loads import arrivals, loaded
from support.simulator import Requests

from analyzers.speedup import Speedup
from nibai.histogram import BlockHistograms, merge
from nibai.model import LoadStrata, ReasonCode, Verdict
from nibai.stats.cells import load_cells, load_of, pooled_strata, split
from nibai.stats.load import MIN_OVERLAP, load_note, replica_rates, stratify
from nibai.stats.mix import analyse_mix, decompose
from nibai.stats.score import standardised_table
from nibai.stats.sides import pooled_segments

DAY = 1440
SLOTS = 288


def rng(seed):
    return np.random.default_rng([20261126, seed])


def busy(seed, *, rate=60.0, load=None, factor=1.0):
    """A day of loads from 13 to 270 a minute whose latency grows with the root of the load.

    `load`: the mean rate of all segments together, where this is one of them.
    """
    r = rng(seed)
    rhythm = np.exp(1.5 * np.sin(2 * np.pi * np.arange(DAY) / DAY))
    minute = np.repeat(np.arange(DAY), r.poisson(rate * rhythm))
    level = factor * 0.2 * (rhythm * (load or rate) / 60.0) ** 0.5
    seconds = level[minute] * np.exp(r.normal(0, 0.3, len(minute)))
    return Requests(minute + r.random(len(minute)), seconds, DAY)


def counts(seed, rate, slots=SLOTS):
    return rng(seed).poisson(np.broadcast_to(rate, (1, slots)))


# -- strata -----------------------------------------------------------------------------------


def test_load_that_barely_varies_is_one_stratum():
    found = stratify(counts(1, 150), counts(2, 155), 300.0)
    assert found.load.edges == ()
    assert found.load.overlap == 1.0
    assert "barely varies" in load_note(found.load)


def test_the_same_daily_rhythm_overlaps_almost_wholly():
    rate = 150 * (1 + 0.6 * np.sin(2 * np.pi * np.arange(SLOTS) / SLOTS))
    found = stratify(counts(3, rate), counts(4, rate), 300.0)
    assert 4 <= len(found.load.shares[0]) <= 6
    assert len(found.load.edges) + 1 == len(found.load.groups) <= 24
    assert found.load.overlap > 0.9
    assert sum(found.load.shares[0]) == pytest.approx(1.0)
    assert all(np.diff(found.load.edges) > 0)


def test_half_the_load_hardly_overlaps():
    rate = 150 * (1 + 0.5 * np.sin(2 * np.pi * np.arange(SLOTS) / SLOTS))
    found = stratify(counts(5, rate), counts(6, rate / 2), 300.0)
    assert found.load.overlap < 0.35
    low, middle, high = found.load.arrivals[0]
    assert low < middle < high
    assert middle == pytest.approx(30, rel=0.05)


def test_swapped_sides_have_the_same_strata():
    rate = 100 * (1 + 0.5 * np.sin(2 * np.pi * np.arange(SLOTS) / SLOTS))
    sides = counts(7, rate), counts(8, rate * 0.9)
    forth, back = stratify(*sides, 300.0).load, stratify(*sides[::-1], 300.0).load
    assert forth.edges == back.edges
    assert forth.overlap == pytest.approx(back.overlap, abs=1e-12)
    assert forth.shares == back.shares[::-1]


def test_load_is_per_active_replica():
    """Twice the replicas with twice the traffic is the same load."""
    one = np.full((1, 48), 100)
    two = np.full((2, 48), 100)
    assert stratify(one, two, 300.0).load.overlap == 1.0
    scaled_in = two.copy()
    scaled_in[1, 24:] = 0
    scaled_in[0, 24:] = 200
    rates = replica_rates(scaled_in, 300.0)
    assert rates[0] == 20.0
    assert rates[-1] == 40.0
    thin = np.zeros((1, 48), dtype=np.int64)
    thin[0, ::4] = 5
    assert replica_rates(thin, 300.0)[1] == 0.0, "quiet slots of an active replica are quiet"


def test_slots_without_arrivals_belong_to_no_stratum():
    gap = counts(9, 150)
    gap[0, 100:110] = 0
    found = stratify(gap, counts(10, 150 * np.linspace(0.5, 1.5, SLOTS)), 300.0)
    assert set(found.slots[0][100:110]) == {-1}
    assert found.slots[1].min() == 0


# -- cells ------------------------------------------------------------------------------------


def test_strata_add_up_and_weights_are_bounded_by_the_overlap():
    comparison = loaded(busy(11), busy(12, rate=45))
    load = comparison.load
    assert MIN_OVERLAP < load.overlap < 0.95
    first, second = (pooled_strata(side) for side in (comparison.baseline, comparison.candidate))
    for side, strata in ((comparison.baseline, first), (comparison.candidate, second)):
        whole = pooled_segments(side)[""]
        assert merge(strata[""]).n.tolist() == whole.n.tolist()
    cells = load_cells(first, second, [""], load.groups)
    assert sum(cells.weights.values()) == pytest.approx(1.0, abs=1e-12)
    own = []
    for strata, shares in ((first, load.shares[0]), (second, load.shares[1])):
        sizes = np.array([part.n.sum() for part in strata[""]])
        own.append(sizes / sizes.sum())
        in_stratum = np.bincount(load.groups, weights=own[-1])
        assert in_stratum.tolist() == pytest.approx(list(shares), abs=1e-12)
    least = np.minimum(*own)
    weights = [cells.weights[name] for name in cells.cells]
    expected = [(least / least.sum())[list(group)].sum() for _, group in cells.cells.values()]
    assert weights == pytest.approx(expected, abs=1e-12)


def test_thin_cells_join_their_neighbours_and_no_segment_is_lost():
    many, few = busy(13, rate=60), busy(14, rate=0.6)
    comparison = loaded({"size=s": many, "size=xl": few}, {"size=s": busy(15), "size=xl": few})
    first, second = (pooled_strata(side) for side in (comparison.baseline, comparison.candidate))
    cells = load_cells(first, second, ["size=s", "size=xl"], comparison.load.groups)
    groups = {name: [g for s, g in cells.cells.values() if s == name] for name in first}
    assert len(groups["size=s"]) == len(comparison.load.edges) + 1
    assert len(groups["size=xl"]) < len(groups["size=s"])
    assert sorted(i for g in groups["size=xl"] for i in g) == sorted(
        i for g in groups["size=s"] for i in g
    )
    share = sum(w for name, w in cells.weights.items() if name.startswith("size=xl"))
    assert share == pytest.approx(0.01, rel=0.2)


def test_centring_in_few_blocks_costs_degrees_of_freedom():
    values = np.exp(rng(16).normal(0, 0.3, 2400))
    block = np.repeat(np.arange(24), 100)
    spread = BlockHistograms.from_values(values, block, blocks=24)
    both, alike = {"a": spread, "b": spread}, {"a": 0.5, "b": 0.5}
    table = standardised_table(both, alike, {"a": "a", "b": "b"})
    assert table.freedom == pytest.approx(23.0)
    own = [
        BlockHistograms.from_values(values[s], block[s], blocks=24)
        for s in (slice(i * 400, (i + 1) * 400) for i in range(6))
    ]
    six = {str(i): part for i, part in enumerate(own)}
    weights = dict.fromkeys(six, 1 / 6)
    alone, pairs = {k: k for k in six}, {k: str(int(k) // 2) for k in six}
    assert standardised_table(six, weights, alone).freedom == pytest.approx(18.0)
    assert standardised_table(six, weights, pairs).freedom == pytest.approx(21.0)
    assert standardised_table(six, weights).freedom == 23.0


def test_stacked_blocks_split_by_stratum():
    stacked = BlockHistograms.from_values([1.0, 2.0, 4.0], [0, 3, 5], blocks=6)
    assert [part.n.tolist() for part in split(stacked, 3)] == [[1, 0], [0, 1], [0, 1]]


# -- the decomposition ------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["one segment", "two segments", "segments and mix"])
def test_the_four_terms_add_up_exactly(case):
    """Three quarters of the load; in the last case also another mix."""
    if case == "one segment":
        comparison = loaded(busy(17), busy(18, rate=46))
    else:
        small = 12 if case == "two segments" else 20
        shares = ((48.0, 12.0), (46.0 - small * 46 / 60, small * 46 / 60))
        days = [
            {
                "size=s": busy(19 + i, rate=short, load=short + long),
                "size=l": busy(21 + i, rate=long, load=short + long, factor=5.0),
            }
            for i, (short, long) in enumerate(shares)
        ]
        comparison = loaded(*days)
    sides = [pooled_segments(side) for side in (comparison.baseline, comparison.candidate)]
    for analysis in analyse_mix(*sides, [0.5, 0.9, 0.99], load=load_of(comparison)):
        terms = analysis.decomposition
        total = terms.like_for_like + terms.load + terms.mix + terms.support
        assert abs(terms.raw - total) < 1e-12
        assert terms.load > 0.05, "fewer arrivals explain a part of the raw ratio"
        assert abs(terms.like_for_like) < abs(terms.raw) / 2


def test_without_load_strata_nothing_changes():
    one, other = busy(22), busy(23, rate=46)
    comparison = loaded(one, other)
    sides = [pooled_segments(side) for side in (comparison.baseline, comparison.candidate)]
    plain = decompose(*sides, 0.9)
    assert plain.load == 0.0
    assert plain.like_for_like == plain.raw


# -- the verdict ------------------------------------------------------------------------------


def judge(comparison, claim):
    return Speedup().analyze(change(claim), Given(latency=comparison))[0]


def test_less_load_looks_faster_and_is_not():
    comparison = loaded(busy(24), busy(25, rate=46))
    plain = replace(comparison, load=None)
    assert judge(plain, "1.05x faster at p50").verdict is Verdict.CONFIRMED
    found = judge(comparison, "no more than 5% slower at p50")
    assert found.verdict is Verdict.CONFIRMED
    assert found.estimate.value == pytest.approx(1.0, abs=0.04)
    assert found.evidence.raw_ratio > 1.1
    assert found.evidence.load_overlap == comparison.load.overlap
    assert found.evidence.terms["load"] > 0.1
    assert judge(comparison, "1.1x faster at p50").verdict is Verdict.REFUTED


def test_loads_that_hardly_overlap_are_not_comparable():
    found = judge(loaded(busy(26), busy(27, rate=20)), "2x faster at p50")
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.reason.code is ReasonCode.LOAD_OVERLAP
    assert found.reason.text == (
        "the loads differ too much: 13 to 265 (median 59) arrivals per minute and replica in the "
        "baseline, 4 to 89 (median 19) in the candidate; they share 28% of the requests by load, "
        "70% are needed: compare windows of similar load, or send both the same traffic"
    )


def test_notes_say_how_load_was_matched():
    arrivals_ = (9, 18, 40), (8, 17, 39)
    load = LoadStrata((20.0,), (0, 1), ((0.5, 0.5), (0.6, 0.4)), 0.9, arrivals_, 300.0)
    assert load_note(load) == (
        "load: a median of 18 and 17 arrivals per minute and replica, matched in 2 strata; "
        "overlap 90%"
    )


def test_arrivals_count_every_slot():
    assert arrivals(busy(30), 300.0).shape == (1, SLOTS)
