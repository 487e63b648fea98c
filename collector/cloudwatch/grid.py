"""A histogram as statistics: one trimmed count `TC(lo:hi)` per bucket of a fixed log grid.

Edges are 2^(k / 2^scale) seconds, the phase never moves, and a range is (lo, hi], as the buckets of
`nibai.histogram` are: bucket k of the answer is bucket k of that scale. Source: aws.md, section 5.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache

WIDEST_SECONDS = (0.0051, 60.0)
"""What is covered while the range of a series is not known: 109, 55 or 28 buckets."""

SIGNIFICANT = 12
"""Digits of an edge; far finer than a bucket, and within what the service takes."""

_DIGITS = Context(prec=SIGNIFICANT)


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets `first` to `last` (both included) of a scale, and what is below and above them."""

    scale: int
    first: int
    last: int

    @classmethod
    def over(cls, low_seconds: float, high_seconds: float, scale: int) -> Grid:
        """The buckets that hold every value of a range, ends included.

        >>> Grid.over(*WIDEST_SECONDS, 3)
        Grid(scale=3, first=-61, last=47)
        """
        steps = 2**scale
        first = math.ceil(math.log2(low_seconds) * steps) - 1
        last = math.ceil(math.log2(high_seconds) * steps) - 1
        return cls(scale, first, max(first, last))

    @property
    def buckets(self) -> int:
        """Buckets between the outer ones."""
        return self.last - self.first + 1

    def statistics(self, units_per_second: float) -> tuple[str, ...]:
        """The statistics of all buckets in order, the open outer ones at the ends.

        >>> Grid(1, -1, 0).statistics(1000.0)
        ('TC(:707.106781187)', 'TC(707.106781187:1000)', 'TC(1000:1414.21356237)', 'TC(1414.21356237:)')
        """  # noqa: E501 - one result
        return _statistics(self, units_per_second)

    def numbers(self) -> tuple[int, ...]:
        """Bucket numbers of `statistics`; the outer ones count as their inner neighbours' next."""
        return tuple(range(self.first - 1, self.last + 2))


@cache
def _statistics(grid: Grid, units_per_second: float) -> tuple[str, ...]:
    edges = [
        _literal(2.0 ** (k / 2**grid.scale) * units_per_second)
        for k in range(grid.first, grid.last + 2)
    ]
    inner = [f"TC({low}:{high})" for low, high in itertools.pairwise(edges)]
    return (f"TC(:{edges[0]})", *inner, f"TC({edges[-1]}:)")


def _literal(value: float) -> str:
    """A number without exponent: neighbours share the identical text of their edge."""
    rounded = _DIGITS.create_decimal_from_float(value)
    return format(rounded.normalize(_DIGITS) if rounded % 1 else rounded.quantize(Decimal(1)), "f")
