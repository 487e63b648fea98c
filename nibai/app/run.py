"""`nibai run`: receiver, collectors, fold, schedule, alerts and pages in one process.

What it does is in `nibai.app.onwatch`, one concern a file; here it is put together, started, and
stopped in order: nothing new is begun, what is running is finished, the open minute is folded.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nibai import plugins
from nibai.app.alerting.wiring import alerting_of
from nibai.app.annotators import annotators
from nibai.app.audit import Desk, desk_over
from nibai.app.collect import PULLED_SECTIONS, Source, configured
from nibai.app.detections import unchanged
from nibai.app.onwatch.annotating import Annotating
from nibai.app.onwatch.exporter import Exporter
from nibai.app.onwatch.follow import Follower
from nibai.app.onwatch.jobs import Office, counting, wakes
from nibai.app.onwatch.keeper import Keeper
from nibai.app.onwatch.logs import log_as_json
from nibai.app.onwatch.pages import Pages
from nibai.app.onwatch.serving import serve_app
from nibai.app.onwatch.sources import SourceThreads
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.app.onwatch.telemetry import telemeter
from nibai.config import Config, environment, resolve_secret
from nibai.errors import PluginError
from nibai.protocols import Listener, Receiver
from nibai.redaction import hide_password
from nibai.schedule import Turns, Waker
from nibai.schedule.slots import MOST_ATTEMPTS
from nibai.server import Access, Certificates, Renewal, Site, make_app
from nibai.store.engine.connection import bound_memory
from nibai.store.state.database import State, open_state
from nibai.store.state.revisions import LatePushes
from nibai.store.state.slots import Slots
from nibai.store.wal.ingest import Ingest

LOG = logging.getLogger("nibai.run")

FIRST_WAKE_SECONDS = 2.0
TURN_SECONDS = 0.001


def serve(config: Config, *, ready_file: Path | None, clock: Callable[[], float]) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP, fold the open minute; 130, 143 or 129 as it asks.

    Raises StoreError when another process writes to the data folder.
    """
    log_as_json()
    hide_password(config.state)
    # Jobs compute in threads of this process: who asks waits for a turn of each, not five times it.
    sys.setswitchinterval(TURN_SECONDS)
    certificates = _certificates(config)
    context = None if certificates is None else certificates.context()
    access = _access(config)
    with ExitStack() as stack:
        shared = _opened(config, clock, stack)
        parts = _parts(config, shared)
        receiver = _receiver(config)
        app = make_app(
            [receiver],
            shared.ingest,
            parts.keeper.health,
            ready=lambda: parts.keeper.ready(warm=parts.exporter.warm()),
            access=access,
            max_body=config.otlp.max_body,
            site=_site(parts.exporter, parts.pages),
        )
        # Stopped in the other order: what wakes first, what folds last.
        for part in (parts.keeper, parts.exporter, parts.sources, parts.waker):
            part.start()
            stack.callback(part.stop)
        if config.otlp.grpc is not None:
            listener = _listener(config, certificates)
            address, stop = listener.listen(receiver, shared.ingest, access.may_send)
            stack.callback(stop)
            print(f"nibai listens on {address} (OTLP over gRPC)", flush=True)  # noqa: T201 - the command's output
        number = serve_app(app, config.otlp.listen, ready_file, context)
    return 128 + number if number else 0


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the parts of the process have in common."""

    state: State
    late: LatePushes
    ingest: Ingest
    owner: str
    board: Board
    tally: Tally
    clock: Callable[[], float]


def _opened(config: Config, clock: Callable[[], float], stack: ExitStack) -> _Shared:
    """State, log and lake, open until the stack closes them."""
    state = open_state(config.state_address)
    stack.callback(state.close)
    late = LatePushes(state, config.collector_id, clock, config.otlp.past_wait)
    ingest = Ingest(
        config.data,
        config.collector_id,
        state,
        clock=clock,
        max_bytes=config.max_wal,
        late=late,
    )
    stack.callback(_close, ingest)
    bound_memory(config.query_memory, config.data / "spill" / config.collector_id)
    owner = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(2)}"
    board, tally = Board(config.schedule.quiet_after, clock()), Tally()
    telemetry = telemeter(config.telemetry, tally, _secret(config.telemetry.token))
    if telemetry is not None:
        stack.callback(telemetry.stop)
    return _Shared(state, late, ingest, owner, board, tally, clock)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs beside the receiver, and the pages that show it."""

    keeper: Keeper
    sources: SourceThreads
    exporter: Exporter
    waker: Waker
    pages: Pages


def _parts(config: Config, shared: _Shared) -> _Parts:
    state, owner, clock = shared.state, shared.owner, shared.clock
    board, tally = shared.board, shared.tally
    desk = desk_over(config, state, clock)
    keeper = Keeper(
        config, shared.ingest, state, shared.late,
        owner=owner, board=board, tally=tally, clock=clock,
    )  # fmt: skip
    sources = SourceThreads(
        config, _sources(config), state, owner=owner, board=board, tally=tally, clock=clock
    )
    office = _office(config, desk, owner, board=board, tally=tally)
    exporter = Exporter(
        config, desk, board=board, tally=tally, stats=shared.ingest.stats, claimed=office.claimed
    )
    waker = Waker(
        wakes(office),
        jitter_seconds=config.schedule.jitter,
        # What the jobs import is not waited for: data are taken first.
        first_seconds=FIRST_WAKE_SECONDS,
    )
    pages = Pages(desk, board, exporter.seen, office.detections)
    return _Parts(keeper, sources, exporter, waker, pages)


def _site(exporter: Exporter, pages: Pages) -> Site:
    return Site(exporter.scrape, pages.page, pages.refused, pages.broken)


def _secret(reference: str | None) -> str | None:
    return None if reference is None else resolve_secret(reference, environment())


def _certificates(config: Config) -> Renewal | None:
    tls = config.otlp.tls
    return None if tls is None else Renewal(Certificates(tls.certificate, tls.key, tls.clients))


def _access(config: Config) -> Access:
    tls = config.otlp.tls
    senders = None if tls is None or tls.clients is None else tls.senders
    return Access(_secret(config.otlp.token), _secret(config.web.token), senders, config.web.names)


def _close(ingest: Ingest) -> None:
    ingest.close()
    done = ingest.stats()
    LOG.info("folded and closed: %d rows in %d batches were taken", done.rows, done.batches)


def _sources(config: Config) -> list[Source]:
    """What is pulled; nothing when nothing is configured."""
    return configured(config) if any(getattr(config, one) for one in PULLED_SECTIONS) else []


def _office(config: Config, desk: Desk, owner: str, *, board: Board, tally: Tally) -> Office:
    alerting = alerting_of(config, desk, tally, environment())
    claimed = unchanged if alerting is None else alerting.claimed
    turns = Turns(Slots(desk.state, MOST_ATTEMPTS), owner, desk.clock, counting(tally))
    follower = Follower(
        desk,
        level=config.schedule.level,
        follow_seconds=config.schedule.follow_for,
        quiet_seconds=board.allowed_seconds,
        claimed=claimed,
    )
    marks = annotators(config, environment())
    annotating = Annotating(desk, marks, tally, config.web.changes) if marks else None
    return Office(config, desk, board, tally, turns, follower, alerting, annotating, claimed)


def _listener(config: Config, certificates: Renewal | None) -> Listener:
    options = {
        "address": config.otlp.grpc,
        "max_body": config.otlp.max_body,
        "certificates": None if certificates is None else certificates.contents,
    }
    listener = plugins.load("nibai.listeners", "grpc", options)
    if not isinstance(listener, Listener):
        raise PluginError("the plug-in 'grpc' in nibai.listeners does not listen: reinstall")
    return listener


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
