"""Shares of pairs, and what one share has over another, at any number of looks.

Evidence against "the true share is p" is a beta-binomial mixture over its likelihood: its state is
(hits, n), it merges by adding, and the interval holds after every pair at once. Assumes pairs of
distinct inputs, independent of each other, from the traffic the verdict is about.
Source: Robbins 1970; nibai's drift.md, sections 2 to 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nibai.predictions import SameInputs
from nibai.stats.sequential_rates import Trials, log_likelihood, log_mixture, share_interval

BISECTIONS = 60

MAX_PAIRS = 10_000_000
"""Beyond this many pairs the rate is taken to equal its limit."""


@dataclass(frozen=True, slots=True)
class Share:
    """Hits of n pairs; expected counts may be fractions.

    >>> [round(bound, 3) for bound in Share(364, 3500).interval(0.05)]
    [0.085, 0.125]
    """

    hits: float
    n: float

    @property
    def value(self) -> float:
        """Hits per pair, NaN without pairs."""
        return self.hits / self.n if self.n else math.nan

    def log_e(self, share: float) -> float:
        """Ln of the evidence against "the true share is this"."""
        return log_mixture(self.hits, self.n) - log_likelihood(self.hits, self.n, share)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Shares that are not rejected; misses the truth with probability <= alpha, ever."""
        return share_interval(Trials(round(self.hits), round(self.n)), 1 - alpha)

    def p_above(self, limit: float) -> float:
        """The smallest alpha at which the interval lies above a limit."""
        if limit < 0:
            return 0.0
        if not self.n or not self.value > limit:
            return 1.0
        return _p(self.log_e(limit))

    def p_below(self, limit: float) -> float:
        """The smallest alpha at which the interval lies below a limit."""
        if limit > 1:
            return 0.0
        if not self.n or not self.value < limit:
            return 1.0
        return _p(self.log_e(limit))

    def scaled(self, factor: float) -> Share:
        """The same rate in more pairs."""
        return Share(self.hits * factor, self.n * factor)


@dataclass(frozen=True, slots=True)
class Known:
    """A share that is stated, not measured."""

    value: float

    def scaled(self, factor: float) -> Known:
        """The same, whatever the number of pairs."""
        del factor
        return self


@dataclass(frozen=True, slots=True)
class Excess:
    """`plus` minus `minus`: two sequences, each at half of alpha; one where `minus` is stated.

    Guarantee: the interval misses the true difference with probability <= alpha over all looks
    together, however the two sequences depend on each other.

    >>> low, high = Excess(Share(364, 3500), Share(0, 3500)).interval(0.05)
    >>> round(low, 4), round(high, 4)
    (0.0822, 0.1258)
    """

    plus: Share
    minus: Share | Known

    @property
    def value(self) -> float:
        """The difference of the shares."""
        return self.plus.value - self.minus.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """[low of plus - high of minus, high of plus - low of minus]."""
        if isinstance(self.minus, Known):
            low, high = self.plus.interval(alpha)
            return low - self.minus.value, high - self.minus.value
        plus, minus = self.plus.interval(alpha / 2), self.minus.interval(alpha / 2)
        return plus[0] - minus[1], plus[1] - minus[0]

    def p_above(self, limit: float) -> float:
        """The smallest alpha at which the interval lies above a limit."""
        return self._p(limit, above=True)

    def p_below(self, limit: float) -> float:
        """The smallest alpha at which the interval lies below a limit."""
        return self._p(limit, above=False)

    def scaled(self, factor: float) -> Excess:
        """The same rates in more pairs."""
        return Excess(self.plus.scaled(factor), self.minus.scaled(factor))

    def _p(self, limit: float, *, above: bool) -> float:
        minus = self.minus
        if abs(limit) > 1:  # no difference of shares is out there
            return float(above == (limit > 0))
        if isinstance(minus, Known):
            shifted = limit + minus.value
            return self.plus.p_above(shifted) if above else self.plus.p_below(shifted)
        if not (self.plus.n and minus.n) or not (
            self.value > limit if above else self.value < limit
        ):
            return 1.0
        # Both intervals end at one point (that of plus shifted by the limit) at the alpha asked
        # for: between the two estimates one evidence falls and the other rises.
        low, high = sorted((minus.value, self.plus.value - limit))

        def evidence(point: float) -> tuple[float, float]:
            return _against(minus, point), _against(self.plus, point + limit)

        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            of_minus, of_plus = evidence(middle)
            if (of_minus < of_plus) == above:
                low = middle
            else:
                high = middle
        best = max(min(evidence(low)), min(evidence(high)))
        return min(2 * _p(best), 1.0)


def _against(share: Share, point: float) -> float:
    """Evidence against a share, infinite for one that no share can have."""
    return math.inf if not 0 <= point <= 1 else share.log_e(point)


def _p(log_e: float) -> float:
    return math.exp(-max(log_e, 0.0))


# -- at a fixed n ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of +1 and -1 over n pairs, the rest 0, at a fixed n.

    >>> found = PairedDifference(n=3500, plus=100, minus=131)
    >>> [round(100 * bound, 2) for bound in found.interval(0.10)]
    [-1.6, -0.17]
    """

    n: int
    plus: int
    minus: int

    @property
    def value(self) -> float:
        """The mean, NaN without pairs."""
        return (self.plus - self.minus) / self.n if self.n else math.nan

    @property
    def standard_error(self) -> float:
        """Of the mean; 0 where no pair differs."""
        if not self.n:
            return math.nan
        spread = self.plus + self.minus - (self.plus - self.minus) ** 2 / self.n
        return math.sqrt(max(spread, 0.0)) / self.n

    def interval(self, alpha: float) -> tuple[float, float]:
        """Normal interval, for one look; see `nibai.stats.equivalence` for few differing pairs."""
        half = NormalDist().inv_cdf(1 - alpha / 2) * self.standard_error
        return self.value - half, self.value + half


def excess_same_inputs(counts: SameInputs) -> PairedDifference:
    """Flips between the variants beyond those of the old one with itself, over the same inputs."""
    return PairedDifference(counts.n, counts.only_ab, counts.only_aa)


# -- who differs: n10 lost, n01 won ---------------------------------------------------------


def mcnemar_exact(n10: int, n01: int) -> float:
    """McNemar's exact two-sided p-value: n10 ~ Bin(n10 + n01, 1/2) where nothing changed.

    >>> round(mcnemar_exact(131, 100), 3), mcnemar_exact(0, 0)
    (0.048, 1.0)
    """
    n, fewer = n10 + n01, min(n10, n01)
    if not n:
        return 1.0
    i = np.arange(1, fewer + 1)
    log_ways = np.concatenate(([0.0], np.cumsum(np.log((n - i + 1) / i))))
    return min(2 * float(np.exp(log_ways - n * math.log(2)).sum()), 1.0)


def mcnemar_log_e(n10: int, n01: int) -> float:
    """Ln of the evidence for any difference; 1/alpha may be waited for at every look.

    >>> round(math.exp(mcnemar_log_e(30, 5)))
    2672
    """
    return Share(n10, n10 + n01).log_e(0.5)


# -- how many pairs ---------------------------------------------------------------------------


def least_pairs(decides: Callable[[int], bool]) -> int | None:
    """The fewest pairs with which something is decided; None when more than ten million are."""
    if not decides(MAX_PAIRS):
        return None
    low, high = 0, MAX_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle
    return high


def pairs_to_decide(rate: float, limit: float, alpha: float) -> int | None:
    """Pairs after which a share at this very rate lies on one side of a limit.

    >>> pairs_to_decide(0.01, 0.02, 0.025), pairs_to_decide(0.04, 0.02, 0.05 / 8)
    (2511, 1111)
    """

    def decides(n: int) -> bool:
        share = Share(rate * n, n)
        return min(share.p_above(limit), share.p_below(limit)) <= alpha

    return least_pairs(decides)
