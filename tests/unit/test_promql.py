"""Histograms by PromQL: three forms of answers, delta and cumulative, whole or saying it is not."""

import math

import numpy as np
import pytest
from fakeaws.promql import Promql

from collector.promql.answers import matrix
from collector.promql.asking import Asker, Selection
from collector.promql.buckets import binned, from_fractions
from collector.promql.client import PromqlClient, bearer, unsigned
from collector.promql.discovery import discovered
from collector.promql.reading import read
from collector.promql.selectors import selector
from collector.promql.source import Cadence, PromqlSource
from collector.promql.wanted import Kind, Temporality, Wanted
from nibai.errors import AuthError, CollectError, SchemaError, ThrottledError
from nibai.histogram import ZERO_BUCKET, BlockHistograms
from nibai.model import Provenance, SeriesKey, Window

START = 1_764_000_000.0 // 3600 * 3600
WINDOW = Window(START, START + 600)
NAME = "ModelLatency"


def traffic(seed=1, minutes=10, per_minute=40, median=0.1):
    """Times and latencies in seconds; none on a minute's end, where forms may differ by one."""
    rng = np.random.default_rng(seed)
    times = START + np.sort(rng.uniform(0.01, 60 * minutes, per_minute * minutes))
    return times, median * np.exp(rng.normal(0, 0.4, len(times)))


def key(metric="latency"):
    def of(labels):
        if "VariantName" not in labels:
            return None
        return SeriesKey("sagemaker/1.eu/chat", labels["VariantName"], "", "", metric)

    return of


def server(*, labels=({"VariantName": "blue"},), **options):
    fields = [(one, *traffic(i)) for i, one in enumerate(labels)]
    return Promql({NAME: fields}, **options)


def client(fake, sign=unsigned, tries=3):
    waits = []
    made = PromqlClient("http://p", fake.http, sign, waits.append, tries=tries)
    return made, waits


def wanted(**options):
    return Wanted("latency", (NAME,), key(), **options)


def everything(fake, window=WINDOW, want=None):
    """All observations of a window, and the reading."""
    asked, _ = client(fake)
    want = want or wanted()
    names = asked.label_values("__name__", None, None)
    found = discovered(asked, want, names, window)
    return read(Asker(asked), found, window)


def truth(seed=0):
    times, values = traffic(seed)
    return [values[(times > START + 60 * i) & (times <= START + 60 * (i + 1))] for i in range(10)]


def whole(observations):
    rows = [
        (0, int(b), int(n), o.scale)
        for o in observations
        for b, n in zip(o.buckets, o.bucket_counts, strict=True)
    ]
    scale = min(scale for *_, scale in rows)
    block, bucket, count, scales = zip(*rows, strict=True)
    shifted = [b >> (s - scale) for b, s in zip(bucket, scales, strict=True)]
    return BlockHistograms.from_rows(block, shifted, count, blocks=1, scale=scale)


# -- forms of answers -----------------------------------------------------------------------

FORMS = [
    ("native", "delta", Provenance.EXACT, 0.045),
    ("native", "cumulative", Provenance.EXACT, 0.045),
    ("classic", "cumulative", Provenance.TC, 0.5),
    ("classic", "delta", Provenance.TC, 0.5),
    ("floats", "delta", Provenance.TC, 0.05),
    ("floats", "cumulative", Provenance.TC, 0.05),
]


@pytest.mark.parametrize("closed_left", [False, True])
@pytest.mark.parametrize(("form", "temporality", "provenance", "off"), FORMS)
def test_every_form_gives_the_requests_of_every_minute(
    form, temporality, provenance, off, closed_left
):
    fake = server(form=form, temporality=temporality, closed_left=closed_left)
    done = everything(fake)
    assert [one.count for one in done.observations] == [len(one) for one in truth()]
    assert [one.minute for one in done.observations] == [int(START // 60) + i for i in range(10)]
    assert {one.provenance for one in done.observations} == {provenance}
    values = np.concatenate(truth())
    assert sum(one.sum for one in done.observations) == pytest.approx(values.sum(), rel=1e-9)
    for p in (0.5, 0.9):
        assert whole(done.observations).quantile([p])[0] == pytest.approx(
            np.quantile(values, p), rel=off
        )
    for one, values in zip(done.observations, truth(), strict=True):
        if provenance is Provenance.EXACT:
            assert one.min <= values.min()
            assert values.max() <= one.max * (1 + 1e-9)


def test_without_shares_quantiles_are_fitted():
    done = everything(server(form="floats", fractions=False))
    assert {one.provenance for one in done.observations} == {Provenance.PERCENTILE_FIT}
    values = np.concatenate(truth())
    assert whole(done.observations).quantile([0.5])[0] == pytest.approx(
        np.quantile(values, 0.5), rel=0.05
    )


def test_native_buckets_of_another_scale_are_kept_or_joined():
    for schema, scale in ((0, 0), (3, 3), (5, 5), (8, 5)):
        done = everything(server(schema=schema))
        assert {one.scale for one in done.observations} == {scale}
        assert {one.provenance for one in done.observations} == {Provenance.EXACT}


def test_units_that_are_no_power_of_two_cost_the_grid_and_no_request():
    fake = server(schema=3)
    done = everything(fake, want=wanted(factor=1e-3))
    assert {one.provenance for one in done.observations} == {Provenance.TC}
    assert sum(one.count for one in done.observations) == 400
    values = np.concatenate(truth()) * 1e-3
    assert {one.scale for one in done.observations} == {3}
    assert whole(done.observations).quantile([0.5])[0] == pytest.approx(
        np.quantile(values, 0.5), rel=0.09
    )


def test_a_process_that_starts_anew_is_counted_from_zero():
    for form in ("native", "classic"):
        fake = server(form=form, temporality="cumulative", resets=(START + 240.001,))
        done = everything(fake)
        assert [one.count for one in done.observations] == [len(one) for one in truth()]
        assert done.minutes.restarts == 1


def test_several_series_of_one_variant_add_up_and_unmapped_ones_are_counted():
    fake = server(labels=({"VariantName": "blue", "az": "a"}, {"VariantName": "blue", "az": "b"},
                          {"other": "x"}))  # fmt: skip
    done = everything(fake)
    assert sum(one.count for one in done.observations) == 800
    assert done.minutes.unmapped == 1


def test_counters_are_what_was_added_and_gauges_what_was_there():
    tokens = [({"VariantName": "blue"}, START + 60.0 * np.arange(1, 10), np.arange(1, 10) * 10.0)]
    fake = Promql({}, counters={"tokens_total": tokens}, temporality="cumulative")
    want = Wanted("output_tokens", ("tokens_total",), key("output_tokens"), Kind.COUNTER)
    done = everything(fake, want=want)
    assert [one.sum for one in done.observations] == [10.0 * i for i in range(1, 10)] + [0.0]
    assert {one.count for one in done.observations} == {1}
    two = [({"VariantName": "blue", "gpu": f"{i}"}, START + 60.0 * np.arange(1, 4), [level] * 3)
           for i, level in enumerate((50.0, 100.0))]  # fmt: skip
    gpus = Promql({}, counters={"DCGM_FI_DEV_GPU_UTIL": two}, temporality="cumulative")
    use = Wanted("accelerator_use", ("DCGM_FI_DEV_GPU_UTIL",), key("accelerator_use"), Kind.GAUGE,
                 0.01)  # fmt: skip
    first = everything(gpus, want=use).observations[0]
    assert (first.count, first.sum) == (2, 1.5), "a sample of each, in the same series"
    gauge = Wanted("instances", ("tokens_total",), key("instances"), Kind.GAUGE)
    assert everything(fake, want=gauge).observations[-1].sum == 450.0


def test_requests_above_the_largest_bucket_stand_above_it_and_are_told():
    times, values = traffic()
    fake = Promql({NAME: [({"VariantName": "blue"}, times, values)]}, form="classic",
                  bounds=(0.05, 0.1))  # fmt: skip
    done = everything(fake)
    assert done.minutes.beyond == (values > 0.1).sum()
    assert sum(one.count for one in done.observations) == 400


# -- buckets --------------------------------------------------------------------------------


def test_zero_open_and_uneven_buckets():
    zero = binned([(-1e-128, 1e-128, 5.0), (1.0, 2.0, 1.0)], [(1.0, 2.0)])
    assert dict(zero.rows) == {ZERO_BUCKET: 5.0, 0: 1.0}
    odd = binned([(0.0, 1.0, 4.0), (1.0, 2.5, 8.0), (2.5, math.inf, 2.0)], [(0.0, 1.0), (1, 2.5)])
    assert not odd.exact
    assert odd.scale == 0
    assert sum(odd.rows.values()) == pytest.approx(14)
    assert odd.rows[-1] == 4.0
    assert odd.beyond == 2.0
    assert binned([], []).rows == {}


def test_rounding_never_loses_a_request():
    thirds = binned([(1.0, 3.0, 1.0), (3.0, 9.0, 1.0), (9.0, 27.0, 1.0)],
                    [(1.0, 3.0), (3.0, 9.0), (9.0, 27.0)])  # fmt: skip
    assert thirds.whole()[1].sum() == 3


def test_shares_out_of_order_are_raised():
    assert from_fractions({1.0: 0.5, 2.0: 0.4, 3.0: 1.0}, 10) == [
        (0.0, 1.0, 5.0), (1.0, 2.0, 0.0), (2.0, 3.0, 5.0), (3.0, math.inf, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data": {"resultType": "vector", "result": []}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1]]}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "x"]]}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "histograms": [[1, {}]]}]}},
    ],
)
def test_answers_of_another_shape_are_told(document):
    with pytest.raises(SchemaError, match="PromQL: the answer"):
        matrix(document)


# -- whole answers ----------------------------------------------------------------------------


def many(n):
    return [{"VariantName": f"v{i // 5}", "InstanceId": f"i{i % 5}"} for i in range(n)]


def test_a_truncated_answer_is_asked_again_by_label():
    fake = server(labels=many(20), most_series=6)
    done = everything(fake)
    assert sum(one.count for one in done.observations) == 20 * 400
    assert done.warnings == ()
    assert sum(path == "query_range" for _, path, _ in fake.asked) > 4


def test_what_cannot_be_split_is_partial_and_is_not_counted_as_read():
    fake = server(labels=many(20), most_series=0)
    fake.most_series = 1
    # Instances that tell nothing apart: the same labels twice.
    fake.requests[NAME] = [({"VariantName": "v"}, *traffic(i)) for i in range(3)]
    source, _ = pulling(fake)
    parts = list(source.pull({}))
    assert all(part.read_until == {} for part in parts)
    assert "PromQL: results truncated to 1 series" in parts[0].notes
    [name] = source.series
    again = [one for part in source.pull({name: START + 300}) for one in part.observations]
    assert min(one.minute for one in again) == START // 60 + 5, "what was read whole stays whole"


def pulling(fake, want=None, now=START + 660, **cadence):
    asked, waits = client(fake)
    made = PromqlSource(
        asked, [want or wanted()], Cadence(**{"backfill_seconds": 660, **cadence}),
        clock=lambda: now, dollars_per_sample=1e-8,
    )  # fmt: skip
    return made, waits


def test_a_source_reads_on_from_where_it_stands():
    fake = server()
    source, _ = pulling(fake)
    [name] = source.series
    assert name == "promql/latency/ModelLatency/"
    [part] = source.pull({})
    assert part.read_until == {name: START + 600, f"unit:{name}": START + 600}
    assert sum(one.count for one in part.observations) == 400
    assert part.dollars == pytest.approx(10e-8)
    [again] = source.pull({name: START + 600})
    assert [one.minute for one in again.observations] == [
        int(START // 60) + i for i in range(5, 10)
    ]
    assert source.preview({name: START + 600}).calls == 1
    assert list(source.pull({name: START + 900})) == []


def test_long_stretches_are_asked_day_by_day():
    fake = server()
    source, _ = pulling(fake, now=START + 3 * 86400, backfill_seconds=3 * 86400.0)
    planned = source.preview({})
    parts = list(source.pull({}))
    assert planned.calls == len(parts) == 3
    ranges = [float(f["end"]) - float(f["start"]) for _, path, f in fake.asked
              if path == "query_range" and f["query"].startswith("sum_over")]  # fmt: skip
    assert max(ranges) <= 86400


def test_too_much_is_asked_in_halves():
    fake = server(temporality="cumulative")
    fake.longest = 600
    source, _ = pulling(fake, now=START + 7260, backfill_seconds=7260)
    parts = list(source.pull({}))
    assert sum(one.count for part in parts for one in part.observations) == 400
    assert [part.window.seconds for part in parts][:-1] == [480.0] * (len(parts) - 1)
    assert parts[-1].read_until[source.series[0]] == START + 7200
    assert sum(part.dollars for part in parts) == pytest.approx(
        1e-8 * source._client.metered.samples
    )
    fake.longest = 10
    [part] = source.pull({})
    assert part.problems[0].startswith("ModelLatency: PromQL at http://p: not executed (422): ")
    assert part.read_until == {}


def test_no_more_is_held_than_fits(monkeypatch):
    monkeypatch.setattr("collector.promql.asking.MOST_SAMPLES", 15)
    monkeypatch.setattr("collector.promql.source.SHORTEST_SECONDS", 60.0)
    source, _ = pulling(server(labels=many(2)), now=START + 660)
    parts = list(source.pull({}))
    assert sum(one.count for part in parts for one in part.observations) == 800
    assert len(parts) == 2


def test_a_throttling_server_is_waited_for():
    fake = server()
    fake.failures = [(429, "slow down"), (503, "busy")]
    source, waits = pulling(fake)
    [part] = source.pull({})
    assert len(part.observations) == 10
    assert waits == [0.5, 1.0]
    fake.failures = [(429, "slow down")] * 9
    asked, _ = client(fake)
    with pytest.raises(ThrottledError, match="throttled"):
        asked.label_values("__name__", None, None)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, AuthError, "refused (401): no: check token or permissions"),
        (403, AuthError, "refused (403): no"),
        (404, CollectError, "404: no"),
        (302, CollectError, "302: no"),
    ],
)
def test_refusals_say_what_and_no_token(status, kind, said):
    fake = server()
    fake.failures = [(status, "no")] * 9
    asked, _ = client(fake, bearer("hush-hush"))
    with pytest.raises(kind) as caught:
        asked.query_range("up", WINDOW, 60.0)
    assert str(caught.value) == f"PromQL at http://p: {said}" or said in str(caught.value)
    assert "hush" not in str(caught.value)
    assert fake.headers[0]["Authorization"] == "Bearer hush-hush"


def test_an_unknown_name_is_told_with_its_likes():
    fake = server()
    source, _ = pulling(fake, Wanted("latency", ("Model_latency_seconds",), key()))
    [part] = source.pull({})
    [problem] = part.problems
    assert problem == (
        "PromQL: no series Model_latency_seconds{}; there are ModelLatency: check the name under "
        "metrics"
    )


def test_what_is_no_prometheus_is_told():
    made = PromqlClient("http://p", lambda *_: (200, b"<html>"), unsigned, lambda _: None)
    with pytest.raises(SchemaError, match="is the address that of a Prometheus API"):
        made.label_values("__name__", None, None)


# -- selectors --------------------------------------------------------------------------------


def test_selectors_escape_what_they_are_given():
    assert selector("m", [("a", 'x"} or up{b="')]) == 'm{a="x\\"} or up{b=\\""}'
    assert selector("a.b", [("c.d", "e\\")]) == '{"a.b","c.d"="e\\\\"}'
    assert Selection("m").having("k", "v").text == 'm{k="v"}'


def test_the_temporality_is_that_of_the_label_or_as_usual():
    asked, _ = client(server(labelled=False))
    found = discovered(asked, wanted(otherwise=Temporality.DELTA), [NAME], WINDOW)
    assert found.temporality is Temporality.DELTA
    assert discovered(asked, wanted(temporality=Temporality.DELTA), [NAME], WINDOW).classic is False
    assert discovered(asked, wanted(), ["other"], WINDOW) is None
