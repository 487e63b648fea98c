"""Alerts in the terminal: a receiver of webhooks that prints what it is told."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Terminal:
    """Listens on loopback; `told` gets every alert, in the form of Alertmanager's webhook."""

    def __init__(self) -> None:
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        handler = type("Told", (_Handler,), {"told": self.told})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    told: queue.Queue[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for alert in body.get("alerts", []):
            self.told.put(alert)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: what it was told is printed."""
        del format, args


def lines(alert: dict[str, Any]) -> list[str]:
    """An alert as people read it."""
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    head = f"{alert.get('status', '').upper()} {labels.get('alertname', '')}"
    about = " ".join(f"{key}={labels[key]}" for key in sorted(labels) if key != "alertname")
    texts = [f"  {key}: {notes[key]}".replace("\n", "\n    ") for key in sorted(notes)]
    return [line for text in (head, f"  {about}", *texts) for line in text.splitlines()]
