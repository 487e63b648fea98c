"""What `/metrics` would say: every registered family with every label, by nibai's own encoders."""

import itertools
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from nibai.exposition import (
    NATIVE_TYPE,
    TEXT_TYPE,
    Families,
    HistogramValue,
    encode_native,
    encode_text,
    wants_native,
)
from nibai.histogram import BlockHistograms
from nibai.metric_registry import REGISTRY, MetricType

ENDPOINT = "onprem/tokyo/ocr"
CHANGE = "2026-11-20-int8"
VALUES = {
    "endpoint": (ENDPOINT,),
    "variant": ("int8",),
    "change": (CHANGE,),
    "metric": ("latency", "ttft"),
    "quantile": ("0.5", "0.9", "0.99"),
    "outcome": ("success", "error", "timeout"),
    "kind": ("precision", "container"),
    "claim": ("2x faster at p99", "same predictions within 2%"),
    "segment": ("", "long"),
    "bound": ("estimate", "low", "high"),
    "adjustment": ("raw", "like_for_like"),
    "side": ("baseline", "candidate"),
    "le": ("0.1", "0.2", "0.4"),
    "load_bin": ("0", "1", "2"),
    "feature": ("length",),
    "class": ("yes", "no"),
    "version": ("0.1.0",),
    "collector": ("otlp", "cloudwatch"),
    "reason": ("throttled",),
    "task": ("claims",),
    "result": ("ok", "failed"),
    "state": ("pending", "firing", "done", "skipped"),
    "notifier": ("slack",),
    "moved": ("worse", "answers"),
    "after_final": ("true", "false"),
}
SAMPLE = np.random.default_rng(7).lognormal(np.log(0.12), 0.5, 400)
"""Latencies in seconds that every histogram holds, again and again."""


def families(seconds):
    """Everything that is registered, after so many seconds."""
    found = Families()
    times = max(int(seconds), 0) + 1
    counts = BlockHistograms.from_values(np.tile(SAMPLE, times))
    for family in REGISTRY.values():
        for place, labels in enumerate(itertools.product(*(VALUES[one] for one in family.labels))):
            if family.type is MetricType.HISTOGRAM:
                value = HistogramValue(counts, float(SAMPLE.sum() * times))
            elif family.type is MetricType.COUNTER:
                value = 10 * seconds + place
            elif family.name.endswith("timestamp_seconds"):
                value = time.time() - 3600
            else:
                value = 0.5 + place / 100
            found.put(family.name, labels, value)
    return found.done()


@contextmanager
def served():
    """Serve /metrics as nibai does, in the form that is asked for; the address as HOST:PORT."""
    start = time.monotonic()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self):
            native = wants_native(self.headers.get("Accept", ""))
            found = families(time.monotonic() - start)
            body = encode_native(found, 160) if native else encode_text(found)
            self.send_response(200)
            self.send_header("Content-Type", NATIVE_TYPE if native else TEXT_TYPE)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
