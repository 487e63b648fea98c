"""Changes found in recorded pasts: which series, when, which quantiles, who may be the reason."""

from dataclasses import replace

import numpy as np
import pytest
from support.histories import HOUR, START, Past, hours, slower_tail

from analyzers.regression import Regression, suspect_of, views_of
from nibai.model import Change, ChangeKind, Window

SCANNER = Regression()


def scan(*series, known=()):
    return SCANNER.scan(Past(list(series)), known)


def halved(values, _):
    return values / 2


def moved(change):
    return [one.view for one in change.movements if one.changed]


def test_only_the_changed_series_is_named():
    calm = [hours(seed) for seed in range(12)]
    found = scan(*calm, hours(99, change=slower_tail, at=150, per_block=600))
    assert (found.series, found.thin) == (13, 0)
    (change,) = found.changes
    assert change.endpoint == "onprem/tokyo/e99"
    assert abs(change.at - (START + 150 * HOUR)) <= HOUR
    assert change.between.start <= START + 150 * HOUR <= change.between.end
    assert change.clearest in ("p99", "spread")
    assert "p99" in moved(change)
    assert change.text.startswith("latency p99 ")
    assert change.suspect is None


def test_a_speed_up_at_every_quantile_has_its_size():
    (change,) = scan(hours(1, change=halved, at=120)).changes
    sizes = {one.view: one.size for one in change.movements}
    for view in ("p10", "p50", "p90"):
        assert sizes[view].low < 2.0 < sizes[view].high
    assert moved(change) == ["p10", "p50", "p90"]
    assert next(one.text for one in change.movements).endswith("]")
    assert "faster" in change.text
    assert sizes["spread"].value == pytest.approx(1.0, abs=0.05)


def test_the_daily_rhythm_is_no_change_and_hides_none():
    """A swing of a factor 1.65 up and down every day."""
    assert scan(*(hours(seed, rhythm=0.5) for seed in range(5))).changes == ()
    (change,) = scan(hours(7, rhythm=0.5, change=lambda v, _: v * 1.15, at=130)).changes
    assert abs(change.at - (START + 130 * HOUR)) <= 3 * HOUR
    p50 = next(one for one in change.movements if one.view == "p50")
    assert p50.size.low < 1 / 1.15 < p50.size.high


def test_errors_that_begin_are_found():
    def failing(values, rng):
        return np.where(rng.random(len(values)) < 0.004, np.inf, values)

    (change,) = scan(hours(3, change=failing, at=100)).changes
    assert moved(change) == ["errors"]
    assert change.text.startswith("errors 0.000% -> 0.4")
    errors = change.movements[-1]
    assert errors.size.low < 0.004 < errors.size.high


def test_a_quantile_that_begins_to_fail_has_no_size_but_is_said():
    def failing(values, rng):
        return np.where(rng.random(len(values)) < 0.05, np.inf, values)

    (change,) = scan(hours(4, blocks=240, per_block=600, change=failing, at=120)).changes
    p99 = next(one for one in change.movements if one.view == "p99")
    assert (p99.after, p99.size.low) == (None, None)
    assert p99.changed
    assert "-> failed" in p99.text


def test_for_a_metric_where_more_is_better_the_words_turn():
    (change,) = scan(hours(1, change=halved, at=120, metric="throughput")).changes
    assert "2.0" in change.text
    assert "worse" in change.text
    assert change.movements[1].size.value == pytest.approx(2.0, abs=0.1)


def test_two_changes_of_one_series_are_told_apart():
    def up_then_down(values, _):
        factor = np.ones(len(values))
        factor[: len(values) // 2] = 1.6
        return values * factor

    found = scan(hours(5, change=up_then_down, at=80)).changes
    assert [(one.at - START) / HOUR for one in found] == pytest.approx([80, 160], abs=1)
    assert found[0].after.end == found[1].at


def test_thin_series_are_counted_and_not_judged():
    found = scan(hours(1, blocks=40), hours(2, per_block=4), hours(3))
    assert (found.series, found.thin, found.changes) == (3, 2, ())
    assert scan().changes == ()
    assert scan().window is None


def test_a_quantile_needs_requests_beyond_it():
    views = views_of(hours(1, per_block=60))
    assert set(views) == {"p10", "p50", "p90", "spread"}
    assert "p99" in views_of(hours(1, per_block=500))


def test_more_traffic_alone_changes_nothing():
    """Twenty times the requests from some hour on, with 1 in 1,000 failing all the time."""
    rng = np.random.default_rng(3)
    one = hours(8, per_block=600, blocks=240)
    counts = one.histograms.counts.copy()
    counts[120:] *= 20
    overflow = rng.binomial(counts.sum(axis=1), 0.001)
    histograms = replace(one.histograms, counts=counts, overflow=overflow)
    assert scan(replace(one, histograms=histograms)).changes == ()


def test_a_change_of_one_variant_is_not_said_again_for_all_together():
    one = hours(1, change=halved, at=120)
    whole = hours(1, change=halved, at=121, variant=None)
    other = hours(2, change=halved, at=120, variant=None)
    found = scan(one, whole, other).changes
    assert [(change.endpoint, change.variant) for change in found] == [
        ("onprem/tokyo/e1", "v1"), ("onprem/tokyo/e2", None),
    ]  # fmt: skip


# -- suspects ---------------------------------------------------------------------------------
BETWEEN = Window(START + 10 * HOUR, START + 12 * HOUR)


def known(name, at_hours, endpoint="a", **more):
    return Change(name, endpoint, effective_at=START + at_hours * HOUR, **more)


def suspect(*changes, within=24 * HOUR):
    return suspect_of(changes, "a", BETWEEN, within)


def test_the_nearest_earlier_change_of_the_same_endpoint_is_the_suspect():
    found = suspect(known("early", 1), known("near", 8), known("other", 9, "b"), known("later", 13))
    assert (found.change_id, found.seconds_before, found.same_endpoint) == ("near", 2 * HOUR, True)


def test_a_change_inside_the_time_in_question_has_no_distance():
    found = suspect(known("in", 11, kinds=(ChangeKind.DRIVER,), description="driver 570"))
    assert (found.seconds_before, found.kinds, found.description) == (
        0.0,
        ("driver",),
        "driver 570",
    )


def test_another_endpoint_is_named_when_nothing_nearer_is_known():
    found = suspect(known("other", 9, "b"))
    assert (found.change_id, found.same_endpoint) == ("other", False)


def test_later_or_much_earlier_changes_are_no_suspects():
    assert suspect(known("later", 12.5), known("old", -15)) is None
    assert suspect(Change("untimed", "a", baseline_variant="x", candidate_variant="y")) is None


def test_a_change_of_two_windows_counts_from_its_candidate():
    window = Window(START + 9 * HOUR, START + 20 * HOUR)
    change = Change("w", "a", baseline_window=window, candidate_window=window)
    assert suspect(change).effective_at == START + 9 * HOUR
