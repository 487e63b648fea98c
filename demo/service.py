"""One replica of the service: a process that classifies docstrings and reports spans by OTLP.

`python -m demo.service --graph … --tokenizer … --head … --variant … --replica … --otlp URL` prints
its port and serves until SIGTERM; then it flushes its spans and prints how many it sent. A request
is a latency and an answer; texts that are sent to /v1/answers in one batch are answers alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import threading
from collections.abc import Mapping
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


class Handler(BaseHTTPRequestHandler):
    """Requests of one replica; `serving` makes the class that knows the replica."""

    protocol_version = "HTTP/1.1"
    # Small answers on a kept connection: Nagle's algorithm and a delayed acknowledgement
    # together would stall some of them for 40 ms. Both of these are needed against it.
    disable_nagle_algorithm = True
    wbufsize = -1

    classifier: Classifier
    tracer: Any
    counter: dict[str, int]

    def do_GET(self) -> None:
        """A route that does nothing: what the set-up itself costs."""
        self._answer(200, b"{}")

    def do_POST(self) -> None:
        """One text (measured), texts in a batch (answers only), or a warm-up."""
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers.get("x-warm-up"):
            texts = given["texts"]
            answers = self.classifier.label(self.classifier.embed(texts))
            self._answer(200, json.dumps(answers).encode())
        elif self.path == "/v1/answers":
            self._batch(given)
        else:
            self._request(given["texts"][0])

    def _request(self, text: str) -> None:
        said = {name: self.headers.get(f"x-{name}", "") for name in ("segment", "id", "truth")}
        self.counter["requests"] += 1
        with self.tracer.start_as_current_span("POST /v1/classify", kind=SpanKind.SERVER) as span:
            span.set_attributes(_asked(text, said))
            try:
                with self.tracer.start_as_current_span("model") as inner:
                    inner.set_attribute("nibai.metric", "model_latency")
                    inner.set_attribute("nibai.segment", f"tokens={said['segment']}")
                    embeddings = self.classifier.embed([text])
                (answer,) = self.classifier.label(embeddings)
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                span.set_attribute("nibai.prediction.invalid", type(error).__name__)
                self._answer(500, b"{}")
                raise
            span.set_attributes(_answered(answer))
            self._answer(200, json.dumps([answer]).encode())

    def _batch(self, given: dict[str, Any]) -> None:
        """Texts computed together: each has a span that is an answer and no measurement."""
        items = given["items"]
        answers = self.classifier.label(self.classifier.embed([item["text"] for item in items]))
        how = {
            "nibai.prediction.batch": len(items),
            "nibai.prediction.repeat": given["repeat"],
            "nibai.prediction.source": given["source"],
        }
        for item, answer in zip(items, answers, strict=True):
            attributes = {**_asked(item["text"], item), **_answered(answer), **how}
            self.tracer.start_span("answer", attributes=attributes).end()
        self.counter["answers"] += len(items)
        self._answer(200, json.dumps(answers).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: spans say it all."""
        del format, args


def _asked(text: str, said: Mapping[str, str]) -> dict[str, str]:
    """What a span says of a request: never its text."""
    return {
        "nibai.segment": f"tokens={said['segment']}",
        "nibai.request_id": said["id"],
        "nibai.input_hash": hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
        "nibai.prediction.truth": said["truth"],
    }


def _answered(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {f"nibai.prediction.{name}": value for name, value in answer.items()}


def serving(classifier: Classifier, tracer: Any, counter: dict[str, int]) -> type[Handler]:  # noqa: ANN401 - OTel's tracer
    """The request handler of one replica."""
    return type(
        "Serving", (Handler,), {"classifier": classifier, "tracer": tracer, "counter": counter}
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    for name in ("graph", "tokenizer", "head", "variant", "replica", "otlp"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--endpoint", default=ENDPOINT)
    given = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo decides when to stop
    classifier = Classifier(Path(given.graph), Path(given.tokenizer), Path(given.head))
    resource = Resource.create(
        {
            "service.name": "docstrings",
            "nibai.endpoint": given.endpoint,
            "nibai.variant": given.variant,
            "nibai.replica": given.replica,
        }
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{given.otlp}/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=1 << 16, schedule_delay_millis=1000)
    )
    counter = {"requests": 0, "answers": 0}
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), serving(classifier, provider.get_tracer("demo"), counter)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201 - read by the demo
    stop.wait()
    server.shutdown()
    flushed = provider.force_flush(30_000)
    provider.shutdown()
    print(json.dumps({**counter, "flushed": flushed}), flush=True)  # noqa: T201 - read by the demo
    sys.exit(0)


if __name__ == "__main__":
    main()
