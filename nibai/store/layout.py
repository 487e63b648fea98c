"""How measurements lie in a table, and how they are counted into blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PlainColumns:
    """The two columns that values and times are made of, where statistics may be asked."""

    value: str
    time: str


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

    def cover(self, span: ReplicaSpan) -> bool:
        """Whether every row of a span lies in a block."""
        if span.start is None or span.end is None or self.repeats > 1:
            return False
        return self.start <= span.start and span.end <= self.end


@dataclass(frozen=True, slots=True)
class Bins:
    """Additive rows of one replica and segment; all arrays have the same shape."""

    side: str
    replica: str
    segment: str
    block: np.ndarray
    bucket: np.ndarray
    count: np.ndarray
    sum: np.ndarray
