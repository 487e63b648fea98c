"""The parts of `make watch-demo` that need no model: the time-lapse, and what the terminal says."""

import json
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from demo.watch.lapse import Stretch, fill
from demo.watch.terminal import Terminal, lines
from nibai.errors import CollectError

RESOURCE = {"nibai.endpoint": "demo/lapse/docstrings", "nibai.variant": "prod"}
BEFORE = Stretch(0.0, 3600.0, [("short", 0.5), ("long", 1.5)])
AFTER = Stretch(3600.0, 7200.0, [("short", 0.25)])


@contextmanager
def receiver(*statuses):
    """Takes OTLP, after these statuses; what it took."""
    taken, waiting = [], list(statuses)

    class Take(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            status = waiting.pop(0) if waiting else 200
            if status == 200:
                taken.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", taken
    finally:
        server.shutdown()
        server.server_close()


def test_every_minute_of_the_past_gets_measured_latencies():
    with receiver(429, 503) as (url, taken):
        assert fill(url, RESOURCE, [BEFORE, AFTER], 20.0, 1) == 2400
    before, after = (message.resource_spans[0].scope_spans[0].spans for message in taken)
    starts = [span.start_time_unix_nano / 1e9 for span in before]
    assert [sum(60 * m <= at < 60 * (m + 1) for at in starts) for m in range(60)] == [20] * 60
    seconds = {(s.end_time_unix_nano - s.start_time_unix_nano) / 1e9 for s in before}
    assert seconds == {0.5, 1.5}
    assert {span.attributes[0].value.string_value for span in after} == {"tokens=short"}
    named = {
        one.key: one.value.string_value for one in taken[0].resource_spans[0].resource.attributes
    }
    assert named == RESOURCE


def test_a_receiver_that_refuses_is_an_error():
    with receiver(400) as (url, _), pytest.raises(CollectError, match="the receiver answers 400"):
        fill(url, RESOURCE, [AFTER], 1.0, 1)


def test_alerts_are_printed_as_they_arrive():
    alert = {
        "status": "firing",
        "labels": {"alertname": "NibaiClaimRefuted", "severity": "critical", "claim": "c"},
        "annotations": {"title": "“2x faster” is refuted", "figures": "p50\np99"},
    }
    with Terminal() as terminal:
        connection = HTTPConnection(terminal.url.removeprefix("http://").rstrip("/"))
        connection.request("POST", "/", json.dumps({"alerts": [alert]}))
        assert connection.getresponse().status == 200
        connection.close()
        assert lines(terminal.told.get(timeout=5)) == [
            "FIRING NibaiClaimRefuted",
            "  claim=c severity=critical",
            "  figures: p50",
            "    p99",
            "  title: “2x faster” is refuted",
        ]
