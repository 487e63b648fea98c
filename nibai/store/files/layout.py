"""How measurements lie in a table, and how they are counted into blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PlainColumns:
    """The two columns of numbers that values and times are, where statistics may be asked.

    A value times `factor` is in base units, a time divided by `per_second` in seconds since the
    epoch (timestamps know it themselves).
    """

    value: str
    factor: float
    time: str
    per_second: float = 1.0

    @property
    def columns(self) -> tuple[str, str]:
        """Both columns."""
        return self.value, self.time


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a table: SQL expressions made by `Table`, and column names to split by.

    `value` yields base units; `time` seconds since the epoch or None; `failed` a boolean.
    `plain` names the columns where no row may be failed and all are of one replica and side.
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

    `proven`: known from statistics, which say that no row is unusable, zero or out of order.
    """

    side: str
    replica: str
    rows: int
    bad: int
    start: float | None
    end: float | None
    first_row: int
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
