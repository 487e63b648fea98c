"""Time-lapse: weeks of requests in seconds, with latencies that were just measured.

A verdict on live windows needs days, which nobody waits for in a demo. So the clock is compressed:
every request of the past gets the time of day of a request long ago and the latency of one that
was measured here a moment ago, drawn at random. The measurement is real, its clock is not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from nibai.errors import CollectError

SPANS_A_BATCH = 20_000
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
MOST_TRIES = 120


Latency = tuple[str, float]
"""Segment and seconds of a measured request."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time from `start` to `end` (seconds since the epoch), filled with these latencies."""

    start: float
    end: float
    measured: Sequence[Latency]


def fill(
    url: str,
    resource: dict[str, str],
    stretches: Sequence[Stretch],
    per_minute: float,
    seed: int,
) -> int:
    """Send all of it to a receiver's `/v1/traces`; the number of requests."""
    dice = random.Random(seed)  # noqa: S311 - reproducible order
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    sent = 0
    try:
        for stretch in stretches:
            for moments in _batches(stretch, per_minute):
                _post(connection, _request(resource, moments, stretch, dice))
                sent += len(moments)
    finally:
        connection.close()
    return sent


def _batches(stretch: Stretch, per_minute: float) -> Iterator[list[float]]:
    count = int((stretch.end - stretch.start) / 60 * per_minute)
    step = (stretch.end - stretch.start) / max(count, 1)
    for first in range(0, count, SPANS_A_BATCH):
        last = min(first + SPANS_A_BATCH, count)
        yield [stretch.start + (place + 0.5) * step for place in range(first, last)]


def _request(
    resource: dict[str, str], moments: Sequence[float], stretch: Stretch, dice: random.Random
) -> bytes:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, value in resource.items():
        group.resource.attributes.add(key=key).value.string_value = value
    spans = group.scope_spans.add().spans
    for moment in moments:
        segment, seconds = dice.choice(stretch.measured)
        start = round(moment * 1e9)
        span = spans.add(
            trace_id=dice.randbytes(16),
            span_id=dice.randbytes(8),
            kind=Span.SPAN_KIND_SERVER,
            name="POST /v1/classify",
            start_time_unix_nano=start,
            end_time_unix_nano=start + round(seconds * 1e9),
        )
        span.attributes.add(key="nibai.segment").value.string_value = f"tokens={segment}"
    return message.SerializeToString()


def _post(connection: HTTPConnection, body: bytes) -> None:
    for _ in range(MOST_TRIES):
        connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == HTTPStatus.OK:
            return
        if answer.status not in BUSY:
            raise CollectError(f"the receiver answers {answer.status}: {said[:200]!r}")
        time.sleep(float(answer.headers.get("Retry-After") or 1))
    raise CollectError("the receiver stays busy: see the log")
