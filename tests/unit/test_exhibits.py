"""What the charts show: numbers of known truth, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import live, lognormal, runs

from nibai.exhibits import describe


def test_the_curve_is_the_ratio_at_every_quantile_with_enough_requests():
    shown = describe(live(lognormal(1, 3000), lognormal(1, 3000, median=0.05)), level=0.95)
    quantiles = [point.quantile for point in shown.curve]
    assert quantiles[0] == 0.05
    assert 0.99 in quantiles
    assert 0.999 not in quantiles
    for point in shown.curve:
        assert point.estimate.value == pytest.approx(2.0, rel=0.03)
        assert point.estimate.low <= point.estimate.value <= point.estimate.high


def test_higher_is_better_turns_the_ratio_round():
    slow, fast = lognormal(1, 3000), lognormal(1, 3000, median=0.2)
    shown = describe(replace(live(slow, fast), higher_is_better=True), level=0.95)
    assert shown.curve[5].estimate.value == pytest.approx(2.0, rel=0.03)


def test_shares_of_the_distributions_add_up_with_failures_and_zeros():
    values = lognormal(1, 1000)
    values[:30], values[30:50] = np.inf, 0.0
    for density in describe(live(values, values), level=0.95).densities:
        assert density.censored_share == pytest.approx(0.03)
        assert density.zero_share == pytest.approx(0.02)
        assert sum(density.shares) == pytest.approx(0.95)
        assert len(density.edges) == len(density.shares) + 1
        assert density.edges[0] <= values[50:].min()
        assert values[50:].max() <= density.edges[-1]


def test_segments_come_largest_first_and_only_from_both_sides():
    def side(seed, speed):
        return {
            "model=a": lognormal(seed, 500, 0.1 / speed),
            "model=b": lognormal(seed + 1, 2500, 0.3 / speed),
            f"model=only{seed}": lognormal(seed + 2, 500),
        }

    shown = describe(live(side(1, 1.0), side(11, 2.0)), level=0.95)
    assert list(dict.fromkeys(row.segment for row in shown.segments)) == ["model=b", "model=a"]
    assert {row.requests for row in shown.segments} == {(2500, 2500), (500, 500)}
    half = [row for row in shown.segments if row.quantile == 0.5]
    assert [row.estimate.value for row in half] == pytest.approx([2.0, 2.0], rel=0.1)


def test_without_segments_there_is_no_forest():
    assert describe(live(lognormal(1, 500), lognormal(2, 500)), level=0.95).segments == ()


def test_the_terms_add_up_to_the_raw_log_ratio():
    before = {"a": lognormal(1, 4000, 0.1), "b": lognormal(2, 2000, 0.4)}
    after = {"a": lognormal(3, 5000, 0.1), "b": lognormal(4, 1000, 0.4)}
    rows = describe(live(before, after), level=0.95).decomposition
    assert [row.quantile for row in rows] == [0.5, 0.9, 0.99]
    for row in rows:
        terms = row.like_for_like + row.load + row.mix + row.support
        assert terms == pytest.approx(row.raw, abs=1e-9)
        assert row.like_for_like == pytest.approx(0.0, abs=0.15)
    assert rows[1].mix > 0.15


def test_the_timeline_has_a_point_per_replica_block_and_quantile():
    shown = describe(live(lognormal(1, 2400), lognormal(2, 2400)), level=0.95)
    assert len(shown.timeline) == 2 * 24 * 2
    assert {point.side for point in shown.timeline} == {"baseline", "candidate"}
    assert all(point.requests == 100 for point in shown.timeline)
    assert shown.timeline[0].value == pytest.approx(0.1, rel=0.2)


def test_five_runs_give_intervals_over_runs():
    before, after = (
        [lognormal(s + i, 400, m) for i in range(5)] for s, m in ((0, 0.1), (50, 0.05))
    )
    noisy = [values * factor for values, factor in zip(after, (1, 1.3, 0.8, 1.1, 0.9), strict=True)]
    steady, spread = (
        describe(runs(before, side), level=0.95).curve[5].estimate for side in (after, noisy)
    )
    assert steady.value == pytest.approx(2.0, rel=0.1)
    assert spread.high / spread.low > 1.3 * steady.high / steady.low


def test_one_empty_side_shows_the_other():
    shown = describe(live(lognormal(1, 500), []), level=0.95)
    assert (shown.curve, shown.segments, shown.decomposition) == ((), (), ())
    assert shown.densities[0].shares
    assert not shown.densities[1].shares
