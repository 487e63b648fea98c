"""The write-ahead log: what is acknowledged is on disk.

One segment file per wall-clock minute, named by a number that is never reused. A segment is a
sequence of frames; a frame is a header (length, CRC-32, 16-byte payload digest) and what one
payload brought: additive rows, answers, or both, each a self-contained Arrow IPC stream (lz4). So
both are durable together or not at all. Concurrent appends share one fdatasync. A torn tail is
expected after a crash: complete frames are read, the rest is cut off.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from nibai.errors import StoreError, ThrottledError
from nibai.store.lake.rows import PREDICTION_SCHEMA, WAL_SCHEMA

HEADER = struct.Struct("<II16s")
NO_DIGEST = bytes(16)
SUFFIX = ".wal"
MAX_BYTES = 2 * 1024**3
RETRY_AFTER_SECONDS = 5.0

# Columns of a frame are small: handing them to threads costs eight times their compression.
_WRITING = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READING = pa.ipc.IpcReadOptions(use_threads=False)


@dataclass(frozen=True, slots=True)
class Frame:
    """What one payload brought, and its digest (None: none given)."""

    batch: pa.RecordBatch | None
    digest: bytes | None
    predictions: pa.RecordBatch | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file; `minute` is the wall-clock minute in which it was opened."""

    sequence: int
    path: Path
    minute: int


class WriteAheadLog:
    """Appends batches durably; thread-safe. One writer per folder (see `lock`).

    `clock` gives seconds since the epoch. Raises StoreError when the disk refuses and
    ThrottledError when more than `max_bytes` wait to be folded; then nothing of the batch is kept.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float],
        first_sequence: int = 1,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._max_bytes = max_bytes
        self._write_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._file: _OpenSegment | None = None
        folder.mkdir(parents=True, exist_ok=True)
        left = segments(folder)
        self._next = max([first_sequence, *(segment.sequence + 1 for segment in left)])
        self._waiting_bytes = sum(segment.path.stat().st_size for segment in left)

    @property
    def waiting_bytes(self) -> int:
        """Bytes in segments that are not folded yet."""
        return self._waiting_bytes

    def append(
        self,
        batch: pa.RecordBatch | None,
        digest: bytes | None = None,
        predictions: pa.RecordBatch | None = None,
    ) -> None:
        """Return when rows and answers are on disk."""
        frame = encode_frame(batch, digest, predictions)
        if self._waiting_bytes + len(frame) > self._max_bytes:
            raise ThrottledError(
                f"the write-ahead log holds {self._waiting_bytes:,} bytes that wait to be folded",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        with self._write_lock:
            segment = self._current()
            end = segment.write(frame)
            self._waiting_bytes += len(frame)
        self._sync(segment, end)

    def rotate(self) -> None:
        """Close the open segment so that it can be folded."""
        with self._sync_lock, self._write_lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def closed(self, before_minute: int | None = None) -> list[Segment]:
        """Segments that no one writes to, oldest first, after closing one of a past minute."""
        with self._write_lock:
            open_segment = self._file
        if open_segment is not None and (
            before_minute is None or open_segment.segment.minute < before_minute
        ):
            self.rotate()
        with self._write_lock:
            current = None if self._file is None else self._file.segment.sequence
        return [s for s in segments(self.folder) if s.sequence != current]

    def remove(self, segment: Segment) -> None:
        """Delete a folded segment."""
        size = segment.path.stat().st_size
        segment.path.unlink()
        _sync_folder(self.folder)
        with self._write_lock:
            self._waiting_bytes -= size

    # -- one segment ----------------------------------------------------------------------
    def _current(self) -> _OpenSegment:
        minute = int(self._clock() // 60)
        if self._file is not None and self._file.segment.minute == minute and self._file.sound:
            return self._file
        previous = self._file
        path = self.folder / f"{self._next:012d}-{minute}{SUFFIX}"
        try:
            self._file = _OpenSegment(Segment(self._next, path, minute))
            _sync_folder(self.folder)
        except OSError as error:
            raise _refused(path, error) from error
        self._next += 1
        if previous is not None:
            # Closing syncs it, so that whoever still waits for it finds it durable (or cut off).
            previous.close()
        return self._file

    def _sync(self, segment: _OpenSegment, end: int) -> None:
        with self._sync_lock:
            if segment.synced >= end:
                return
            with self._write_lock:
                target = segment.end
            segment.sync(target)


class _OpenSegment:
    """A segment that is written to; `synced` bytes of it are durable."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._descriptor = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.end = 0
        self.synced = 0
        self.sound = True
        self._lock = threading.Lock()

    def write(self, frame: bytes) -> int:
        """Append a frame; the end of the file after it."""
        start = self.end
        view = memoryview(frame)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self._cut(start)
            raise _refused(self.segment.path, error) from error
        self.end = start + len(frame)
        return self.end

    def sync(self, target: int) -> None:
        """Make everything up to `target` durable, or cut off what is not."""
        with self._lock:
            if self.synced >= target:
                return
            if self._descriptor < 0:
                raise _refused(self.segment.path, OSError(5, "an earlier write failed"))
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                # After a failed fsync the page cache may lie: never trust or write this file again.
                self.sound = False
                self._cut(self.synced)
                raise _refused(self.segment.path, error) from error
            self.synced = target

    def close(self) -> None:
        """Make everything durable, or cut off what is not, and let go of the file."""
        with contextlib.suppress(StoreError):
            self.sync(self.end)
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _cut(self, size: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, size)
            os.lseek(self._descriptor, size, os.SEEK_SET)
            self.end = size


# -- reading --------------------------------------------------------------------------------


def segments(folder: Path) -> list[Segment]:
    """All segment files of a folder, oldest first."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        sequence, _, minute = path.stem.partition("-")
        found.append(Segment(int(sequence), path, int(minute)))
    return sorted(found, key=lambda segment: segment.sequence)


def read_frames(path: Path) -> Iterator[Frame]:
    """Complete frames of a segment; a torn or damaged tail ends the reading."""
    data = path.read_bytes()
    position = 0
    while position + HEADER.size <= len(data):
        length, checksum, digest = HEADER.unpack_from(data, position)
        start = position + HEADER.size
        body = data[start : start + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        yield _frame(body, None if digest == NO_DIGEST else digest)
        position = start + length


def _frame(body: bytes, digest: bytes | None) -> Frame:
    source = pa.BufferReader(body)
    batch = predictions = None
    while source.tell() < len(body):
        with pa.ipc.open_stream(source, options=_READING) as reader:
            for found in reader:
                if found.schema.equals(PREDICTION_SCHEMA):
                    predictions = found
                else:
                    batch = found
    return Frame(batch, digest, predictions)


def encode_frame(
    batch: pa.RecordBatch | None,
    digest: bytes | None,
    predictions: pa.RecordBatch | None = None,
) -> bytes:
    """Rows and answers of one payload as the bytes that are appended."""
    sink = pa.BufferOutputStream()
    for part, schema in ((batch, WAL_SCHEMA), (predictions, PREDICTION_SCHEMA)):
        if part is None:
            continue
        if not part.schema.equals(schema):
            raise StoreError(f"a batch has columns {part.schema.names}, not those of the log")
        with pa.ipc.new_stream(sink, schema, options=_WRITING) as writer:
            writer.write_batch(part)
    body: bytes = sink.getvalue().to_pybytes()
    return HEADER.pack(len(body), zlib.crc32(body), digest or NO_DIGEST) + body


def _refused(path: Path, error: OSError) -> StoreError:
    remedy = "free space or mend the disk"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        remedy = "raise the limit of open files (ulimit -n, LimitNOFILE)"
    return StoreError(
        f"{path.parent}: the write-ahead log cannot be written ({error.strerror}): "
        f"{remedy}; nothing unacknowledged was kept"
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
