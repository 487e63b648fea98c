"""Connections that nobody may hold for nothing: so many at most, each with a time for a request.

Whoever opens many and sends nothing, or a byte a minute, would take every file that this process
may open, and with them the disk from those who send data.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nibai.server import CERTIFICATE, names_of

HEADER_SECONDS = 20.0
"""Until the head of a request is there, of a new connection too."""

BODY_SECONDS = 120.0
"""Until its body is there: 16 MiB at 1.1 Mbit/s."""

MOST_CONNECTIONS = 1000
OWN_FILES = 96
"""What folds, state and queries open."""


class Connection(HttpToolsProtocol):
    """One that is given up when its client takes too long, and refused when there are too many."""

    patience: asyncio.TimerHandle | None = None
    most = MOST_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._wait(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._have()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        self._wait(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._have()
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        self._have()
        self.patience = self.loop.call_later(seconds, self.transport.abort)

    def _have(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None


class Named(Connection):
    """One over TLS, which knows what its client's certificate is called."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        names = names_of(transport.get_extra_info("peercert"))
        self.app_state = {**self.app_state, CERTIFICATE: names}


def open_more_files() -> int:
    """Let this process open as many files as it may at most, and say how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(soft - OWN_FILES, soft // 4))
