"""One replica of the service: a process that classifies docstrings and reports spans by OTLP.

`python -m demo.service --graph … --tokenizer … --head … --variant … --replica … --otlp URL` prints
its port and serves until SIGTERM; then it flushes its spans and prints how many it sent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from demo.model import Encoder

ENDPOINT = "demo/local/docstrings"


class Classifier:
    """Embedding and logistic head of one variant."""

    def __init__(self, graph: Path, tokenizer: Path, head: Path) -> None:
        self._encoder = Encoder(graph, tokenizer)
        with np.load(head, allow_pickle=False) as saved:
            self._weights, self._bias = saved["weights"], saved["bias"]
            self._classes = [str(name) for name in saved["classes"]]

    def embed(self, texts: list[str]) -> np.ndarray:
        """The model proper."""
        return self._encoder.embed(texts)

    def label(self, embeddings: np.ndarray) -> list[dict[str, Any]]:
        """Label, score and margin (top 1 - top 2) of each embedding."""
        logits = embeddings @ self._weights.T + self._bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1)[:, :2]
        return [
            {
                "label": self._classes[first],
                "score": float(row[first]),
                "margin": float(row[first] - row[second]),
            }
            for row, (first, second) in zip(shares, best, strict=True)
        ]


def handler(classifier: Classifier, tracer: Any, counter: dict[str, int]) -> type:  # noqa: ANN401 - OTel's tracer
    """The request handler of one replica."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Small answers on a kept connection: Nagle's algorithm and a delayed acknowledgement
        # together would stall some of them for 40 ms. Both of these are needed against it.
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            """A route that does nothing: what the set-up itself costs."""
            self._answer(200, b"{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("x-warm-up"):
                texts = json.loads(body)["texts"]
                self._answer(200, json.dumps(classifier.label(classifier.embed(texts))).encode())
                return
            with tracer.start_as_current_span("POST /v1/classify", kind=SpanKind.SERVER) as span:
                counter["requests"] += 1
                try:
                    self._classify(span, body)
                except Exception as error:
                    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                    self._answer(500, b"{}")
                    raise

        def _classify(self, span: Any, body: bytes) -> None:  # noqa: ANN401 - OTel's span
            texts = json.loads(body)["texts"]
            segment = f"tokens={self.headers.get('x-segment', 'unknown')}"
            span.set_attribute("nibai.segment", segment)
            span.set_attribute("nibai.request_id", self.headers.get("x-request-id", ""))
            digest = hashlib.blake2b(body, digest_size=8).hexdigest()
            span.set_attribute("nibai.input_hash", digest)
            with tracer.start_as_current_span("model") as inner:
                inner.set_attribute("nibai.metric", "model_latency")
                inner.set_attribute("nibai.segment", segment)
                embeddings = classifier.embed(texts)
            answers = classifier.label(embeddings)
            for name, value in answers[0].items():
                span.set_attribute(f"nibai.{name}", value)
            self._answer(200, json.dumps(answers).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    return Handler


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    for name in ("graph", "tokenizer", "head", "variant", "replica", "otlp"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo decides when to stop
    classifier = Classifier(Path(given.graph), Path(given.tokenizer), Path(given.head))
    resource = Resource.create(
        {
            "service.name": "docstrings",
            "nibai.endpoint": ENDPOINT,
            "nibai.variant": given.variant,
            "nibai.replica": given.replica,
        }
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{given.otlp}/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=1 << 16, schedule_delay_millis=1000)
    )
    counter = {"requests": 0}
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), handler(classifier, provider.get_tracer("demo"), counter)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201 - read by the demo
    stop.wait()
    server.shutdown()
    flushed = provider.force_flush(30_000)
    provider.shutdown()
    print(json.dumps({"requests": counter["requests"], "flushed": flushed}), flush=True)  # noqa: T201 - read by the demo
    sys.exit(0)


if __name__ == "__main__":
    main()
