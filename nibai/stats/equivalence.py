"""Accuracy of two variants on the same inputs: equal within a margin, at one look or at any.

`n10` inputs were right and are wrong now, `n01` the reverse. Two one-sided tests (TOST) are for one
look at a number of pairs that was planned; everything else uses the anytime interval.
Sources: Tango 1998 (score interval of a paired difference); nibai's drift.md, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from nibai.stats.discordant import Discordant, likeliest_minus
from nibai.stats.paired import PairedDifference

FEW_DISCORDANT = 25
"""Below this many differing pairs the normal interval is too short: Tango's is used."""

BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correctness of both variants on n inputs."""

    n: int
    n10: int
    n01: int

    @property
    def value(self) -> float:
        """New minus old accuracy."""
        return (self.n01 - self.n10) / self.n if self.n else math.nan

    @property
    def sequence(self) -> Discordant:
        """The difference for any number of looks."""
        return Discordant(self.n, self.n01, self.n10)

    def one_look(self, alpha: float) -> tuple[float, float]:
        """Two-sided interval at a fixed n: normal, or Tango's where few pairs differ.

        >>> [round(100 * bound, 2) for bound in Accuracy(3500, 51, 38).one_look(0.10)]
        [-0.81, 0.07]
        """
        if self.n10 + self.n01 < FEW_DISCORDANT:
            return tango(self.n01, self.n10, self.n, alpha)
        return PairedDifference(self.n, self.n01, self.n10).interval(alpha)

    def equivalent(self, margin: float, alpha: float = 0.05) -> bool:
        """Whether one look shows the accuracies equal within the margin (TOST at alpha).

        >>> Accuracy(3500, 51, 38).equivalent(0.01), Accuracy(3500, 131, 100).equivalent(0.01)
        (True, False)
        """
        low, high = self.one_look(2 * alpha)
        return -margin < low and high < margin


def tango(plus: int, minus: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Score interval of (plus - minus) / n over n pairs of which the rest did not differ.

    Close to its level also where hardly a pair differs; (-1, 1) when n is 0.

    >>> [round(bound, 3) for bound in tango(5, 12, 44)]
    [-0.336, 0.026]
    """
    if not n:
        return -1.0, 1.0
    z = NormalDist().inv_cdf(1 - alpha / 2)
    value = (plus - minus) / n

    def rejected(difference: float) -> bool:
        return abs(_score(plus, minus, n, difference)) > z

    return _edge(rejected, value, -1.0), _edge(rejected, value, 1.0)


def _score(plus: int, minus: int, n: int, difference: float) -> float:
    """Tango's score statistic, with the likelihood's best share of `minus` pairs."""
    share = likeliest_minus(plus, minus, n, difference)
    variance = n * (2 * share + difference * (1 - difference))
    distance = plus - minus - n * difference
    if variance <= 0:
        return 0.0 if not distance else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return inside


def tost_pairs(discordant: float, margin: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs with which TOST shows equivalence with this power where accuracies are equal.

    `discordant` is the share of pairs of which exactly one answer is right.

    >>> tost_pairs(0.025, 0.01), tost_pairs(0.066, 0.005)
    (2141, 22609)
    """
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha) + normal.inv_cdf((1 + power) / 2)
    return math.ceil(z * z * discordant / margin**2)
