"""A rate cap: requests start at least one interval apart, whatever threads and servers do."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pace:
    """A token bucket of one token: no two requests start less than `interval_seconds` apart.

    Guarantee: any half-open window of T seconds holds at most ceil(T / interval) starts. The next
    interval counts from when the last request really started; a late start is not made up for.
    `sleep(seconds)` returns True when the replay is to stop.

    >>> now = [0.0]
    >>> def sleep(seconds: float) -> bool:
    ...     now[0] += seconds
    ...     return False
    >>> pace = Pace(0.5, lambda: now[0], sleep)
    >>> [now[0] for _ in range(3) if pace.turn()]
    [0.0, 0.5, 1.0]
    """

    def __init__(
        self,
        interval_seconds: float,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
    ) -> None:
        self._interval = interval_seconds
        self._clock = clock
        self._sleep = sleep
        self._next = clock()
        self._turn = threading.Lock()
        self._resting = threading.Lock()
        self._rest_until = self._next

    def turn(
        self,
        prepare: Callable[[], bool] = lambda: True,
        undo: Callable[[], None] = lambda: None,
    ) -> bool:
        """Wait for a turn to start one request; False when it must not start.

        `prepare` runs when this request is the next one, while its interval is still running, and
        may refuse; `undo` runs when the replay is stopped before the interval is over.
        """
        with self._turn:
            if not prepare():
                return False
            while (seconds := max(self._next, self._rest_until) - self._clock()) > 0:
                if self._sleep(seconds):
                    undo()
                    return False
            self._next = self._clock() + self._interval
            return True

    def rest(self, seconds: float) -> None:
        """Nothing starts for so long: a server asked for it."""
        with self._resting:
            self._rest_until = max(self._rest_until, self._clock() + seconds)
