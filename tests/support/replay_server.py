"""A real HTTP server in the test process: notes what arrives and when, and fails as told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behave = Callable[["Request"], "Reply"]


class Request:
    """One request as it arrived; `number` counts from 0."""

    def __init__(self, number: int, path: str, headers: dict[str, str], body: object) -> None:
        self.number, self.path, self.headers, self.body = number, path, headers, body
        self.at = time.monotonic()


class Reply:
    """An answer; status 0 drops the connection without one."""

    def __init__(self, status=200, body=None, headers=None, delay=0.0, raw=None) -> None:
        self.status, self.body, self.headers, self.delay = status, body, headers or {}, delay
        self.raw = raw


class Service:
    """The server's address and everything it received."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.url = ""

    def note(self, path: str, headers: dict[str, str], body: object) -> Request:
        with self.lock:
            request = Request(len(self.requests), path, headers, body)
            self.requests.append(request)
        return request

    def inputs(self, path: str | None = None) -> Counter[str]:
        """How often each input arrived (each item of a list counts)."""
        found: Counter[str] = Counter()
        for request in self.requests:
            if path is None or request.path == path:
                items = request.body if isinstance(request.body, list) else [request.body]
                found.update(json.dumps(item, sort_keys=True) for item in items)
        return found

    def most_within(self, seconds: float) -> int:
        """The most requests that arrived in any half-open window of this length."""
        times = sorted(request.at for request in self.requests)
        most, start = 0, 0
        for end, at in enumerate(times):
            while at - times[start] >= seconds:
                start += 1
            most = max(most, end - start + 1)
        return most


def label(request: Request) -> Reply:
    """Answers the parity of each number: {"x": 3} -> {"label": "odd"}."""

    def one(item):
        return {"label": "odd" if item["x"] % 2 else "even", "score": item["x"] / 1000}

    body = request.body
    return Reply(body=[one(item) for item in body] if isinstance(body, list) else one(body))


@contextmanager
def serve(behave: Behave = label):
    """A service on a free port of this machine."""
    service = Service(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                body = json.loads(raw)
            except ValueError:
                body = raw.decode("utf-8", "replace")
            request = service.note(self.path, dict(self.headers), body)
            reply = service.behave(request)
            if reply.delay:
                time.sleep(reply.delay)
            if reply.status == 0:
                self.close_connection = True
                self.connection.close()
                return
            data = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client did not wait

        def log_message(self, *_args) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
