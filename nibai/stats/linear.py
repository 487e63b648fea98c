"""Inversion of block scores that are linear in the parameter: Fieller's theorem over blocks.

D_g(x) = a_g + x b_g with mean zero at the estimate and falling in x; the compatible x solve a
quadratic inequality, so bounds are exact and need no search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.student import critical_value, lower_tail
from nibai.stats.variance import NEGLIGIBLE, effective_freedom, variance_factor


@dataclass(frozen=True, slots=True)
class LinearTest:
    """Moments of block scores; `factor` is the AR(1) variance factor at the estimate."""

    blocks: int
    factor: float
    means: tuple[float, float]
    variances: tuple[float, float, float]

    @classmethod
    def of(cls, a: Float64Array, b: Float64Array) -> LinearTest:
        """Moments of a and b, both of shape (G,); the mean of b must be negative."""
        means = float(a.mean()), float(b.mean())
        at_estimate = a + (-means[0] / means[1]) * b
        scale = max(float(np.abs(a).mean()), math.ulp(0.0))
        ((aa, ab), (_, bb)) = np.cov(a, b, ddof=1)
        factor = float(variance_factor(at_estimate / scale))
        return cls(len(a), factor, means, (float(aa), float(ab), float(bb)))

    @property
    def estimate(self) -> float:
        """Where the mean score is zero."""
        return -self.means[0] / self.means[1]

    @property
    def freedom(self) -> float:
        """Degrees of freedom: of as many blocks as the correlated ones are worth."""
        return effective_freedom(self.blocks - 1.0, self.factor)

    def t(self, x: float) -> float:
        """Mean score at x in standard errors, the variance factor included; falls as x grows."""
        mean = self.means[0] + x * self.means[1]
        aa, ab, bb = self.variances
        variance = max(aa + 2 * x * ab + x * x * bb, 0.0)
        error = math.sqrt(variance * self.factor / self.blocks)
        size = abs(self.means[0]) + abs(x * self.means[1])
        if error <= NEGLIGIBLE * size:
            return 0.0 if abs(mean) <= NEGLIGIBLE * size else math.copysign(math.inf, mean)
        return mean / error

    def interval(self, level: float) -> tuple[float, float]:
        """The x around the estimate that are compatible at this level; bounds may be infinite."""
        k = critical_value(level, self.freedom) ** 2 * self.factor / self.blocks
        (a, b), (aa, ab, bb) = self.means, self.variances
        square, linear, constant = b * b - k * bb, a * b - k * ab, a * a - k * aa
        inside = max(linear * linear - square * constant, 0.0)
        if square <= 0:
            return self._half_line(square, linear, constant)
        root = math.sqrt(inside)
        return (-linear - root) / square, (-linear + root) / square

    def _half_line(self, square: float, linear: float, constant: float) -> tuple[float, float]:
        """The denominator is not told from zero: one bound at most is finite."""
        inside = linear * linear - square * constant
        if inside <= 0:
            return -math.inf, math.inf
        if square == 0.0:
            root = -constant / (2 * linear)
            return (root, math.inf) if linear < 0 else (-math.inf, root)
        ends = sorted((-linear + s * math.sqrt(inside)) / square for s in (-1, 1))
        return (ends[1], math.inf) if self.estimate >= ends[1] else (-math.inf, ends[0])

    def p_less(self, x: float) -> float:
        """One-sided p-value that refutes "at least x" when small."""
        return lower_tail(self.t(x), self.freedom)

    def p_greater(self, x: float) -> float:
        """One-sided p-value that supports "more than x" when small."""
        return lower_tail(-self.t(x), self.freedom)
