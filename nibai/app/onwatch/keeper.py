"""Folds closed minutes, keeps the lake in order, knows how the receiver stands."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

import nibai
from nibai.app.onwatch.enduring import survived
from nibai.app.onwatch.silence import Arrivals
from nibai.app.onwatch.standing import Board, Reading
from nibai.app.onwatch.tally import Tally
from nibai.app.upkeep import EVERY_SECONDS, give_back, keep_up
from nibai.config import Config
from nibai.errors import NibaiError
from nibai.store.lake.rows import PREDICTIONS
from nibai.store.lake.small_files import Joiner
from nibai.store.state.awaited import arrived, awaited_since, waited_for
from nibai.store.state.database import State
from nibai.store.state.revisions import LatePushes
from nibai.store.wal.ingest import Ingest

LOG = logging.getLogger("nibai.run")

FOLD_EVERY_SECONDS = 5.0
"""How often closed minutes are looked for."""

STALE_FOLD_SECONDS = 180.0

FOLDED_INTO = ("hist", "cell", "category", PREDICTIONS)
"""Tables that get a file a minute, all of which each look reads."""
LEASE_SECONDS = 60.0
WAIT_SECONDS = 30.0


class Keeper:
    """A thread that folds until it is stopped; `health` may be asked from any other."""

    def __init__(
        self,
        config: Config,
        ingest: Ingest,
        state: State,
        late: LatePushes,
        *,
        owner: str,
        board: Board,
        tally: Tally,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._ingest = ingest
        self._state = state
        self._late = late
        self._told_late = 0
        self._owner = owner
        self._board = board
        self._tally = tally
        self._clock = clock
        self._started = clock()
        self._problem: str | None = None
        self._maintained = 0.0
        self._joiner = Joiner(FOLDED_INTO)
        self._arrivals: Arrivals | None = None
        self._awaited: float | None = None
        self._warned = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nibai-keeper", daemon=True)

    def start(self) -> None:
        """Begin to fold."""
        self._thread.start()

    def stop(self) -> None:
        """Fold no more; the fold at hand is finished."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(WAIT_SECONDS)
        if self._arrivals is not None:
            # What came since the last fold came too: after a restart it would be a silence.
            with contextlib.suppress(NibaiError):
                last = self._ingest.stats().last_batch_seconds
                self._arrivals.saw(last, self._clock(), stopping=True)
        give_back(self._state, self._owner, self._clock())
        self._state.lease(self._config.collector_id, self._owner, self._clock(), 0.0)

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

    def ready(self, *, warm: bool = True) -> tuple[bool, Mapping[str, object]]:
        """Whether this process takes data: it has folded once, is `warm`, and is not stopping.

        Also while folding fails: a state that is away keeps nobody from sending.
        """
        folded = self._ingest.stats().last_fold_seconds is not None
        sound = folded and warm and not self._stopping.is_set()
        return sound, {"status": "ready" if sound else "not ready"}

    def _work(self) -> None:
        """Until stopped: fold, renew the lease, and once an hour the upkeep."""
        while not self._stopping.is_set():
            failed = survived(self._round, LOG, "the fold failed and is tried again")
            self._problem = None if failed is None else failed[0]
            survived(self._tell, LOG, "how the fold stands cannot be told")
            self._stopping.wait(FOLD_EVERY_SECONDS)

    def _tell(self) -> None:
        self._board.read(self._config.collector_id, self._reading())

    def _reading(self) -> Reading:
        folded = self._ingest.stats().last_fold_seconds
        # Closed minutes are folded a moment after their end.
        until = None if folded is None else folded - folded % 60.0
        arrivals = self._arrivals
        if arrivals is None:
            return Reading(until, 60.0, self._problem, awaited_since=self._awaited)
        return Reading(
            read_until=until,
            every_seconds=60.0,
            problem=self._problem,
            sent_at=arrivals.last_at,
            silence_seconds=arrivals.silence_seconds(self._clock()),
            silence_limit_seconds=arrivals.limit_seconds,
            awaited_since=self._awaited,
        )

    def _round(self) -> None:
        now = self._clock()
        name = self._config.collector_id
        if not self._state.lease(name, self._owner, now, LEASE_SECONDS) and not self._warned:
            LOG.warning("collector_id %s is used by another process: give each its own", name)
            self._warned = True
        # Before the fold: one that fails must not look like senders that are back.
        if self._arrivals is None:
            patience = self._config.otlp.quiet_after
            self._arrivals = Arrivals(self._state, name, self._started, patience)
            self._awaited = waited_for(self._state, name)
        began = time.perf_counter()
        folded = self._fold(name)
        self._tell_late(name)
        if folded:
            self._tally.observe("nibai_commit_seconds", time.perf_counter() - began)
            LOG.info("folded %d segment(s)", folded)
            self._joiner.committed(self._ingest.lake)
        self._arrivals.saw(self._ingest.stats().last_batch_seconds, now)
        if now - self._maintained >= EVERY_SECONDS:
            self._maintained = now
            self._maintain(now)

    def _fold(self, collector: str) -> int:
        """Fold; since when that fails is kept over restarts."""
        try:
            with self._tally.span("fold"):
                folded = self._ingest.fold()
        except BaseException:  # also what a library that panics raises
            if self._awaited is None:
                since = self._ingest.stats().last_fold_seconds or self._started
                with contextlib.suppress(NibaiError):
                    self._awaited = awaited_since(self._state, collector, since)
            raise
        if self._awaited is not None:
            arrived(self._state, collector)
            self._awaited = None
        return folded

    def _tell_late(self, collector: str) -> None:
        """Count minutes that were pushed to after they were whole."""
        late, self._told_late = self._late.minutes - self._told_late, self._late.minutes
        labels = {"collector": collector, "after_final": "true"}
        self._tally.add("nibai_collector_revised_minutes_total", late, **labels)

    def _maintain(self, now: float) -> None:
        """One process keeps the lake; another goes on when its lease has run out."""
        done = keep_up(self._config, self._state, self._owner, now)
        if str(done):
            LOG.info("maintained the lake: %s", done)
