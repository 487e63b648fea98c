"""What was sent and what was answered, on disk: the memory of a replay that may be killed.

One JSON object a line: the settings first; `sent`, written and fsynced *before* a request goes out;
`answers`, `failed` or `unsent` afterwards. A call whose last word is `sent` was in flight when the
process died: whether it reached the target is unknown. It is not sent again, and its answers count
as missing. The price is up to `concurrency` calls of data per crash; the gain is that no crash
makes a target answer, and charge for, the same call twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nibai.errors import StoreError, UsageError

SETTINGS = "settings"
START = b'{"settings":{'


class Journal:
    """The journal of one replay, open for one process; thread-safe.

    `requests` is how many requests were started, tries included, over all runs; `answered` and
    `in_flight` are numbers of calls. UsageError when the file is about other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self.path = path
        self.requests = 0
        self.answered: set[int] = set()
        self.in_flight: set[int] = set()
        self._lock = threading.Lock()
        self._unwritten: Mapping[str, object] | None = settings
        self._new_folder = not path.parent.exists()
        self._descriptor = _open(path)
        try:
            self._start(settings)
        except BaseException:
            self.close()
            raise

    # -- while sending ------------------------------------------------------------------------
    def sent(self, call: int) -> None:
        """A request is about to start; returns when that is on disk."""
        self._note({"sent": call}, durable=True)

    def unsent(self, call: int) -> None:
        """The request did not start after all: the replay was stopped while it waited."""
        self._note({"unsent": call})

    def failed(self, call: int) -> None:
        """The request failed; the call may be sent again, by this run or the next."""
        self._note({"failed": call})

    def answers(self, call: int, outputs: Sequence[Mapping[str, object]]) -> None:
        """The outcome of a call: one output per input, invalid ones included."""
        self._note({"answers": call, "outputs": outputs})

    # -- afterwards ---------------------------------------------------------------------------
    def outputs(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """(call, its outputs) in the order of the answers; the last of a call counts."""
        for entry in _entries(self.path):
            if entry.get("answers") in self.answered:
                yield entry["answers"], entry["outputs"]

    def close(self) -> None:
        """Let another process go on; harmless when done twice. Without an entry nothing is left."""
        if self._descriptor >= 0:
            if not self._size():
                self.path.unlink(missing_ok=True)
                if self._new_folder:
                    with suppress(OSError):  # somebody else may have found a use for it
                        self.path.parent.rmdir()
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- the file -----------------------------------------------------------------------------
    def _start(self, settings: Mapping[str, object]) -> None:
        if not os.pread(self._descriptor, len(START), 0).startswith(START[: self._size()]):
            raise UsageError(f"{self.path}: is no journal of a replay: choose another --out")
        _drop_torn_line(self._descriptor)
        entries = _entries(self.path)
        first = next(entries, None)
        if first is None:
            return  # the settings are written with the first entry: a plan alone leaves no trace
        self._unwritten = None
        _compare(self.path, first[SETTINGS], settings)
        for entry in entries:
            self._apply(entry)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _note(self, entry: Mapping[str, object], *, durable: bool = False) -> None:
        with self._lock:
            if self._unwritten is not None:
                self._write({SETTINGS: self._unwritten}, durable=False)
                self._unwritten = None
            self._apply(entry)
            self._write(entry, durable=durable)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        kind, call = next(iter(entry.items()))
        if kind == "sent":
            self.requests += 1
            self.in_flight.add(call)
            return
        self.in_flight.discard(call)
        if kind == "unsent":
            self.requests -= 1
        elif kind == "failed":
            self.answered.discard(call)
        else:
            self.answered.add(call)

    def _write(self, entry: Mapping[str, object], *, durable: bool) -> None:
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
        try:
            data = memoryview(line.encode("utf-8", "surrogatepass"))
            while data:
                data = data[os.write(self._descriptor, data) :]
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written ({error.strerror}): make room, then run the same "
                "command again to go on"
            ) from error


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror}): choose another --out"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"{path.parent}: another nibai process replays into this folder: wait for it, or "
            "choose another --out"
        ) from error
    return descriptor


def _drop_torn_line(descriptor: int) -> None:
    """Cut off a last line that a crash left without its end; nothing was done on its word yet."""
    end = size = os.fstat(descriptor).st_size
    while end:
        start = max(end - (1 << 16), 0)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise StoreError(
                    f"{path}: line {number} is damaged: start again in another folder (--out)"
                ) from error
            yield entry


def _compare(path: Path, known: Mapping[str, object], settings: Mapping[str, object]) -> None:
    wanted = json.loads(json.dumps(settings))
    for name in [*wanted, *known]:
        if known.get(name) != wanted.get(name):
            raise UsageError(
                f"{path.parent} holds a replay with another {name} ({known.get(name)!r}, now "
                f"{wanted.get(name)!r}): go on with the same settings, or choose another --out"
            )
