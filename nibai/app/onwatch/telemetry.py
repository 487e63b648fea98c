"""Own traces and metrics through OpenTelemetry's SDK; nothing of it is loaded until asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import nibai
from nibai.app.onwatch.tally import Tally
from nibai.config import Telemetry
from nibai.metric_registry import REGISTRY, MetricType

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import SpanProcessor

DURATION = "nibai.operation.duration"
SHUTDOWN_MILLISECONDS = 5000


class Telemeter:
    """Sends spans, durations as exponential histograms, and the tally's numbers."""

    def __init__(self, processor: SpanProcessor, reader: MetricReader, tally: Tally) -> None:
        from opentelemetry.sdk.metrics import Histogram, MeterProvider  # noqa: PLC0415 - 0.2 s
        from opentelemetry.sdk.metrics.view import (  # noqa: PLC0415 - same
            ExponentialBucketHistogramAggregation,
            View,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - same

        resource = Resource.create({"service.name": "nibai", "service.version": nibai.__version__})
        view = View(instrument_type=Histogram, aggregation=ExponentialBucketHistogramAggregation())
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(processor)
        self._meters = MeterProvider([reader], resource, shutdown_on_exit=False, views=[view])
        self._tracer = self._traces.get_tracer("nibai", nibai.__version__)
        meter = self._meters.get_meter("nibai", nibai.__version__)
        tally.spans = self.span
        self._duration = meter.create_histogram(DURATION, "s", "Time that an operation took")
        for name, exported in REGISTRY.items():
            if exported.internal and exported.type is not MetricType.HISTOGRAM:
                counter = exported.type is MetricType.COUNTER
                make = meter.create_observable_counter if counter else meter.create_observable_gauge
                make(name, [_reading(tally, name)], exported.unit, exported.help)

    @contextmanager
    def span(self, operation: str, **attributes: str) -> Iterator[object]:
        """The time of an operation."""
        began = time.perf_counter()
        with self._tracer.start_as_current_span(operation, attributes=attributes) as span:
            try:
                yield span
            finally:
                seconds = time.perf_counter() - began
                self._duration.record(seconds, {"operation": operation})

    def stop(self) -> None:
        """Send what is left; a receiver that is gone holds nobody up for long."""
        self._traces.force_flush(SHUTDOWN_MILLISECONDS)
        self._traces.shutdown()
        self._meters.shutdown(SHUTDOWN_MILLISECONDS)


def telemeter(config: Telemetry, tally: Tally, token: str | None = None) -> Telemeter | None:
    """Own telemetry as it is configured; from now on the tally's spans go there too.

    `token` is what the section's reference stands for.
    """
    if config.endpoint is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - 0.3 s
        OTLPMetricExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - same
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415 - same
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - same

    base = config.endpoint.rstrip("/")
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{base}/v1/metrics", headers=headers),
        export_interval_millis=config.every * 1000,
    )
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces", headers=headers))
    return Telemeter(processor, reader, tally)


def _reading(tally: Tally, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    labels = REGISTRY[name].labels

    def read(_options: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - loaded by now

        for values, number in tally.numbers().get(name, {}).items():
            yield Observation(number, dict(zip(labels, values, strict=True)))

    return read
