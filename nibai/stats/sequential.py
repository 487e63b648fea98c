"""Looking again and again without paying for it: a whitened t mixture over blocks of time.

Every closed block gives one value, the log2 ratio (or the difference of error shares) of the same
clock minutes on both sides. The e-value of "the true value is theta" is a martingale under theta,
so it passes 1/alpha with probability at most alpha however often one looks (Ville's inequality).
Assumes block values that are a constant plus Gaussian AR(1) noise whose correlation `phi` was
learnt before the change (`nibai.stats.whitening`); asymptotic otherwise.
Source: Wang and Ramdas, arXiv 2310.03722; nibai's statistics.md, section 7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nibai.stats.whitening import clipped_correlation

TUNED_FOR_BLOCKS = 24
"""The interval is narrowest, for its kind, at about so many blocks."""

MOST_PAIRS = 1000
"""Beyond so many blocks nobody waits."""

FARTHEST = 64.0
"""How far from the estimate a bound is looked for, in log2 units."""

NEGLIGIBLE = 1e-24
"""Variances below this share of the mean square are rounding."""


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Sufficient statistics of the blocks from `first` to `last`, for every theta and every phi.

    Sums over the pairs of consecutive blocks (x before y), and the values at both ends, which is
    what lets two adjacent stretches be joined. Plain numbers, whatever the number of blocks.

    >>> one = BlockSums.of([0.1, 0.3, 0.2])
    >>> other = BlockSums.of([0.4, 0.1], first=3)
    >>> one.merge(other) == BlockSums.of([0.1, 0.3, 0.2, 0.4, 0.1])
    True
    """

    first: int = 0
    last: int = -1
    first_value: float = 0.0
    last_value: float = 0.0
    blocks: int = 0
    pairs: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    @classmethod
    def of(cls, values: list[float], *, first: int = 0) -> BlockSums:
        """Of consecutive blocks numbered from `first`; NaN is a block without a value."""
        sums = cls()
        for number, value in enumerate(values, start=first):
            if math.isfinite(value):
                sums = sums.add(number, value)
        return sums

    def add(self, number: int, value: float) -> BlockSums:
        """With one later block; a number already passed changes nothing.

        A gap costs one pair: only blocks that follow each other can be whitened.
        """
        if self.blocks and number <= self.last:
            return self
        return self.merge(BlockSums(number, number, value, value, 1))

    def merge(self, later: BlockSums) -> BlockSums:
        """Of both stretches, the second after the first: exactly as if added block by block."""
        if not (self.blocks and later.blocks):
            return self if self.blocks else later
        if later.first <= self.last:
            raise ValueError(
                f"blocks {self.first}..{self.last} and {later.first}..{later.last} overlap"
            )
        joined = later.first == self.last + 1
        a, b = (self.last_value, later.first_value) if joined else (0.0, 0.0)
        return BlockSums(
            self.first,
            later.last,
            self.first_value,
            later.last_value,
            self.blocks + later.blocks,
            self.pairs + later.pairs + joined,
            self.x + a + later.x,
            self.y + b + later.y,
            self.xx + a * a + later.xx,
            self.xy + a * b + later.xy,
            self.yy + b * b + later.yy,
        )


@dataclass(frozen=True, slots=True)
class MixtureTest:
    """The e-process of a level; fixed before the first block after the change.

    `phi` None: no history, the correlation is taken around every theta tested (low power).
    """

    phi: float | None
    level: float = 0.95
    tuned_for: int = TUNED_FOR_BLOCKS

    @property
    def spread(self) -> float:
        """Variance of the mixture in units of the innovations' variance (tau squared)."""
        reach = -2 * math.log(1 - self.level)
        return (reach + math.log(reach + 1)) / self.tuned_for

    def estimate(self, sums: BlockSums) -> float:
        """Mean of the whitened blocks: where the e-value is least. NaN without a pair."""
        if not sums.pairs:
            return sums.first_value if sums.blocks == 1 else math.nan
        if self.phi is not None:
            return _innovations(sums, 0.0, self.phi)[0]
        return (sums.x + sums.y) / (2 * sums.pairs)

    def log_e(self, sums: BlockSums, theta: float) -> float:
        """Ln of the e-value against "the true value is theta"; 0 while nothing is known."""
        n = sums.pairs
        if n < 2:  # noqa: PLR2004 - a variance needs two
            return 0.0
        mean, square = _innovations(sums, theta, self._phi_at(sums, theta))
        variance = square - mean * mean
        grown = 1 + n * self.spread
        if variance <= NEGLIGIBLE * square:
            certain = n / 2 * math.log(grown) if mean * mean > NEGLIGIBLE else 0.0
            return certain - math.log(grown) / 2
        ratio = mean * mean / variance  # t squared over its degrees of freedom
        gain = math.log1p(ratio) - math.log1p(ratio / grown)
        return n / 2 * gain - math.log(grown) / 2

    def log_e_value(self, sums: BlockSums, theta: float, *, above: bool) -> float:
        """Ln of the one-sided e-value that speaks for "above theta" (or below) when large.

        Counts only where the estimate lies on that side, minus infinity elsewhere. Valid at any
        one stopping time, for instance the last block or the one that decided.
        """
        estimate = self.estimate(sums)
        right = estimate > theta if above else estimate < theta
        return self.log_e(sums, theta) if right else -math.inf

    def confidence_set(self, sums: BlockSums) -> tuple[float, float]:
        """The thetas whose e-value is below 1/alpha; infinite while blocks are few (about 7)."""
        if sums.pairs < 2:  # noqa: PLR2004 - see log_e
            return -math.inf, math.inf
        middle = self.estimate(sums)
        if self.phi is None:
            return self._crossing(sums, middle, -1), self._crossing(sums, middle, 1)
        n, grown = sums.pairs, 1 + sums.pairs * self.spread
        reach = math.exp(2 / n * (math.log(grown) / 2 - math.log(1 - self.level)))
        if reach >= grown:
            return -math.inf, math.inf
        mean, square = _innovations(sums, middle, self.phi)
        variance = max(square - mean * mean, 0.0)
        half = math.sqrt(variance * (reach - 1) / (1 - reach / grown))
        return middle - half, middle + half

    def pairs_needed(self, sums: BlockSums, theta: float) -> int | None:
        """Roughly how many pairs of blocks reject theta, mean and scatter staying as they are.

        None when that cannot be said: too few blocks, or more than a thousand.
        """
        if sums.pairs < 2:  # noqa: PLR2004 - see log_e
            return None
        mean, square = _innovations(sums, theta, self._phi_at(sums, theta))
        variance = max(square - mean * mean, NEGLIGIBLE * square)
        ratio = mean * mean / variance if variance > 0 else 0.0
        limit = -math.log(1 - self.level)
        for n in range(2, MOST_PAIRS + 1):
            grown = 1 + n * self.spread
            gain = math.log1p(ratio) - math.log1p(ratio / grown)
            if n / 2 * gain - math.log(grown) / 2 >= limit:
                return n
        return None

    def _phi_at(self, sums: BlockSums, theta: float) -> float:
        if self.phi is not None:
            return self.phi
        n, x, y = sums.pairs, sums.x, sums.y
        product = sums.xy - theta * (x + y) + n * theta * theta
        power = sums.xx + sums.yy - 2 * theta * (x + y) + 2 * n * theta * theta
        return clipped_correlation(2 * product / power if power > 0 else 0.0, n)

    def _crossing(self, sums: BlockSums, middle: float, side: int) -> float:
        """The first theta away from the estimate that is rejected; infinite when none is."""
        limit = -math.log(1 - self.level)
        inside, step = 0.0, 0.001
        while self.log_e(sums, middle + side * step) < limit:
            inside, step = step, step * 1.5
            if step > FARTHEST:
                return side * math.inf
        outside = step
        for _ in range(40):
            between = (inside + outside) / 2
            if self.log_e(sums, middle + side * between) < limit:
                inside = between
            else:
                outside = between
        return middle + side * outside


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """What all blocks so far say: sums, and the intersection of the sets after every block.

    Covers the true value at all times together with probability `test.level`. Reading a block
    again changes nothing. `merge` of the sums is exact; `low` and `high` of a joined stretch hold
    fewer looks (see `join`).
    """

    test: MixtureTest
    sums: BlockSums = BlockSums()
    low: float = -math.inf
    high: float = math.inf

    @property
    def value(self) -> float:
        """The estimate; NaN without blocks."""
        return self.test.estimate(self.sums)

    def look(self, number: int, value: float) -> ConfidenceSequence:
        """After one more closed block; blocks come in order of time, gaps are allowed."""
        sums = self.sums.add(number, value)
        return self if sums is self.sums else self._narrowed(sums)

    def join(self, later: BlockSums) -> ConfidenceSequence:
        """After a whole later stretch at once: one look at its end instead of one per block.

        As valid as looking at every block, and at most as wide as this sequence was before.
        """
        return self._narrowed(self.sums.merge(later))

    def log_e_value(self, theta: float, *, above: bool) -> float:
        """Ln of the one-sided e-value at the last block; see `MixtureTest.log_e_value`."""
        return self.test.log_e_value(self.sums, theta, above=above)

    def _narrowed(self, sums: BlockSums) -> ConfidenceSequence:
        low, high = self.test.confidence_set(sums)
        return ConfidenceSequence(self.test, sums, max(low, self.low), min(high, self.high))


def _innovations(sums: BlockSums, theta: float, phi: float) -> tuple[float, float]:
    """Mean and mean square of ((y - theta) - phi (x - theta)) / (1 - phi) over the pairs."""
    n, lasting = sums.pairs, 1 - phi
    mean = (sums.y - phi * sums.x) / (n * lasting)
    square = (sums.yy - 2 * phi * sums.xy + phi * phi * sums.xx) / (n * lasting * lasting)
    return mean - theta, square - 2 * theta * mean + theta * theta
