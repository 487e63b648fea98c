"""uvicorn that says where it listens, which signal stopped it, and lets the caller finish."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from nibai.app.onwatch.connections import Connection, Named, open_more_files
from nibai.errors import ConfigError, UsageError

GRACE_SECONDS = 10
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_app(
    app: Starlette, listen: str, ready_file: Path | None, context: ssl.SSLContext | None = None
) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; the signal's number.

    ConfigError when the address is taken.

    With a `context` over TLS: what a client's certificate is called is in the request's state.
    """
    # uvloop where it is installed (a third less time in the event loop).
    factory = uvicorn.Config(app, log_config=None).get_loop_factory()
    server = Server(configured(app, listen, context), ready_file)
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(server.serve())
        except SystemExit as error:
            # uvicorn leaves like this when the address is taken.
            raise ConfigError(
                f"otlp.listen: {listen} cannot be opened: is it in use? choose another"
            ) from error
    return server.signal


def configured(app: Starlette, listen: str, context: ssl.SSLContext | None) -> uvicorn.Config:
    """What uvicorn needs to know."""
    host, _, port = listen.rpartition(":")
    Connection.most = open_more_files()
    config = uvicorn.Config(
        app,
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        http=Connection if context is None else Named,
        ws="none",  # nothing here speaks it; loading what does would slow every start
    )
    config.load()
    config.ssl = context
    return config


class Server(uvicorn.Server):
    """uvicorn that says where it listens, and which signal stopped it."""

    signal = 0

    def __init__(self, config: uvicorn.Config, ready_file: Path | None) -> None:
        super().__init__(config)
        self._ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _announce(self, self._ready_file)

    def handle_exit(self, sig: int, frame: object) -> None:
        del frame
        self.signal = sig
        self.should_exit = True

    def capture_signals(self) -> _Signals:  # type: ignore[override]
        return _Signals(self)


class _Signals:
    """Signal handlers for the time of serving."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        for number in STOPPING:
            # Whoever started it with nohup wants no end with the terminal.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._server.handle_exit)

    def __exit__(self, *_: object) -> None:
        # The open minute is still to be folded: a second signal must not interrupt that.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _announce(server: Server, ready_file: Path | None) -> None:
    """Say where the server listens."""
    address = server.servers[0].sockets[0].getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    scheme = "http" if server.config.ssl is None else "https"
    url = f"{scheme}://{host}:{address[1]}"
    print(f"nibai listens on {url} (OTLP: {url}/v1/traces, {url}/v1/metrics)", flush=True)  # noqa: T201 - the command's output
    if ready_file is not None:
        waiting = ready_file.with_name(ready_file.name + ".new")
        try:
            waiting.write_text(url, encoding="utf-8")
            waiting.rename(ready_file)
        except OSError as error:
            raise UsageError(
                f"--ready-file {ready_file}: cannot be written ({error.strerror}): check the path"
            ) from error
