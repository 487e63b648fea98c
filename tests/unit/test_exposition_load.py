"""Gauges that are made from an audit's exhibits: latency by load, seconds saved by quantile."""

import numpy as np
import pytest
from support import audits

from nibai.exposition import ChangeView, Families, change_families
from nibai.exposition.audits import density_quantile
from nibai.exposition.load import load_gauges
from nibai.model import (
    Audit,
    Change,
    CurvePoint,
    Density,
    Estimate,
    Exhibits,
    Reason,
    ReasonCode,
    SideSummary,
    TimelinePoint,
    Verdict,
)

LABELS = {"endpoint": "e", "variant": "v", "change": "c"}


def timeline(side, *, slope, blocks=60, start=0.0, replicas=("a", "b")):
    """Blocks of a minute whose latency is `slope` times their requests a second."""
    return [
        TimelinePoint(side, replica, start + 60.0 * (n - 1), 0.99, slope * n, 30 * n)
        for n in range(1, blocks + 1)
        for replica in replicas
    ]


def series(families, name):
    (family,) = [one for one in families.done() if one.exported.name == name]
    labels = family.exported.labels
    own = [place for place, label in enumerate(labels) if label not in LABELS]
    return {tuple(one.labels[place] for place in own): one.value for one in family.samples}


def test_latency_by_load_is_the_blocks_own_in_bins_that_both_sides_share():
    points = [
        *timeline("baseline", slope=0.1), *timeline("candidate", slope=0.05, start=7200.0),
    ]  # fmt: skip
    found = Families()
    load_gauges(found, LABELS, Exhibits("latency", "s", timeline=tuple(points)))
    latency = series(found, "nibai_load_latency_seconds")
    rate = series(found, "nibai_load_requests_per_second")
    assert {place for _, place, _ in latency} == {"0", "1", "2", "3", "4"}
    for (side, place, quantile), value in latency.items():
        # Two replicas of 30 n requests a minute: n a second.
        slope = {"baseline": 0.1, "candidate": 0.05}[side]
        assert value == pytest.approx(slope * rate[side, place])
        assert quantile == "0.99"
    assert rate["baseline", "0"] == rate["candidate", "0"]


def test_a_bin_without_blocks_of_a_side_has_no_series_and_few_blocks_have_none():
    low, high = timeline("baseline", slope=0.1), timeline("candidate", slope=0.1, start=7200.0)
    busy = [
        TimelinePoint(p.side, p.replica, p.start, p.quantile, p.value, 100 * p.requests)
        for p in high
    ]
    found = Families()
    load_gauges(found, LABELS, Exhibits("latency", "s", timeline=(*low, *busy)))
    assert ("candidate", "0", "0.99") not in series(found, "nibai_load_latency_seconds")
    few = Families()
    load_gauges(few, LABELS, Exhibits("latency", "s", timeline=tuple(low[:8])))
    assert few.done() == ()


def test_a_quantile_of_bins_is_near_that_of_the_values():
    values = np.random.default_rng(3).lognormal(-2.0, 0.7, 50_000)
    edges = 2.0 ** (np.arange(-40, 16) / 4)
    shares = np.histogram(values, edges)[0] / len(values)
    density = Density("baseline", tuple(edges), tuple(shares), 0.0, 0.0)
    for quantile in (0.5, 0.9, 0.99):
        true = np.quantile(values, quantile)
        assert density_quantile(density, quantile) == pytest.approx(true, rel=0.03)
    lost = Density("baseline", (1.0, 2.0), (0.5,), 0.5, 0.0)
    assert density_quantile(lost, 0.9) is None


def test_seconds_saved_come_from_the_curve_where_no_finding_knows_them():
    curve = (CurvePoint(0.5, Estimate(2.0, 1.6, None, 0.95)),)
    density = Density("baseline", (1.0, 2.0, 4.0), (0.5, 0.5), 0.0, 0.0)
    exhibits = Exhibits("latency", "s", curve=curve, densities=(density,))
    side = SideSummary("x", 1, 1)
    change = Change("c", "e")
    reason = Reason(ReasonCode.FALLS_SHORT, "")
    audit = Audit("a", 0.0, change, Verdict.REFUTED, reason, (), side, side, (exhibits,))
    found = Families()
    change_families(found, [ChangeView(change, 0.0, (), audit)])
    saved = series(found, "nibai_change_shift_seconds")
    assert saved["latency", "0.5", "estimate"] == pytest.approx(1.0)
    assert saved["latency", "0.5", "low"] == pytest.approx(0.75)
    assert ("latency", "0.5", "high") not in saved


def test_the_cost_of_the_candidate_carries_the_interval_of_the_ratio():
    audit = audits.cost()
    (finding,) = [one for one in audit.findings if one.evidence.cost is not None]
    found = Families()
    change_families(found, [ChangeView(audit.change, 0.0, audit.sentences, audit)])
    usd = series(found, "nibai_cost_usd_per_request")
    before, after = (one / 1000 for one in finding.evidence.cost.usd_per_1000_requests)
    assert usd["baseline", "estimate"] == pytest.approx(before)
    assert usd["candidate", "estimate"] == pytest.approx(after)
    assert usd["candidate", "low"] == pytest.approx(before / finding.estimate.high)
    assert usd["candidate", "high"] == pytest.approx(before / finding.estimate.low)
    assert usd["candidate", "low"] < usd["candidate", "high"]


def test_distances_between_pairs_are_exported_with_their_interval():
    audit = audits.answered()
    found = Families()
    change_families(found, [ChangeView(audit.change, 0.0, audit.sentences, audit)])
    distances = series(found, "nibai_drift_distance_ratio")
    pairs = {bound for kind, _, bound in distances if kind == "pairs"}
    assert pairs == {"estimate", "low", "high"}
    assert all(0 <= value <= 1 for value in distances.values())
    # Of pairs what the claim allows, of a score what is usual when nothing changed.
    thresholds = series(found, "nibai_drift_threshold_ratio")
    assert thresholds["pairs", "kl"] == 0.01
    assert thresholds["score", "psi"] == 0.03
