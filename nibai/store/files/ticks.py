"""Times of a Parquet column as they are stored, compared with moments in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TICKS_A_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
MAX_TICKS = 2.0**61
SLACK = 1 << 12
"""Doubles of seconds since 1970 stand 2**-22 apart, which is 256 nanoseconds; this is more."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How a column counts time: in integer ticks, or (not `ticks`) in seconds once divided.

    Comparing ticks gives the same answers as comparing their seconds, without a division a row.
    """

    per_second: float
    ticks: bool

    @classmethod
    def of(cls, kind: pa.DataType, per_second: float) -> Clock:
        """The clock of a column of timestamps or of numbers, `per_second` of which are a second."""
        if pa.types.is_timestamp(kind):
            return cls(TICKS_A_SECOND[kind.unit], ticks=True)
        return cls(per_second, ticks=pa.types.is_integer(kind) and not pa.types.is_uint64(kind))

    def times(self, column: NDArray[Any]) -> NDArray[Any]:
        """What to compare, of the stored numbers."""
        if self.ticks:
            return column.astype(np.int64, copy=False)
        return column / self.per_second

    def seconds(self, time: float) -> float:
        """Seconds since the epoch of what is compared."""
        return time / self.per_second if self.ticks else time

    def first_at(self, moments: NDArray[np.float64]) -> NDArray[Any]:
        """The first time whose seconds are at least each moment: exact, by bisection."""
        if not self.ticks:
            return moments
        middle = np.clip(moments * self.per_second, -MAX_TICKS, MAX_TICKS).astype(np.int64)
        before, reached = middle - SLACK, middle + SLACK
        while (reached - before > 1).any():
            middle = (before + reached) // 2
            enough = middle / self.per_second >= moments
            reached, before = np.where(enough, middle, reached), np.where(enough, before, middle)
        return reached
