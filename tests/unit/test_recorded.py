"""Widths of buckets and fitted percentiles enter the interval of a speed-up, and are said."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change, live, lognormal, runs

from analyzers.speedup import Speedup
from nibai.exhibits import describe
from nibai.histogram import BlockHistograms
from nibai.model import ReasonCode, RecordedAs, Verdict
from nibai.stats.percentile_fit import rebuilt_counts
from nibai.stats.recorded import fit_error, position_bounds, recording_error
from nibai.stats.score import pooled_table

PS = (0.5, 0.9, 0.99)


def recorded_as(comparison, *, scale=5, **recorded):
    """The same comparison as a source with coarser buckets would have recorded it."""

    def coarse(series):
        return replace(
            series, histograms=series.histograms.downscale(scale), recorded=RecordedAs(**recorded)
        )

    def side(one):
        return replace(
            one,
            replicas=tuple(
                replace(r, segments={k: coarse(v) for k, v in r.segments.items()})
                for r in one.replicas
            ),
        )

    return replace(
        comparison, baseline=side(comparison.baseline), candidate=side(comparison.candidate)
    )


def only(comparison, claim="1.5x faster at p90"):
    (finding,) = Speedup().analyze(change(claim), Given(latency=comparison))
    return finding


def width(finding):
    return np.log2(finding.estimate.high / finding.estimate.low)


@pytest.mark.parametrize("scale", [3, 2, 1])
@pytest.mark.parametrize("name", ["lognormal", "heavy", "two humps"])
def test_the_true_quantile_lies_within_the_bounds_of_its_bucket(name, scale):
    rng = np.random.default_rng(5)
    n = 200_000
    values = rng.lognormal(-2, 0.35, n)
    if name == "heavy":
        values *= np.where(rng.random(n) < 0.03, 1 + rng.pareto(2.2, n), 1)
    if name == "two humps":
        values *= np.where(rng.random(n) < 0.2, 8, 1)
    table = pooled_table(BlockHistograms.from_values(values, scale=scale))
    for p in PS:
        low, high = ((table.offset + at) / 2**scale for at in position_bounds(table.cdf, p))
        assert low - 0.002 <= np.log2(np.quantile(values, p)) <= high + 0.002


def test_a_quantile_in_no_bucket_has_no_bounds():
    table = pooled_table(BlockHistograms.from_values([0.0, 0.0, 1.0, np.inf], scale=3))
    assert position_bounds(table.cdf, 0.4) == (-np.inf, -np.inf)
    assert position_bounds(table.cdf, 0.9) == (np.inf, np.inf)
    empty = pooled_table(BlockHistograms.empty(1, 3))
    assert position_bounds(empty.cdf, 0.5) == (np.inf, np.inf)


def test_requests_one_by_one_add_nothing_and_coarser_buckets_more_and_more():
    comparison = live(lognormal(1, 20_000, 0.2), lognormal(2, 20_000, 0.12))
    found = [only(recorded_as(comparison, scale=scale)) for scale in (5, 3, 2, 1)]
    assert found[0].evidence.recording_error is None
    assert found[0] == only(comparison)
    widths = [width(one) for one in found]
    assert widths == sorted(widths)
    assert found[3].evidence.recording_error[0] > 1.02
    note = found[3].evidence.notes[-1]
    assert note.startswith("the interval of p90 is ")
    assert note.endswith("than for requests one by one: buckets are 41 % wide")


def test_the_coarsest_scale_of_both_sides_is_that_of_the_comparison():
    fine = live(lognormal(1, 20_000, 0.2), lognormal(2, 20_000, 0.12))
    coarse = recorded_as(fine, scale=1)
    mixed = replace(fine, candidate=coarse.candidate)
    assert only(mixed).estimate == only(coarse).estimate


def test_a_claim_inside_the_width_of_a_bucket_asks_for_finer_ones_not_for_more_data():
    comparison = live(lognormal(1, 20_000, 0.2), lognormal(2, 20_000, 0.2 / 1.53))
    found = only(recorded_as(comparison, scale=1))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.code is ReasonCode.RECORDED_TOO_COARSE
    assert found.reason.text.endswith(
        "1.5x is inside the interval; more data would not decide: buckets are 41 % wide; "
        "finer buckets (CloudWatch: detail TC 109) would"
    )


def test_p_values_agree_with_the_widened_interval():
    comparison = live(lognormal(1, 20_000, 0.2), lognormal(2, 20_000, 0.1))
    for claim in ("1.6x faster at p90", "1.9x faster at p90", "2.2x faster at p90"):
        found = only(recorded_as(comparison, scale=1), claim)
        assert (found.evidence.p_confirm <= 0.025) == (found.verdict is Verdict.CONFIRMED)
        assert (found.evidence.p_refute <= 0.025) == (found.verdict is Verdict.REFUTED)


def ends(estimate):
    return [-1.0 if x is None else x for x in (estimate.value, estimate.low, estimate.high)]


def two_segments(seed, speed):
    return {
        name: lognormal(seed + i, 6000, 0.1 * (i + 1) / speed)
        for i, name in enumerate(("model=a", "model=b"))
    }


@pytest.mark.parametrize(
    ("kind", "recorded"),
    [
        ("one", {"unbinned": 300}),
        ("segments", {"scale": 1}),
        ("higher is better", {"fitted": 4000}),
        ("runs", {"scale": 1}),
    ],
)
def test_the_charts_intervals_are_those_of_the_verdicts(kind, recorded):
    comparison = live(lognormal(1, 12_000, 0.2), lognormal(2, 12_000, 0.12))
    if kind == "segments":
        comparison = live(two_segments(1, 1.0), two_segments(9, 1.7))
    if kind == "higher is better":
        comparison = replace(comparison, higher_is_better=True)
    if kind == "runs":
        sides = [[lognormal(s, 2000, m) for s in range(k, k + 6)] for k, m in ((1, 0.2), (9, 0.1))]
        comparison = runs(*sides)
    comparison = recorded_as(comparison, **recorded)
    shown = describe(comparison, level=0.95)
    drawn = {point.quantile: point.estimate for point in shown.curve}
    for p in (0.5, 0.99):
        found = only(comparison, f"1.5x faster at p{100 * p:g}").estimate
        assert ends(drawn[p]) == pytest.approx(ends(found), rel=1e-9)
    for row in shown.segments[::3]:
        asked = only(comparison, f"1.5x faster at p{100 * row.quantile:g} for {row.segment}")
        assert ends(row.estimate) == pytest.approx(ends(asked.estimate), rel=1e-9)


def test_of_a_quantile_below_all_buckets_nothing_is_known_and_above_it_everything():
    values = [lognormal(seed, 20_000, median) for seed, median in ((1, 0.2), (2, 0.1))]
    known = live(*values)
    censored = live(values[0], np.where(values[1] < np.quantile(values[1], 0.3), 0.0, values[1]))
    below = only(censored, "1.5x faster at p20")
    assert (below.verdict, below.reason.code) == (
        Verdict.INCONCLUSIVE,
        ReasonCode.RECORDED_TOO_COARSE,
    )
    assert below.reason.text == (
        "p20 lies at zero or below the lowest bucket that was recorded (30.0% of the candidate's "
        "requests), where nothing tells how fast they were: record lower buckets (CloudWatch: "
        "own_range)"
    )
    for claim in ("1.5x faster at p50", "1.5x faster at p90"):
        found, expected = only(censored, claim), only(known, claim)
        assert (found.estimate, found.reason) == (expected.estimate, expected.reason)


def test_what_has_no_bound_is_drawn_without_one():
    comparison = live(lognormal(1, 12_000, 0.2), lognormal(2, 12_000, 0.12))
    shown = describe(recorded_as(comparison, fitted=12_000), level=0.95)
    (tail,) = [point.estimate for point in shown.curve if point.quantile == 0.995]
    assert (tail.value is None, tail.low, tail.high) == (False, None, None)


def test_runs_are_widened_too():
    sides = [[lognormal(s, 4000, m) for s in range(k, k + 6)] for k, m in ((1, 0.2), (9, 0.1))]
    comparison = runs(*sides)
    assert width(only(recorded_as(comparison, scale=1))) > width(only(comparison)) + 0.02


@pytest.mark.parametrize(("p", "margin"), [(0.5, 0.03), (0.9, 0.03), (0.99, 0.05)])
def test_fitted_percentiles_carry_their_measured_margin(p, margin):
    comparison = live(lognormal(1, 20_000, 0.2), lognormal(2, 20_000, 0.12))
    found = only(recorded_as(comparison, fitted=20_000), f"1.5x faster at p{p * 100:g}")
    assert found.evidence.recording_error == pytest.approx((1 + margin, 1 + margin))
    assert "fitted from percentiles (1 of the baseline's requests and 1 of" in str(
        found.evidence.notes
    )


def test_above_p99_fitted_percentiles_say_nothing():
    comparison = live(lognormal(1, 60_000, 0.2), lognormal(2, 60_000, 0.1))
    found = only(recorded_as(comparison, fitted=60_000), "1.5x faster at p99.9")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.code is ReasonCode.ONLY_PERCENTILES
    assert "p99.9: only percentiles were recorded (1 of the baseline's requests" in (
        found.reason.text
    )
    assert found.evidence.recording_error is not None


def test_a_few_fitted_minutes_count_as_far_as_they_can_reach():
    few, many = (RecordedAs(fitted=n) for n in (5, 500))
    assert fit_error(0.5, (few, few), (10_000, 10_000)) == 0.0
    assert (
        0
        < fit_error(0.9, (many, many), (10_000, 10_000))
        < fit_error(0.99, (many, many), (10_000, 10_000))
    )


def test_requests_without_buckets_may_be_anywhere():
    values = lognormal(3, 50_000)
    table = pooled_table(BlockHistograms.from_values(values))
    lost = RecordedAs(unbinned=200)
    error = recording_error((table, table), 0.99, (lost, RecordedAs()), (50_000, 50_000))
    low, high = np.log2(np.quantile(values, [(0.99 * 50_200 - 200) / 5e4, 0.99 * 50_200 / 5e4]))
    at = np.log2(np.quantile(values, 0.99))
    assert error.below == pytest.approx(at - low, abs=0.05)
    assert error.above == pytest.approx(high - at, abs=0.05)
    all_of_the_tail = RecordedAs(unbinned=2000)
    assert (
        recording_error(
            (table, table), 0.99, (all_of_the_tail, RecordedAs()), (50_000, 50_000)
        ).above
        == np.inf
    )


def test_counts_between_explicit_bounds_are_as_coarse_as_their_bounds():
    # OpenTelemetry's bounds for generative AI: factor 2.
    rng = np.random.default_rng(2)
    bounds = 0.01 * 2.0 ** np.arange(14)
    tables, truth = [], []
    for median in (0.3, 0.3 / 1.7):
        values = rng.lognormal(np.log(median), 0.5, 100_000)
        counts = np.histogram(values, np.r_[0, bounds, np.inf])[0][1:-1]
        spread = np.concatenate([
            low * (high / low) ** ((np.arange(n) + 0.5) / max(n, 1))
            for low, high, n in zip(bounds[:-1], bounds[1:], counts, strict=True)
        ])  # fmt: skip
        tables.append(pooled_table(BlockHistograms.from_values(spread)))
        truth.append(np.log2(np.quantile(values, PS)))
    made = RecordedAs(spread=100_000)
    for i, p in enumerate(PS):
        measured = tables[0].log2_quantile(p) - tables[1].log2_quantile(p)
        error = recording_error((tables[0], tables[1]), p, (made, made), (100_000, 100_000))
        assert measured - error.below <= truth[0][i] - truth[1][i] <= measured + error.above


def test_the_rebuild_is_within_its_margin():
    rng = np.random.default_rng(4)
    minutes = [rng.lognormal(-2 + rng.normal(0, 0.1), 0.5, 60) for _ in range(360)]
    rows = []
    for values in minutes:
        percentiles = {p: np.quantile(values, p) for p in (0.5, 0.75, 0.9, 0.95, 0.99)}
        buckets, counts = rebuilt_counts(len(values), percentiles, values.min(), values.max())
        rows.append((buckets, counts))
    buckets, counts = (np.concatenate(one) for one in zip(*rows, strict=True))
    made = BlockHistograms.from_rows(np.zeros(len(buckets)), buckets, counts, blocks=1)
    raw = np.concatenate(minutes)
    for p, margin in ((0.5, 0.03), (0.9, 0.03), (0.99, 0.05)):
        assert made.quantile([p])[0] == pytest.approx(np.quantile(raw, p), rel=margin)
