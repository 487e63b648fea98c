"""A metric's unit is asked once before it is read; another unit stops that metric only."""

import pytest
from fakeaws.metrics import Metrics, ServiceError

from collector.aws.errors import DeniedError
from collector.cloudwatch.cadence import Due
from collector.cloudwatch.plan import Wanted
from collector.cloudwatch.series import PUBLISHED, variant_series
from collector.cloudwatch.units import BACK_SECONDS, Units, mark
from nibai.errors import AuthError, CollectError
from nibai.model import Window

NOW = 1_764_000_000.0 // 3600 * 3600
ACCOUNT = "123456789012.eu-west-1"
LATENCY, OVERHEAD = PUBLISHED[:2]
USE = next(one for one in PUBLISHED if one.name == "GPUUtilization")
BEDROCK = next(one for one in PUBLISHED if one.name == "InvocationLatency")


class Client:
    """The fake behind the client's seam."""

    def __init__(self, metrics, error=None):
        self.metrics, self.error = metrics, error

    def get_metric_statistics(self, **request):
        if self.error is not None:
            raise self.error
        return self.metrics.get_metric_statistics(**request)


def filled(*names, variant="blue"):
    metrics = Metrics(NOW)
    for published in names:
        series = variant_series(published, ACCOUNT, "chat", variant)
        metrics.publish(published.namespace, published.name, series.dimensions, int(NOW // 60) - 9,
                        [1000.0])  # fmt: skip
    return metrics


def due(*names, variants=("blue",)):
    window = Window(NOW - 3600, NOW)
    return [
        Due(Wanted(variant_series(one, ACCOUNT, "chat", variant)), window, "mark", NOW)
        for one in names
        for variant in variants
    ]


def asked(units, ready, known=(), ranges=()):
    return list(units.ask(ready, dict.fromkeys(known, NOW), dict.fromkeys(ranges, (1.0, 2.0))))


def test_every_metric_is_asked_once_whatever_the_number_of_its_series():
    metrics = filled(LATENCY, OVERHEAD)
    ready = due(LATENCY, OVERHEAD, variants=("blue", "green"))
    units = Units(Client(metrics), lambda: NOW)
    parts = asked(units, ready)
    assert metrics.unit_requests == ["ModelLatency", "OverheadLatency"]
    assert [dict(part.read_until) for part in parts] == [
        {mark(LATENCY): NOW},
        {mark(OVERHEAD): NOW},
    ]
    assert sum(part.dollars for part in parts) == pytest.approx(2e-5)
    assert not any(part.settled for part in parts)
    assert asked(units, ready, (mark(LATENCY), mark(OVERHEAD))) == []
    assert units.readable(ready) == ready
    assert parts[0].window == Window(NOW - BACK_SECONDS, NOW)


def test_another_unit_stops_that_metric_with_one_error_and_is_asked_again():
    metrics = filled(LATENCY, OVERHEAD)
    metrics.units["ModelLatency"] = "Milliseconds"
    ready = due(LATENCY, OVERHEAD, variants=("blue", "green"))
    units = Units(Client(metrics), lambda: NOW)
    parts = asked(units, ready)
    [problem] = [one for part in parts for one in part.problems]
    assert problem == (
        "AWS/SageMaker ModelLatency: CloudWatch says Milliseconds where nibai reads Microseconds: "
        "nothing of it is read; leave it out (metrics in nibai.yaml) and report it with what nibai "
        "doctor --save-fixtures FOLDER saves"
    )
    assert dict(parts[0].read_until) == {}
    assert [one.wanted.series.published for one in units.readable(ready)] == [OVERHEAD] * 2
    metrics.units["ModelLatency"] = "Microseconds"
    assert [part.problems for part in asked(units, ready)] == [(), ()]
    assert units.readable(ready) == ready


def test_bedrocks_latencies_are_milliseconds():
    ready = due(BEDROCK)
    assert asked(Units(Client(filled(BEDROCK)), lambda: NOW), ready)[0].problems == ()
    metrics = filled(BEDROCK)
    metrics.units["InvocationLatency"] = "Seconds"
    [part] = asked(Units(Client(metrics), lambda: NOW), ready)
    assert "CloudWatch says Seconds where nibai reads Milliseconds" in part.problems[0]


def test_how_busy_accelerators_were_is_told_in_percent():
    ready = due(USE)
    [part] = asked(Units(Client(filled(USE)), lambda: NOW), ready)
    assert (part.problems, dict(part.read_until)) == ((), {mark(USE): NOW})
    metrics = filled(USE)
    metrics.units["GPUUtilization"] = "None"
    [part] = asked(Units(Client(metrics), lambda: NOW), ready)
    assert "GPUUtilization: CloudWatch says None where nibai reads Percent" in part.problems[0]


def test_a_series_that_has_something_is_asked_about():
    metrics = filled(LATENCY, variant="green")
    ready = due(LATENCY, variants=("blue", "green"))
    [part] = asked(Units(Client(metrics), lambda: NOW), ready)
    assert (dict(part.read_until), part.problems) == ({}, ()), "nothing of blue: asked next time"
    other = [
        Due(Wanted(variant_series(LATENCY, ACCOUNT, "busy", "green")), ready[0].window, "m", NOW)
    ]
    metrics.publish("AWS/SageMaker", "ModelLatency", other[0].wanted.series.dimensions,
                    int(NOW // 60) - 9, [1.0])  # fmt: skip
    known = [(other[0].wanted.series.endpoint, "model_latency")]
    [part] = asked(Units(Client(metrics), lambda: NOW), [*ready, *other], ranges=known)
    assert mark(LATENCY) in part.read_until


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (
            DeniedError("refused", "cloudwatch:GetMetricStatistics"),
            "units taken as documented: cloudwatch:GetMetricStatistics is refused, allow it",
        ),
        (CollectError("slow down"), "units not checked now (slow down)"),
    ],
)
def test_where_it_cannot_be_asked_the_metric_is_read_and_that_is_said(error, note):
    ready = due(LATENCY)
    units = Units(Client(filled(LATENCY), error), lambda: NOW)
    [part] = asked(units, ready)
    assert (dict(part.notes), dict(part.read_until)) == ({note: 1}, {})
    assert units.readable(ready) == ready


def test_without_credentials_nothing_goes_on():
    units = Units(Client(filled(LATENCY), AuthError("expired")), lambda: NOW)
    with pytest.raises(AuthError):
        asked(units, due(LATENCY))


def test_the_fake_keeps_the_limit_of_its_service():
    with pytest.raises(ServiceError, match="1,440"):
        filled(LATENCY).get_metric_statistics(
            Namespace="AWS/SageMaker", MetricName="ModelLatency", Dimensions=[], Period=60,
            StartTime=NOW - 86_460, EndTime=NOW, Statistics=["Sum"],
        )  # fmt: skip
