"""How far a reading of sources is: a bar with the time left, elsewhere a line a minute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from nibai.cli.saying import say

LINE_SECONDS = 60.0
BAR = "reading"


@dataclass(slots=True)
class Calls:
    """Calls that were made, and how many are left of each source.

    What was planned is an upper bound until a source knows better, so the sum may shrink.
    """

    left: dict[str, int]
    done: int = 0

    def made(self, source: str, left: int | None) -> None:
        """One call more; `left` where the source knows.

        >>> calls = Calls({"a": 77, "b": 2})
        >>> calls.made("a", 42)
        >>> calls.made("b", None)
        >>> calls.done, calls.total
        (2, 45)
        """
        self.done += 1
        self.left[source] = max(self.left.get(source, 1) - 1, 0) if left is None else left

    @property
    def total(self) -> int:
        """Made and left."""
        return self.done + sum(self.left.values())


@dataclass(slots=True)
class Lines:
    """A line a minute for logs: `say` gets it, `clock` tells seconds."""

    say: Callable[[str], None]
    clock: Callable[[], float]
    began: float = field(init=False)
    said: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.said = self.clock()

    def tick(self, calls: Calls) -> None:
        """Say how far it is, when a minute has passed since it was said."""
        now = self.clock()
        if now - self.said < LINE_SECONDS:
            return
        self.said = now
        left = (now - self.began) / calls.done * (calls.total - calls.done)
        self.say(f"{calls.done:,} of {calls.total:,} calls, about {_minutes(left)} left")


def _minutes(seconds: float) -> str:
    """A time in words.

    >>> _minutes(50), _minutes(100), _minutes(9000)
    ('a minute', '2 minutes', '2.5 hours')
    """
    minutes = round(seconds / 60)
    if minutes <= 1:
        return "a minute"
    return f"{minutes} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"  # noqa: PLR2004


@contextmanager
def progress(
    planned: Mapping[str, int], clock: Callable[[], float]
) -> Iterator[Callable[[str, int | None], None]]:
    """What is to be called after each call with the source and what it says is left."""
    calls = Calls(dict(planned))
    lines = Lines(lambda line: say(line, err=True), clock)
    terminal = sys.stderr.isatty()
    with click.progressbar(
        length=calls.total, label=BAR, hidden=not terminal, show_eta=True, show_pos=True,
        file=sys.stderr,
    ) as bar:  # fmt: skip

        def tick(source: str, left: int | None) -> None:
            calls.made(source, left)
            bar.length = calls.total
            bar.update(1)
            if not terminal:
                lines.tick(calls)

        yield tick
