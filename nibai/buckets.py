"""Bucket numbers by integer arithmetic on the bits of doubles: exact, on every machine the same.

A logarithm rounds, differently from one processor to the next; here a value is compared with the
true bound. The top mantissa bits choose a cell with at most one bound in it, and the cell's offset
carries into the bucket number exactly when the rest of the mantissa lies above that bound.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nibai.errors import HistogramMismatchError

MANTISSA_BITS = 52
EXPONENT_BIAS = 1023
MAX_SCALE = 8
"""Finest scale: 256 buckets per doubling."""


def regular_buckets(values: NDArray[np.float64], scale: int) -> NDArray[np.int64]:
    """Bucket numbers of finite doubles above `ZERO_THRESHOLD`; nothing is checked.

    Shape: as `values`. Bucket i holds x exactly when `2**(i/2**scale) < x <= 2**((i+1)/2**scale)`.
    Zero, negative values and NaN get numbers beyond those of all normal doubles, infinity that of
    the greatest. HistogramMismatchError for a scale that is not 0 to 8.

    >>> regular_buckets(np.array([1.0, 2.0, 2.0**0.5]), 1).tolist()
    [-1, 1, 1]
    """
    return _numbers(
        values, scale, np.empty(values.shape, np.int64), np.empty(values.shape, np.int64)
    )


class Numbering:
    """`regular_buckets` of many arrays of up to `size` values, in memory that is used again.

    Fresh memory costs several times the arithmetic. An answer holds until the next question; not
    for several threads.

    >>> Numbering(1, size=8).buckets(np.array([1.0, 2.0, 2.0**0.5])).tolist()
    [-1, 1, 1]
    """

    def __init__(self, scale: int, size: int) -> None:
        self._scale = scale
        self._cells, self._found = np.empty(size, np.int64), np.empty(size, np.int64)

    def buckets(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Bucket numbers of one array; shape (n,) as `values`."""
        n = len(values)
        return _numbers(values, self._scale, self._cells[:n], self._found[:n])


def _numbers(
    values: NDArray[np.float64],
    scale: int,
    cells: NDArray[np.int64],
    found: NDArray[np.int64],
) -> NDArray[np.int64]:
    bits = values.view(np.int64)
    np.right_shift(bits, MANTISSA_BITS - scale - 1, out=cells)
    cells &= 2 ** (scale + 1) - 1
    _offsets(scale).take(cells, out=found, mode="clip")  # every cell exists, nothing is clipped
    found += bits
    found >>= MANTISSA_BITS - scale
    return found


@cache
def _offsets(scale: int) -> NDArray[np.int64]:
    """What to add to the bits of a double by its cell, so that a shift is all that remains.

    A cell is half a bucket of equal width; bounds stand further apart than that.
    """
    if not 0 <= scale <= MAX_SCALE:
        raise HistogramMismatchError(f"scale {scale} is not 0 to {MAX_SCALE}")
    cell_bits, bucket_bits = MANTISSA_BITS - scale - 1, MANTISSA_BITS - scale
    bounds = {bound >> cell_bits: bound for bound in mantissa_bounds(scale)}
    bucket = -1 - (EXPONENT_BIAS << scale)
    offsets = []
    for cell in range(2 ** (scale + 1)):
        offset = (bucket << bucket_bits) - (cell << cell_bits)
        if cell in bounds:
            bucket += 1
            offset += (1 << bucket_bits) - 1 - (bounds[cell] - (cell << cell_bits))
        offsets.append(offset)
    return np.array(offsets, dtype=np.int64)


def mantissa_bounds(scale: int) -> list[int]:
    """Greatest mantissa of a double that is at most `2**(j/2**scale)`, j = 0 .. 2**scale - 1.

    By integer square roots, so without rounding: the root of a floor has the floor of the root.
    """
    found = []
    for j in range(2**scale):
        power = 1 << (j + (MANTISSA_BITS << scale))
        for _ in range(scale):
            power = math.isqrt(power)
        found.append(power - (1 << MANTISSA_BITS))
    return found
