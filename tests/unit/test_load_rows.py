"""Latency by load, as charts and `/metrics` show it."""

from dataclasses import replace

import numpy as np
import pytest
from support.loads import loaded, rhythm_day

from nibai.exhibits import describe
from nibai.stats.load_rows import load_rows


@pytest.fixture(scope="module")
def comparison():
    """A day before and a day twice as fast after, with latency that grows with load's root."""
    rng = np.random.default_rng(41)
    return loaded(rhythm_day(rng, rate=20.0), rhythm_day(rng, rate=20.0, factor=0.5))


def test_latency_follows_the_load_and_the_ratio_is_the_same_at_each(comparison):
    rows = load_rows(comparison)
    medians = {
        side: {row.stratum: row for row in rows if row.side == side and row.quantile == 0.5}
        for side in ("baseline", "candidate")
    }
    strata = sorted(medians["baseline"])
    assert strata == sorted(medians["candidate"])
    assert len(strata) >= 3
    for stratum in strata:
        before, after = (medians[side][stratum] for side in ("baseline", "candidate"))
        assert before.rate == after.rate
        assert before.value / after.value == pytest.approx(2.0, rel=0.1)
        # Per minute and replica the load is 60 times the rate; latency is its root.
        if stratum not in (strata[0], strata[-1]):
            expected = 0.2 * before.rate**0.5
            assert before.value == pytest.approx(expected, rel=0.25)
    rates = [medians["baseline"][stratum].rate for stratum in strata]
    assert rates == sorted(rates)
    requests = sum(row.requests for row in medians["baseline"].values())
    assert requests == int(
        next(iter(comparison.baseline.replicas[0].segments.values())).histograms.n.sum()
    )


def test_a_report_holds_them_and_where_load_is_not_matched_there_are_none(comparison):
    assert describe(comparison, level=0.95).load == load_rows(comparison)
    assert load_rows(replace(comparison, load=None)) == ()
