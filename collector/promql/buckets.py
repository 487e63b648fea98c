"""Buckets of any layout as nibai's base-2 ones: exactly where they fit, else by their width.

A layout that is none of base 2 goes to the finest scale whose bucket is not narrower than its own
widest one: what it cannot tell apart must not look resolved. Source: aws.md, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from collector.promql.answers import Bucket
from nibai.histogram import SCALE, ZERO_BUCKET, ZERO_THRESHOLD
from nibai.model import Provenance

FITS = 1e-5
"""Bounds come as rounded decimals: so near (in log2) they are on the grid."""

FINEST = 8
COARSEST = 0


@dataclass(frozen=True, slots=True)
class Binned:
    """Requests by bucket number at a scale, not yet whole numbers.

    `exact`: the source's bounds are bounds of this scale. `beyond` of the requests lie above the
    source's last bound; they are in the bucket above it.
    """

    rows: Mapping[int, float]
    scale: int
    exact: bool
    beyond: float = 0.0

    @property
    def provenance(self) -> Provenance:
        """Counts on a grid of ours, unless the grid was the source's own."""
        return Provenance.EXACT if self.exact else Provenance.TC

    def whole(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Bucket numbers (K,) and counts (K,); rounding neither loses nor makes a request."""
        numbers = sorted(self.rows)
        shares = np.array([self.rows[number] for number in numbers])
        counts = np.diff(np.rint(np.concatenate([[0.0], np.cumsum(shares)])).astype(np.int64))
        kept = counts > 0
        return np.array(numbers, dtype=np.int32)[kept], counts[kept]

    def at(self, scale: int) -> Binned:
        """The same at a coarser scale: buckets are joined whole."""
        if scale == self.scale:
            return self
        rows: dict[int, float] = {}
        for number, count in self.rows.items():
            joined = number if number == ZERO_BUCKET else number >> (self.scale - scale)
            rows[joined] = rows.get(joined, 0.0) + count
        return replace(self, rows=rows, scale=scale)

    def minus(self, before: Binned) -> Binned | None:
        """What was added since; None when a count fell: the source has started anew."""
        if not before.rows:
            return self  # without buckets there is no scale to come down to
        scale = min(self.scale, before.scale)
        now, then = self.at(scale), before.at(scale)
        rows = {
            number: now.rows.get(number, 0.0) - then.rows.get(number, 0.0)
            for number in now.rows.keys() | then.rows.keys()
        }
        if min(rows.values(), default=0.0) < -FITS:
            return None
        beyond = max(self.beyond - before.beyond, 0.0)
        return Binned(rows, scale, self.exact and before.exact, beyond)


def binned(buckets: Iterable[Bucket], layout: Sequence[tuple[float, float]]) -> Binned:
    """Counts of buckets (low, high] in base units.

    `layout` are the bounds of the buckets that the source has, filled or not; those at zero and
    infinity say nothing of its width. Values at or below zero are the zero bucket.

    >>> found = binned([(0.5, 1.0, 3.0), (1.0, 2.0, 1.0)], [(0.5, 1.0), (1.0, 2.0)])
    >>> dict(found.rows), found.scale, found.exact
    ({-1: 3.0, 0: 1.0}, 0, True)
    """
    scale, exact = _scale(tuple(layout))
    rows: dict[int, float] = {}
    beyond = 0.0
    for low, high, count in buckets:
        beyond += count if math.isinf(high) else 0.0
        for number, share in _spread(low, high, scale) if count else ():
            rows[number] = rows.get(number, 0.0) + count * share
    found = Binned(rows, scale, exact, beyond)
    return found.at(SCALE) if scale > SCALE else found


def from_fractions(below: Mapping[float, float], count: float) -> list[Bucket]:
    """Buckets between edges, from the share of samples at or below each; the last is open.

    Shares that fall back against their order are raised to it.
    """
    found: list[Bucket] = []
    low, running = 0.0, 0.0
    for edge, share in sorted(below.items()):
        now = max(running, count * min(max(share, 0.0), 1.0))
        found.append((low, edge, now - running))
        low, running = edge, now
    return [*found, (low, math.inf, count - running)]


@lru_cache(maxsize=2**10)
def _scale(layout: tuple[tuple[float, float], ...]) -> tuple[int, bool]:
    """The scale of a layout, and whether its bounds are bounds of that scale."""
    inner = [(low, high) for low, high in layout if low > ZERO_THRESHOLD and high < math.inf]
    if not inner:
        return COARSEST, False
    logs = np.log2(np.array(inner))
    widths = logs[:, 1] - logs[:, 0]
    fine = round(-math.log2(float(widths.min())))
    if COARSEST <= fine <= FINEST:
        at = logs * 2.0**fine
        even = float(widths.max()) * 2.0**fine < 1.0 + FITS
        if even and float(np.abs(at - np.rint(at)).max()) < FITS * 2.0**fine:
            return fine, True
    return int(np.clip(math.floor(-math.log2(float(widths.max())) + FITS), COARSEST, SCALE)), False


@lru_cache(maxsize=2**16)
def _spread(low: float, high: float, scale: int) -> tuple[tuple[int, float], ...]:
    """Shares of (low, high] by bucket number, evenly in log where it reaches over several."""
    if high <= ZERO_THRESHOLD:
        return ((ZERO_BUCKET, 1.0),)
    if math.isinf(high):
        return ((_number(max(low, ZERO_THRESHOLD), scale) + 1, 1.0),)
    last = _number(high, scale)
    if low <= ZERO_THRESHOLD:
        return ((last, 1.0),)
    start, end = (math.log2(one) * 2.0**scale for one in (low, high))
    first = math.floor(start + FITS)
    if first >= last:
        return ((last, 1.0),)
    numbers = range(first, last + 1)
    widths = [max(min(n + 1.0, end) - max(float(n), start), 0.0) for n in numbers]
    return tuple((n, width / sum(widths)) for n, width in zip(numbers, widths, strict=True))


def _number(bound: float, scale: int) -> int:
    """The bucket whose upper bound, but for decimals, this is or that it lies in."""
    return math.ceil(math.log2(bound) * 2.0**scale - FITS) - 1
