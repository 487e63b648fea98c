"""How measurements lie in a table, and how they are counted into blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class PlainColumns:
    """The columns that values, times and failures are, where a file's statistics may be asked.

    A value times `factor` is in base units, a time divided by `per_second` in seconds since the
    epoch (timestamps know it themselves). Without `time` the order of the rows is that of time;
    `failed` is the one column that tells whether a request failed, None where none does.
    """

    value: str
    factor: float
    time: str | None
    per_second: float = 1.0
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a table: SQL expressions made by `Table`, and column names to split by.

    `value` yields base units; `time` seconds since the epoch or None; `failed` a boolean.
    `plain` names the columns where all rows are of one replica and side.
    """

    value: str
    time: str | None = None
    failed: str = "false"
    segments: tuple[str, ...] = ()
    replica: str | None = None
    side: str | None = None
    plain: PlainColumns | None = None


@dataclass(frozen=True, slots=True)
class ReplicaSpan:
    """Rows and time span of one replica (and side) inside a table.

    `proven`: known from a file's statistics; how many rows are bad is found when counting.
    """

    side: str
    replica: str
    rows: int
    bad: int
    start: float | None
    end: float | None
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Blocks:
    """Equal blocks of time, one after the other; without a clock, equal parts of the rows.

    With `repeats` the same stretch of blocks follows every `period` seconds; blocks are numbered
    through.
    """

    start: float
    seconds: float
    count: int
    repeats: int = 1
    period: float = 0.0

    @property
    def stretch(self) -> float:
        """Length of one stretch."""
        return self.seconds * self.count

    @property
    def end(self) -> float:
        """Where the last block ends."""
        return self.start + self.period * (self.repeats - 1) + self.stretch

    @property
    def edges(self) -> np.ndarray:
        """Where the blocks start and the stretches end: after every `count` blocks is a gap.

        A time on an edge belongs to what follows it; only the end of a single stretch still belongs
        to its last block.
        """
        if self.seconds <= 0:
            return np.array([self.start, np.nextafter(self.start, np.inf)])
        stretch = self.start + self.seconds * np.arange(self.count + 1)
        if self.repeats == 1:
            stretch[-1] = np.nextafter(stretch[-1], np.inf)
        return (stretch + self.period * np.arange(self.repeats)[:, None]).ravel()

    def after(self, edge: int) -> int | None:
        """Number of the block that starts at an edge; None where a gap does.

        >>> blocks = Blocks(0.0, 1.0, 2, repeats=2, period=10.0)
        >>> blocks.edges.tolist(), [blocks.after(i) for i in range(6)]
        ([0.0, 1.0, 2.0, 10.0, 11.0, 12.0], [0, 1, None, 2, 3, None])
        """
        stretch, block = divmod(edge, self.count + 1)
        return None if block == self.count else stretch * self.count + block


@dataclass(frozen=True, slots=True)
class Bins:
    """Additive rows of one replica and segment, all of one shape, and the sum of every block.

    `sums` leaves failed (infinite) requests out; shape (blocks,).
    """

    side: str
    replica: str
    segment: str
    block: np.ndarray
    bucket: np.ndarray
    count: np.ndarray
    sums: np.ndarray


@dataclass(frozen=True, slots=True)
class Stray:
    """Rows of a part of a file that are unusable, and that stand after a later one."""

    bad: int = 0
    disorder: int = 0


@dataclass(frozen=True, slots=True)
class Binned:
    """The bins of one replica, and what only counting could tell of the parts of its file."""

    bins: tuple[Bins, ...]
    strays: Mapping[int, Stray] = field(default_factory=dict)


def strays_together(found: Iterable[Mapping[int, Stray]]) -> Stray:
    """All of one file, whose parts may have been looked at more than once."""
    parts: dict[int, Stray] = {}
    for one in found:
        for number, stray in one.items():
            known = parts.get(number, Stray())
            most = max(known.bad, stray.bad), max(known.disorder, stray.disorder)
            parts[number] = Stray(*most)
    return Stray(
        sum(part.bad for part in parts.values()), sum(part.disorder for part in parts.values())
    )
