"""Classic CloudWatch read and paid for: plan, execution and rebuilt minutes against raw values."""

import itertools

import numpy as np
import pytest
from fakeaws.metrics import Faults, Metrics, ServiceError

from collector.cloudwatch.execute import MOST_TRIES, Executor
from collector.cloudwatch.grid import Grid
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import (
    DAY,
    MAX_DATAPOINTS,
    MAX_QUERIES,
    Detail,
    Wanted,
    monthly_dollars,
    plan,
    within_budget,
)
from collector.cloudwatch.rebuild import Tally, observations
from collector.cloudwatch.series import PUBLISHED, by_type_series, variant_series
from collector.cloudwatch.source import configured_series
from nibai.errors import AuthError, CollectError, ThrottledError
from nibai.histogram import ZERO_BUCKET, BlockHistograms
from nibai.model import Provenance, Window

NOW = 1_764_000_000.0 // 3600 * 3600
ACCOUNT = "123456789012.eu-west-1"
LATENCY = PUBLISHED[0]


class Client:
    """The fake behind the client's seam: errors as the adapter translates them."""

    def __init__(self, metrics):
        self._metrics = metrics

    def get_metric_data(self, **request):
        try:
            return self._metrics.get_metric_data(**request)
        except ServiceError as error:
            if error.code == "ThrottlingException":
                raise ThrottledError(error.message) from error
            if error.code == "AccessDenied":
                raise AuthError(error.message) from error
            raise CollectError(error.message) from error


def executor(metrics, waits=None):
    return Executor(
        Client(metrics),
        Pace(1e9, 1e12),
        clock=lambda: NOW,
        wait=(waits if waits is not None else []).append,
        concurrency=1,
    )


def series(name="chat", variant="blue"):
    return variant_series(LATENCY, ACCOUNT, name, variant)


def latencies(rng, n):
    return np.where(rng.random(n) < 0.05, 8, 1) * rng.lognormal(-2.2, 0.4, n)


def filled(one, minutes, *, seed=7, per_minute=40, **options):
    metrics = Metrics(NOW, **options)
    rng, truth = np.random.default_rng(seed), {}
    for minute in range(int(NOW // 60) - minutes, int(NOW // 60)):
        truth[minute] = latencies(rng, per_minute)
        metrics.publish(
            LATENCY.namespace, LATENCY.name, one.dimensions, minute, truth[minute] * 1e6
        )
    return metrics, truth


def hourly_bill(wanted):
    return monthly_dollars(wanted, 3600.0)


def window(minutes):
    return Window(NOW - minutes * 60, NOW)


# -- the plan ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "statistics", "billed", "hourly"),
    [
        (Detail.BUCKETS_109, 115, 23, 0.168),
        (Detail.BUCKETS_55, 61, 13, 0.095),
        (Detail.BASE, 4, 1, 0.007),
    ],
)
def test_the_bill_is_that_of_the_price_table(detail, statistics, billed, hourly):
    one = Wanted(series(), detail)
    assert len(one.statistics) == statistics
    assert one.billed_metrics == billed
    assert monthly_dollars([one], 3600.0) == pytest.approx(hourly, abs=0.0005)


def test_calls_keep_the_statistics_of_a_series_together_and_stay_within_the_limits():
    wanted = [Wanted(series(f"endpoint-{i}")) for i in range(50)]
    made = plan(wanted, window(60), NOW)
    assert [len(call.wanted) for call in made.calls] == [4] * 12 + [2]
    assert all(call.queries <= MAX_QUERIES for call in made.calls)
    assert all(call.datapoints <= MAX_DATAPOINTS for call in made.calls)
    assert made.billed_metrics == 50 * 23


def test_a_long_window_is_read_in_few_long_calls():
    made = plan([Wanted(series())], window(15 * 1440), NOW)
    assert len(made.calls) == 25, "115 statistics leave 876 minutes to a call"
    assert made.calls[0].window.end == made.calls[1].window.start
    assert made.dollars == pytest.approx(25 * 23e-5)


def test_what_is_older_is_asked_at_the_period_that_is_kept():
    made = plan([Wanted(series(), Detail.BASE)], Window(NOW - 70 * DAY, NOW), NOW)
    assert {call.period_seconds for call in made.calls} == {60.0, 300.0, 3600.0}
    assert [call.window.start for call in made.calls] == sorted(c.window.start for c in made.calls)
    whole = sum(call.window.seconds for call in made.calls)
    assert whole == 70 * DAY


def test_a_budget_takes_the_most_detail_it_pays():
    wanted = [Wanted(series(f"endpoint-{i}")) for i in range(10)]
    for dollars, detail in [(2.0, "TC 109"), (1.0, "TC 55"), (0.6, "TC 28"), (0.01, "base")]:
        fitted = within_budget(wanted, hourly_bill, dollars)
        assert all(one.detail.value.startswith(detail) for one in fitted)
    assert within_budget(wanted, hourly_bill, 0.16)[0].detail is Detail.PERCENTILES


def test_neighbouring_buckets_share_the_text_of_their_edge():
    for scale in (1, 2, 3):
        names = Grid.over(0.0051, 60.0, scale).statistics(1e6)
        edges = [name[3:-1].split(":") for name in names]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
        assert edges[0][0] == edges[-1][1] == ""
        assert not any("e" in low + high for low, high in edges)


# -- execution --------------------------------------------------------------------------------


def test_the_metered_bill_is_the_planned_one_and_nothing_is_lost_over_pages():
    one = series()
    metrics, truth = filled(one, 60, page=1000)
    made = plan([Wanted(one)], window(60), NOW)
    [answer] = executor(metrics).run(made.calls)
    assert metrics.requests > 1
    assert answer.metered.billed_metrics == made.billed_metrics == metrics.billed_metrics
    found = list(observations(answer, Tally()))
    assert [o.minute for o in found] == sorted(truth)
    assert [o.count for o in found] == [40] * 60


def test_throttling_and_internal_errors_are_retried_with_the_same_token():
    one = series()
    metrics, truth = filled(one, 60, page=500, faults=Faults(throttle=[0, 3], internal=[5]))
    waits = []
    [answer] = executor(metrics, waits).run(plan([Wanted(one)], window(60), NOW).calls)
    assert not answer.incomplete
    assert sum(o.count for o in observations(answer, Tally())) == 40 * len(truth)
    assert answer.metered.tries == answer.metered.pages + 3
    assert 0.5 in waits


def test_a_call_that_keeps_failing_keeps_what_was_read_and_says_so():
    one = series()
    faults = Faults(throttle=range(2, 2 + MOST_TRIES))
    metrics, _ = filled(one, 60, page=3000, faults=faults)
    [answer] = executor(metrics).run(plan([Wanted(one)], window(60), NOW).calls)
    assert answer.incomplete
    assert answer.messages == ("Rate exceeded",)
    tally = Tally()
    found = list(observations(answer, tally))
    assert found
    assert tally.partial == tally.minutes == len(found)


def test_partial_data_without_another_page_is_incomplete():
    metrics, _ = filled(series(), 5, faults=Faults(partial=[0]))
    [answer] = executor(metrics).run(plan([Wanted(series())], window(5), NOW).calls)
    assert answer.incomplete


def test_a_missing_permission_ends_everything():
    denied = ServiceError(403, "AccessDenied", "not authorized: cloudwatch:GetMetricData")
    metrics, _ = filled(series(), 5, faults=Faults(errors={0: denied}))
    with pytest.raises(AuthError, match="cloudwatch:GetMetricData"):
        list(executor(metrics).run(plan([Wanted(series())], window(5), NOW).calls))


def test_the_pace_is_that_of_the_slower_quota():
    pace = Pace(calls_per_second=20.0, datapoints_per_second=90_000.0)
    waits = [pace.delay(calls=1, datapoints=90_000, now=0.0) for _ in range(4)]
    assert waits == [0.0, 0.0, 1.0, 2.0]
    assert pace.delay(calls=1, datapoints=0, now=10.0) == 0.0


# -- minutes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("empty_bucket_is_zero", [True, False])
def test_buckets_are_those_of_the_raw_values(empty_bucket_is_zero):
    one = series()
    metrics, truth = filled(one, 30, empty_bucket_is_zero=empty_bucket_is_zero)
    [answer] = executor(metrics).run(plan([Wanted(one)], window(30), NOW).calls)
    tally = Tally()
    for found in observations(answer, tally):
        expected = BlockHistograms.from_values(
            truth[found.minute], np.zeros(40, dtype=int), blocks=1
        ).downscale(3)
        rebuilt = BlockHistograms.from_rows(
            np.zeros(len(found.buckets), dtype=int),
            found.buckets,
            found.bucket_counts,
            blocks=1,
            scale=found.scale,
        )
        assert found.provenance is Provenance.TC
        assert rebuilt.log2_quantile([0.1, 0.5, 0.9]).tolist() == pytest.approx(
            expected.log2_quantile([0.1, 0.5, 0.9]).tolist()
        )
        assert found.sum == pytest.approx(truth[found.minute].sum())
        assert (found.min, found.max) == pytest.approx(
            (truth[found.minute].min(), truth[found.minute].max())
        )
    assert (tally.minutes, tally.inconsistent) == (30, 0)


def test_counts_that_do_not_add_up_leave_only_the_base_statistics():
    one = series()
    metrics, _ = filled(one, 3)
    [answer] = executor(metrics).run(plan([Wanted(one)], window(3), NOW).calls)
    lost = next(
        i
        for i, name in enumerate(answer.call.wanted[0].statistics)
        if name.startswith("TC(") and answer.points[i].at(np.array([NOW - 60]))[0] > 0
    )
    answer.points[lost].values[-1] = np.nan
    tally = Tally()
    kinds = [found.provenance for found in observations(answer, tally)]
    assert kinds == [Provenance.TC, Provenance.TC, Provenance.SCALAR]
    assert tally.inconsistent == 1


def test_percentiles_are_fitted_where_no_buckets_are_bought():
    one = series()
    metrics, truth = filled(one, 60, per_minute=200)
    wanted = Wanted(one, Detail.PERCENTILES)
    [answer] = executor(metrics).run(plan([wanted], window(60), NOW).calls)
    found = list(observations(answer, Tally()))
    assert {o.provenance for o in found} == {Provenance.PERCENTILE_FIT}
    assert sum(o.bucket_counts.sum() for o in found) == 60 * 200
    buckets = np.concatenate([o.buckets for o in found])
    counts = np.concatenate([o.bucket_counts for o in found])
    merged = BlockHistograms.from_rows(np.zeros(len(buckets), dtype=int), buckets, counts, blocks=1)
    raw = np.concatenate(list(truth.values()))
    for p, off in ((0.5, 0.03), (0.9, 0.03), (0.99, 0.05)):
        assert merged.quantile([p])[0] == pytest.approx(np.quantile(raw, p), rel=off)


def test_how_busy_accelerators_were_is_their_mean_in_a_minute():
    options = {
        "account": "123456789012", "region": "eu-west-1", "endpoints": {"chat": ["blue", "ic:a"]},
        "metrics": ["ModelLatency", "GPUUtilization"], "accelerators": {"chat": 4},
        "by_type": {"chat": ["ml.g5.12xlarge/eu-west-1a"]},
    }  # fmt: skip
    wanted = configured_series(options)
    use = [one for one in wanted if one.series.metric == "accelerator_use"]
    assert [(one.series.published.namespace, one.series.dimensions) for one in use] == [
        ("/aws/sagemaker/Endpoints", (("EndpointName", "chat"), ("VariantName", "blue"))),
        ("/aws/sagemaker/InferenceComponents", (("InferenceComponentName", "a"),)),
    ]
    assert [one.failures for one in use] == [(), ()], "requests do not fail in it"
    assert len(wanted) == 2 + 2 + 2
    assert (use[0].statistics, use[0].billed_metrics) == (
        ("SampleCount", "Sum", "Minimum", "Maximum"), 1,
    )  # fmt: skip
    metrics, published = Metrics(NOW), use[0].series.published
    for minute, samples in enumerate(([100.0, 300.0], [0.0])):
        at = int(NOW // 60) - 5 + minute
        metrics.publish(
            published.namespace, "GPUUtilization", use[0].series.dimensions, at, samples
        )
    [answer] = executor(metrics).run(plan(use[:1], window(5), NOW).calls)
    busy, idle = observations(answer, Tally())
    # Four accelerators together in percent.
    assert (busy.count, busy.sum, busy.min, busy.max) == (2, 1.0, 0.25, 0.75)
    assert busy.bucket_counts.tolist() == [2]
    counts = BlockHistograms.from_rows([0], busy.buckets, busy.bucket_counts, blocks=1)
    assert counts.quantile([0.5])[0] == pytest.approx(0.5, rel=0.03)
    assert (idle.sum, idle.buckets.tolist()) == (0.0, [ZERO_BUCKET])


def test_failures_are_asked_with_their_latencies_and_once_for_all_of_them():
    counted = tuple(
        variant_series(one, ACCOUNT, "chat", "blue")
        for one in PUBLISHED
        if one.name in {"Invocations", "Invocation4XXErrors", "Invocation5XXErrors"}
    )
    metrics = [series(), variant_series(PUBLISHED[1], ACCOUNT, "chat", "blue")]
    wanted = [Wanted(one, failures=counted[:3]) for one in metrics]
    (call,) = plan(wanted, window(60), NOW).calls
    assert call.queries == 2 * 115 + 3
    assert call.billed_metrics == 2 * 23 + 3
    assert monthly_dollars(wanted, 3600.0) == pytest.approx(730 * 49e-5)


def test_a_minute_of_failures_alone_is_a_minute():
    one = series()
    counted = tuple(
        variant_series(next(p for p in PUBLISHED if p.name == name), ACCOUNT, "chat", "blue")
        for name in ("Invocations", "Invocation5XXErrors")
    )
    metrics, _ = filled(one, 2)
    for name, values in (("Invocations", np.ones(9)), ("Invocation5XXErrors", np.ones(9))):
        metrics.publish("AWS/SageMaker", name, one.dimensions, int(NOW // 60) - 3, values)
    [answer] = executor(metrics).run(plan([Wanted(one, failures=counted)], window(3), NOW).calls)
    tally = Tally()
    first, *rest = observations(answer, tally)
    assert (first.count, first.errors, first.bucket_counts.tolist()) == (9, 9, [9])
    assert [one.count for one in rest] == [40, 40]
    assert tally.failed == 9


def test_aggregates_by_type_have_a_metric_name_of_their_own():
    one = by_type_series(LATENCY, ACCOUNT, "chat", "blue", zone="eu-west-1a", kind="ml.g5.xlarge")
    metrics, _ = filled(one, 2)
    [answer] = executor(metrics).run(plan([Wanted(one)], window(2), NOW).calls)
    keys = {found.key for found in observations(answer, Tally())}
    assert {(key.metric, key.replica) for key in keys} == {
        ("model_latency_by_type", "type=ml.g5.xlarge,az=eu-west-1a")
    }


def test_requests_in_an_open_outer_bucket_are_not_taken_for_its_neighbours():
    one = series()
    metrics, truth = filled(one, 2)
    key = next(key for key in metrics.values)
    newest = max(truth)
    metrics.values[key][newest] = np.append(truth[newest] * 1e6, 300e6)  # five minutes
    [answer] = executor(metrics).run(plan([Wanted(one)], window(2), NOW).calls)
    tally = Tally()
    kinds = [found.provenance for found in observations(answer, tally)]
    assert kinds == [Provenance.TC, Provenance.SCALAR]
    assert tally.beyond == 1


@pytest.mark.parametrize(("fastest", "below"), [(0.0047, 0), (0.001, 3)])
def test_requests_below_all_buckets_leave_what_is_above_as_exact_as_it_was(fastest, below):
    """The grid begins at 5.07 ms, its neighbouring bucket at 4.65 ms."""
    one = series()
    metrics, truth = filled(one, 2)
    (key,) = metrics.values
    newest = max(truth)
    raw = np.append(truth[newest], [fastest, 0.005, 0.005])
    metrics.values[key][newest] = raw * 1e6
    [answer] = executor(metrics).run(plan([Wanted(one)], window(2), NOW).calls)
    tally = Tally()
    found = list(observations(answer, tally))[-1]
    assert (found.provenance, tally.below, tally.beyond) == (Provenance.TC, below, 0)
    rebuilt = BlockHistograms.from_rows(
        np.zeros(len(found.buckets)), found.buckets, found.bucket_counts, blocks=1, scale=3
    )
    assert (rebuilt.n.sum(), rebuilt.zero.sum()) == (43, below)
    exact = BlockHistograms.from_values(raw, scale=3)
    for p in (0.1, 0.5, 0.9):
        assert rebuilt.quantile([p])[0] == pytest.approx(exact.quantile([p])[0])
    assert np.isfinite(rebuilt.log2_quantile([0.02])[0]) == (below == 0)
