"""nibai's own traces and metrics: off until configured, durations as exponential histograms."""

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nibai.app.onwatch.tally import Tally
from nibai.app.onwatch.telemetry import DURATION, Telemeter, telemeter
from nibai.config import Telemetry
from nibai.errors import StoreError


def test_it_is_off_until_an_address_is_given():
    tally = Tally()
    assert telemeter(Telemetry(), tally) is None
    with tally.span("fold", collector="main") as nothing:
        assert nothing is None


def test_operations_become_spans_and_durations_and_numbers_are_sent():
    tally, spans, reader = Tally(), InMemorySpanExporter(), InMemoryMetricReader()
    own = Telemeter(SimpleSpanProcessor(spans), reader, tally)
    tally.add("nibai_audit_slots_total", 2, task="follow", state="done")
    tally.set("nibai_wal_bytes", 5.0)
    with tally.span("job", job="follow"):
        pass
    with pytest.raises(StoreError), tally.span("fold"):
        raise StoreError("the disk is full")
    (resource,) = reader.get_metrics_data().resource_metrics
    assert resource.resource.attributes["service.name"] == "nibai"
    found = {m.name: m for scope in resource.scope_metrics for m in scope.metrics}
    durations = {p.attributes["operation"]: p for p in found[DURATION].data.data_points}
    assert {name: point.count for name, point in durations.items()} == {"job": 1, "fold": 1}
    assert hasattr(durations["fold"], "scale"), "exponential, as nibai itself reads them"
    (slots,) = found["nibai_audit_slots_total"].data.data_points
    assert (slots.value, dict(slots.attributes)) == (2.0, {"task": "follow", "state": "done"})
    assert found["nibai_wal_bytes"].data.data_points[0].value == 5.0
    job, fold = spans.get_finished_spans()
    assert (job.name, dict(job.attributes)) == ("job", {"job": "follow"})
    assert fold.status.description == "StoreError: the disk is full"
    own.stop()


def test_an_address_that_nobody_serves_holds_nobody_up():
    tally = Tally()
    own = telemeter(Telemetry(endpoint="http://127.0.0.1:9"), tally)
    assert tally.spans == own.span
    own._traces.shutdown()
    own._meters.shutdown(1)
