"""Services whose quota is so small that calls are spaced out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collector.aws.session import Caller


class Spaced:
    """A caller with at least `seconds` between two calls; `clock` and `wait` are passed in."""

    def __init__(
        self,
        caller: Caller,
        seconds: float,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._caller = caller
        self._seconds = seconds
        self._clock = clock
        self._wait = wait
        self._next = 0.0

    def call(self, operation: str, **request: object) -> Mapping[str, Any]:
        """One answer, when it is its turn."""
        self._wait(max(self._next - self._clock(), 0.0))
        self._next = self._clock() + self._seconds
        return self._caller.call(operation, **request)
