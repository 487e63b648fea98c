"""Steps on several processes, in order, with a line of progress each."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class Work:
    """A pool of `jobs` processes (none for one job); results come in the order of the tasks."""

    def __init__(self, jobs: int, *, quiet: bool = False) -> None:
        self.jobs = jobs
        self._quiet = quiet
        self._start = time.monotonic()
        # A plain pool: an executor that is left by an exception can wait for its workers forever.
        self._pool = multiprocessing.get_context("spawn").Pool(jobs) if jobs > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()

    def say(self, text: str) -> None:
        """One line with the time since the start."""
        if not self._quiet:
            print(f"[{self.seconds:5.0f} s] {text}", file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def map(
        self, function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """The function of every task."""
        if self._pool is None:
            return (function(*task) for task in tasks)
        return self._pool.imap(_apply, [(function, task) for task in tasks])


def _apply(call: tuple[Callable[..., Result], tuple[Any, ...]]) -> Result:
    function, task = call
    return function(*task)
