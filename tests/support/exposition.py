"""What `/metrics` would say, made from the registry: every family, every label, rising counters."""

import itertools
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
    "le": ("0.1", "0.2", "0.4", "+Inf"),
    "load_bin": ("0", "1", "2"),
    "feature": ("length",),
    "class": ("yes", "no"),
    "version": ("0.1.0",),
    "collector": ("otlp", "cloudwatch"),
    "reason": ("throttled",),
    "job": ("claims",),
    "result": ("ok", "failed"),
    "state": ("pending", "firing", "done", "skipped"),
    "notifier": ("slack",),
}
BUCKETS = ("0.1", "0.2", "0.4", "0.8", "+Inf")


def text(seconds):
    """The classic text after so many seconds; every verdict and ratio is some number."""
    lines = []
    for family in REGISTRY.values():
        lines.append(f"# TYPE {family.name} {family.type}")
        for place, labels in enumerate(_combinations(family.labels)):
            if family.type is MetricType.HISTOGRAM:
                lines += _histogram(family.name, labels, seconds)
            elif family.type is MetricType.COUNTER:
                lines.append(f"{family.name}{_written(labels)} {10 * seconds + place}")
            elif family.name.endswith("timestamp_seconds"):
                lines.append(f"{family.name}{_written(labels)} {time.time() - 3600}")
            else:
                lines.append(f"{family.name}{_written(labels)} {0.5 + place / 100}")
    return "\n".join(lines) + "\n"


@contextmanager
def served(body=text, kind="text/plain; version=0.0.4"):
    """Serve `body(seconds)` at /metrics; the address as HOST:PORT."""
    start = time.monotonic()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = body(time.monotonic() - start).encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _combinations(names):
    for values in itertools.product(*(VALUES[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def _histogram(name, labels, seconds):
    counts = [round(seconds * 5 * (place + 1)) for place in range(len(BUCKETS))]
    lines = [
        f"{name}_bucket{_written({**labels, 'le': le})} {count}"
        for le, count in zip(BUCKETS, counts, strict=True)
    ]
    return [
        *lines,
        f"{name}_sum{_written(labels)} {counts[-1] * 0.2}",
        f"{name}_count{_written(labels)} {counts[-1]}",
    ]


def _written(labels):
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
