"""`nibai run`: receiver, fold and health in one process, stopped gracefully."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import uvicorn

import nibai
from nibai import plugins
from nibai.config import Config, environment, resolve_secret
from nibai.errors import ConfigError, NibaiError, PluginError
from nibai.protocols import Receiver
from nibai.server import make_app
from nibai.store.ingest import Ingest
from nibai.store.lake import Lake
from nibai.store.maintenance import maintain
from nibai.store.state import State, open_state

LOG = logging.getLogger("nibai.run")

FOLD_EVERY_SECONDS = 5.0
"""How often closed minutes are looked for."""

MAINTAIN_EVERY_SECONDS = 3600.0
STALE_FOLD_SECONDS = 180.0
LEASE_SECONDS = 60.0


class JsonLines(logging.Formatter):
    """One JSON object per log line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def serve(config: Config, *, ready_file: Path | None, clock: Callable[[], float]) -> int:
    """Run until SIGINT or SIGTERM, fold the open minute; 130 or 143 as the signal asks.

    Raises StoreError when another process writes to the data folder.
    """
    _log_as_json()
    token = None
    if config.otlp.token is not None:
        token = resolve_secret(config.otlp.token, environment())
    state = open_state(config.state_address)
    try:
        ingest = Ingest(
            config.data,
            config.collector_id,
            state,
            clock=clock,
            max_bytes=config.max_wal,
        )
        try:
            keeper = _Keeper(config, ingest, state, clock)
            # uvloop where it is installed (a third less time in the event loop).
            factory = uvicorn.Config(_no_app, log_config=None).get_loop_factory()
            with asyncio.Runner(loop_factory=factory) as runner:
                serving = _serve(config, ingest, keeper, token=token, ready_file=ready_file)
                return runner.run(serving)
        finally:
            ingest.close()
            LOG.info("folded and closed: %s", asdict(ingest.stats()))
    finally:
        state.close()


async def _no_app(_scope: object, _receive: object, _send: object) -> None:
    """Stands in where uvicorn wants an application only to choose its loop."""


async def _serve(
    config: Config,
    ingest: Ingest,
    keeper: _Keeper,
    *,
    token: str | None,
    ready_file: Path | None,
) -> int:
    app = make_app(
        [_receiver(config)], ingest, keeper.health, token=token, max_body=config.otlp.max_body
    )
    host, _, port = config.otlp.listen.rpartition(":")
    server = _Server(
        uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        ),
        ready_file,
    )
    upkeep = asyncio.create_task(keeper.work())
    try:
        await server.serve()
    except SystemExit as error:
        # uvicorn leaves like this when the address is taken.
        raise ConfigError(
            f"otlp.listen: {config.otlp.listen} cannot be opened: is it in use? choose another"
        ) from error
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
    return 128 + server.signal if server.signal else 0


class _Server(uvicorn.Server):
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

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._server.handle_exit)

    def __exit__(self, *_: object) -> None:
        # The open minute is still to be folded: a second signal must not interrupt that.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


class _Keeper:
    """Folds closed minutes, keeps the lake in order, knows how things stand."""

    def __init__(
        self, config: Config, ingest: Ingest, state: State, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._ingest = ingest
        self._state = state
        self._clock = clock
        self._started = clock()
        self._owner = f"{os.uname().nodename}:{os.getpid()}"
        self._problem: str | None = None
        self._maintained = 0.0

    async def work(self) -> None:
        """Forever: fold, renew the lease, and once an hour the upkeep."""
        while True:
            try:
                await asyncio.to_thread(self._round)
                self._problem = None
            except NibaiError as error:
                self._problem = str(error)
                LOG.error("%s", error)  # noqa: TRY400 - the text is the message
            except Exception:
                self._problem = "unexpected error, see the log"
                LOG.exception("the fold failed and is tried again")
            await asyncio.sleep(FOLD_EVERY_SECONDS)

    def health(self) -> tuple[bool, Mapping[str, object]]:
        """Whether data are accepted and folded, and the facts."""
        stats = self._ingest.stats()
        now = self._clock()
        lag = now - (stats.last_fold_seconds or self._started)
        sound = self._problem is None and lag < STALE_FOLD_SECONDS
        facts = {
            "status": "ok" if sound else "failing",
            "version": nibai.__version__,
            "collector": self._config.collector_id,
            "uptime_seconds": round(now - self._started, 1),
            "fold_lag_seconds": round(lag, 1),
            "wal_bytes": stats.waiting_bytes,
            "batches": stats.batches,
            "rows": stats.rows,
            "repeated_batches": stats.repeated,
            "folded_segments": stats.folded_segments,
        }
        if self._problem is not None:
            facts["problem"] = self._problem
        return sound, facts

    def _round(self) -> None:
        now = self._clock()
        self._state.lease(self._config.collector_id, self._owner, now, LEASE_SECONDS)
        folded = self._ingest.fold()
        if folded:
            LOG.info("folded %d segment(s)", folded)
        if now - self._maintained >= MAINTAIN_EVERY_SECONDS:
            done = maintain(
                Lake(self._config.data / "lake"),
                self._state,
                now,
                retention_seconds=self._config.minute_horizon,
                prediction_seconds=self._config.prediction_retention,
            )
            self._maintained = now
            LOG.info("maintained the lake: %s", done)


def _announce(server: _Server, ready_file: Path | None) -> None:
    """Say where the server listens."""
    address = server.servers[0].sockets[0].getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    url = f"http://{host}:{address[1]}"
    print(f"nibai listens on {url} (OTLP: {url}/v1/traces, {url}/v1/metrics)", flush=True)  # noqa: T201 - the command's output
    if ready_file is not None:
        waiting = ready_file.with_name(ready_file.name + ".new")
        waiting.write_text(url, encoding="utf-8")
        waiting.rename(ready_file)


def _receiver(config: Config) -> Receiver:
    rules = config.otlp.mapping.model_dump()
    options = {
        **rules,
        "max_body": config.otlp.max_body,
        "max_series": config.otlp.max_series_per_minute,
    }
    receiver = plugins.load("nibai.collectors", "otlp", options)
    if not isinstance(receiver, Receiver):
        raise PluginError("the plug-in 'otlp' in nibai.collectors receives nothing: reinstall")
    return receiver


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonLines()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
