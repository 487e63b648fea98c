"""The sink of all collectors: log, fold, commit; nothing acknowledged is lost or counted twice.

batch -> log (durable) -> acknowledge -> fold each minute -> one commit per table -> delete segment
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from nibai.errors import StoreError
from nibai.store.lake.delta import Lake
from nibai.store.lake.rows import PREDICTION_SCHEMA, WAL_SCHEMA
from nibai.store.wal.fold import Folded, fold
from nibai.store.wal.lock import WriterLock
from nibai.store.wal.log import MAX_BYTES, Segment, WriteAheadLog, read_frames, segments
from nibai.store.wal.prediction_rows import fold_predictions

DIGEST_SECONDS = 15 * 60.0
"""How long a resent payload is recognised."""

COMMIT_ORDER = ("hist", "cell", "category", "predictions")


def fold_waiting(
    folder: Path, ledger: Ledger, *, clock: Callable[[], float], late: Mapping[str, Late]
) -> list[str]:
    """Fold what collectors left in their logs; those still running, with rows that wait.

    `late` hears of what was pushed late, by collector.
    """
    running = []
    for home in sorted((folder / "wal").glob("*")):
        if not segments(home):
            continue
        try:
            WriterLock(home / "writer.lock").release()
        except StoreError:
            running.append(home.name)
            continue
        Ingest(folder, home.name, ledger, clock=clock, late=late.get(home.name)).close()
    return running


class Ledger(Protocol):
    """What the ingest keeps beside the lake (the state database, or memory)."""

    def put_digests(self, collector: str, digests: list[tuple[bytes, float]]) -> None:
        """Remember digests of payloads that leave the log."""
        ...

    def digests(self, collector: str, since: float) -> list[tuple[bytes, float]]:
        """Digests put since a time."""
        ...

    def set_cursor(self, collector: str, minute: int, sequence: int) -> None:
        """Everything that arrived up to this minute is in the lake."""
        ...


class Late(Protocol):
    """Hears of pushed rows that change minutes which were whole already."""

    def announce(self, cells: pa.Table, arrived_minute: int, sequence: int) -> None:
        """Before the cells of a segment go into the lake; again after a crash."""
        ...

    def settle(self) -> None:
        """They are in the lake."""
        ...


class MemoryLedger:
    """A ledger that forgets with the process; for tests."""

    def __init__(self) -> None:
        self._digests: dict[bytes, float] = {}
        self.cursor: tuple[int, int] | None = None

    def put_digests(self, collector: str, digests: list[tuple[bytes, float]]) -> None:
        """Remember digests."""
        del collector
        self._digests.update(digests)

    def digests(self, collector: str, since: float) -> list[tuple[bytes, float]]:
        """Digests put since a time."""
        del collector
        return [(digest, at) for digest, at in self._digests.items() if at >= since]

    def set_cursor(self, collector: str, minute: int, sequence: int) -> None:
        """Keep the cursor."""
        del collector
        self.cursor = (minute, sequence)


@dataclass(frozen=True, slots=True)
class IngestStats:
    """What the ingest has done since it was opened, and what waits."""

    batches: int
    rows: int
    repeated: int
    folded_segments: int
    waiting_bytes: int
    last_fold_seconds: float | None
    last_batch_seconds: float | None = None


class Ingest:
    """A `Sink` over one data folder; thread-safe. Close it: that folds the open minute.

    Raises StoreError when another process writes with the same collector id. `checkpoint` is called
    with the name of each step of a fold (crash tests).
    """

    def __init__(
        self,
        folder: Path,
        collector: str,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        max_bytes: int = MAX_BYTES,
        checkpoint: Callable[[str], None] = lambda _: None,
        late: Late | None = None,
    ) -> None:
        self.collector = collector
        self.lake = Lake(folder / "lake")
        self._clock = clock
        self._ledger = ledger
        self._checkpoint = checkpoint
        self._late = late
        home = folder / "wal" / collector
        self._lock = WriterLock(home / "writer.lock")
        self._fold_lock = threading.Lock()
        self._seen_lock = threading.Lock()
        self._batches = self._rows = self._repeated = self._folded = 0
        self._last_fold: float | None = None
        self._last_batch: float | None = None
        committed = max(self.lake.committed(table, collector) for table in COMMIT_ORDER)
        self._wal = WriteAheadLog(
            home, clock=clock, first_sequence=committed + 1, max_bytes=max_bytes
        )
        self._seen = dict(ledger.digests(collector, clock() - DIGEST_SECONDS))
        self._pending: dict[bytes, threading.Event] = {}
        self._recover()

    # -- appending ------------------------------------------------------------------------
    def append(
        self,
        batch: pa.RecordBatch | None,
        digest: bytes | None = None,
        predictions: pa.RecordBatch | None = None,
    ) -> None:
        """Return when all is durable; a digest seen in the last 15 minutes is a repeat."""
        if digest is not None and not self._claim(digest):
            with self._seen_lock:
                self._repeated += 1
            return
        try:
            self._wal.append(batch, digest, predictions)
        except BaseException:
            if digest is not None:
                self._settle(digest, durable=False)
            raise
        if digest is not None:
            self._settle(digest, durable=True)
        with self._seen_lock:
            self._batches += 1
            self._last_batch = self._clock()
            self._rows += sum(part.num_rows for part in (batch, predictions) if part is not None)

    def _claim(self, digest: bytes) -> bool:
        """Whether the caller shall append this payload; waits for another one appending it."""
        while True:
            with self._seen_lock:
                if digest in self._seen:
                    return False
                waiting = self._pending.get(digest)
                if waiting is None:
                    self._pending[digest] = threading.Event()
                    return True
            waiting.wait()

    def _settle(self, digest: bytes, *, durable: bool) -> None:
        with self._seen_lock:
            if durable:
                self._seen[digest] = self._clock()
            self._pending.pop(digest).set()

    # -- folding --------------------------------------------------------------------------
    def fold(self) -> int:
        """Fold and commit all segments of past minutes; how many there were."""
        return self._fold_closed(int(self._clock() // 60))

    def flush(self) -> None:
        """Fold and commit everything appended so far, the open minute included."""
        self._fold_closed(None)

    def close(self) -> None:
        """Fold everything, the open minute included, and let go of the folder."""
        try:
            self._fold_closed(None)
        finally:
            self._lock.release()

    def stats(self) -> IngestStats:
        """Counters for health pages."""
        with self._seen_lock:
            return IngestStats(
                self._batches,
                self._rows,
                self._repeated,
                self._folded,
                self._wal.waiting_bytes,
                self._last_fold,
                self._last_batch,
            )

    def _recover(self) -> None:
        """After a crash: remember the digests in the log; its segments are folded with the next."""
        for segment in self._wal.closed():
            for frame in read_frames(segment.path):
                if frame.digest is not None:
                    self._seen[frame.digest] = self._clock()

    def _fold_closed(self, before_minute: int | None) -> int:
        with self._fold_lock:
            found = self._wal.closed(before_minute)
            for segment in found:
                self._fold_segment(segment)
            self._forget()
            self._last_fold = self._clock()
            return len(found)

    def _fold_segment(self, segment: Segment) -> None:
        frames = list(read_frames(segment.path))
        batches = [frame.batch for frame in frames if frame.batch is not None]
        rows = pa.Table.from_batches(batches, schema=WAL_SCHEMA)
        answered = [frame.predictions for frame in frames if frame.predictions is not None]
        answers = pa.Table.from_batches(answered, schema=PREDICTION_SCHEMA)
        self._checkpoint("read")
        # Minutes of any age: the maintainer alone moves old ones into the hours.
        found = fold_predictions(answers)
        folded = fold(pa.concat_tables([rows, found.scores]))
        folded = Folded({**folded.tables, **found.tables})
        self._checkpoint("folded")
        if self._late is not None and "cell" in folded.tables:
            self._late.announce(folded.tables["cell"], segment.minute, segment.sequence)
        for table in COMMIT_ORDER:
            if table in folded.tables:
                self.lake.commit(table, folded.tables[table], self.collector, segment.sequence)
                self._checkpoint(f"committed {table}")
        if self._late is not None:
            self._late.settle()
        digests = [frame.digest for frame in frames if frame.digest is not None]
        now = self._clock()
        self._ledger.put_digests(self.collector, [(digest, now) for digest in digests])
        self._ledger.set_cursor(self.collector, segment.minute, segment.sequence)
        self._checkpoint("cursor")
        self._wal.remove(segment)
        self._checkpoint("removed")
        self._folded += 1

    def _forget(self) -> None:
        oldest = self._clock() - DIGEST_SECONDS
        with self._seen_lock:
            self._seen = {digest: at for digest, at in self._seen.items() if at >= oldest}
