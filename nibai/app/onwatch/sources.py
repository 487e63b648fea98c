"""Pulled sources: one thread each, on its own interval; one that fails stops no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from nibai.app.collect import (
    LOOK_SECONDS,
    UNSETTLED,
    Collected,
    Source,
    collect,
    due_in,
    wanted_at,
)
from nibai.app.onwatch.enduring import survived
from nibai.app.onwatch.standing import Board, Reading
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.errors import CollectError, StoreError
from nibai.store.state.awaited import arrived, awaited_since
from nibai.store.state.database import State
from nibai.store.state.silent import silent_series
from nibai.store.state.watermarks import final_marks

LOG = logging.getLogger("nibai.collect")

LEASE_SECONDS = 60.0
STATE_AGAIN_SECONDS = 30.0
"""After this a state is asked again that could not be asked."""
WAIT_SECONDS = 20.0
"""How long stopping waits for a source; what it was reading is read again by the next process."""


class SourceThreads:
    """Reads every source on until it is stopped."""

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source],
        state: State,
        *,
        owner: str,
        board: Board,
        tally: Tally,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._state = state
        self._owner = owner
        self._board = board
        self._tally = tally
        self._clock = clock
        self._stopping = threading.Event()
        self._sources = tuple(sources)
        self._came: set[str] = set()
        self._threads = [
            threading.Thread(target=self._work, args=(source,), name=source.name, daemon=True)
            for source in sources
        ]
        for source in sources:
            board.read(source.name, self._reading(source))

    def start(self) -> None:
        """Begin; every source is read on once it is due."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask nothing more; the part at hand is stored."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(WAIT_SECONDS)
        for source in self._sources:
            self._state.lease(_lease(source), self._owner, self._clock(), 0.0)

    def due_in(self, source: Source) -> float:
        """Seconds until a source is due."""
        return due_in(source, self._state.read_until(source.name), self._clock())

    def _work(self, source: Source) -> None:
        """Until stopped; a state that is away for a while must not end the reading for ever."""
        said = "its state cannot be read, and is tried again"
        while not self._stopping.is_set():
            failed = survived(lambda: self._read_on(source), LOG, said, f"{source.name}: ")
            if failed is not None:
                self._stopping.wait(STATE_AGAIN_SECONDS)

    def _read_on(self, source: Source) -> None:
        regular = self._clock() + self.due_in(source)
        self._rest(source, self._clock(), regular)
        while not self._stopping.is_set():
            began = self._clock()
            if began >= regular:
                regular = began + max(source.every_seconds, 1.0)
            # Of several replicas one reads; another goes on when its lease has run out.
            lease = 2 * source.every_seconds + LEASE_SECONDS
            if self._state.lease(_lease(source), self._owner, began, lease):
                self.read_once(source)
            else:
                self._board.read(source.name, self._reading(source))
            self._rest(source, began, regular)

    def _rest(self, source: Source, began: float, regular: float) -> None:
        """Until its regular reading, or sooner where a change wants it; one may come meanwhile."""
        while not self._stopping.is_set():
            now = self._clock()
            pause = min(regular, wanted_at(source, self._state, began)) - now
            if pause <= 0 or now < began:  # a clock that was set back makes nobody wait longer
                return
            self._stopping.wait(min(pause, LOOK_SECONDS))

    def read_once(self, source: Source) -> None:
        """Read a source on and say how it went."""
        problems: list[str | None] = [None]

        def read() -> None:
            reading = collect(self._config, [source], clock=self._clock, stop=self._stopping.is_set)
            with self._tally.span("collect", collector=source.name):
                problems.extend(self._told(source, done) for _, done in reading)

        failed = survived(read, LOG, "reading failed and is tried again", f"{source.name}: ")
        if failed is not None:
            problems.append(failed[0])
            self._count_failure(source, failed[1])
        self._board.read(source.name, self._reading(source, problems[-1]))

    def _told(self, source: Source, done: Collected) -> str | None:
        for text in done.problems:
            LOG.error("%s: %s", source.name, text)
            self._tally.add("nibai_collector_errors_total", collector=source.name, reason="source")
        for text in done.silent:
            LOG.warning("%s: %s", source.name, text)
        if done.dollars:
            self._tally.add("nibai_collector_dollars_total", done.dollars, collector=source.name)
        for after_final, revised in (
            ("true", done.revised_final),
            ("false", max(done.revised_minutes - done.revised_final, 0)),
        ):
            labels = {"collector": source.name, "after_final": after_final}
            self._tally.add("nibai_collector_revised_minutes_total", revised, **labels)
        if done.unsettled:
            LOG.warning("%s: %d %s", source.name, done.unsettled, UNSETTLED)
        LOG.info("%s: %d minutes in %d calls", source.name, done.minutes, done.calls)
        return done.problems[0] if done.problems else None

    def _count_failure(self, source: Source, error: BaseException) -> None:
        known = error.reason if isinstance(error, CollectError) else "unexpected"
        reason = "store" if isinstance(error, StoreError) else known
        self._tally.add("nibai_collector_errors_total", collector=source.name, reason=reason)

    def _reading(self, source: Source, problem: str | None = None) -> Reading:
        """How a source stands: until when all its series were read, and how far that is final."""
        known = self._state.read_until(source.name)
        # Beside its series a source keeps marks of other kinds (files read, counters).
        read = min((known[one] for one in source.puller.series if one in known), default=None)
        marks = final_marks(self._state, source.name)
        final = min(marks.values(), default=None)
        provisional = 0.0 if read is None or final is None else max(read - final, 0.0)
        return Reading(
            read,
            source.whole_every_seconds,
            problem,
            provisional_seconds=provisional,
            awaited_since=self._awaited(source, came=read is not None),
            unheard=sum(bool(one.said) for one in silent_series(self._state, source.name)),
            endpoints=frozenset(endpoint for endpoint, _, _ in marks),
        )

    def _awaited(self, source: Source, *, came: bool) -> float | None:
        """From when on a source is waited for that has read nothing, over restarts."""
        if not came:
            return awaited_since(self._state, source.name, self._clock())
        if source.name not in self._came:
            arrived(self._state, source.name)
            self._came.add(source.name)
        return None


def _lease(source: Source) -> str:
    return f"source {source.name}"
