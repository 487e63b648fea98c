"""Shares of failed requests, looked at again and again: a beta-binomial mixture.

Assumes that requests fail independently of each other, with one constant chance per side. Failures
that come in bursts break that, so nibai decides an error claim only when this sequence and the
block sequence of `nibai.stats.sequential` on block differences agree (`nibai.app.watch`).
Any prior that is fixed before the data keeps the guarantee. Jeffreys' knows nothing of how rare
failures are, and pays for it with twice the requests; so half of the weight is on a prior around
the share of failures before the change, worth five failures.
Source: Robbins 1970 (mixture of likelihood ratios); nibai's statistics.md, section 7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

PRIOR = 0.5
"""Jeffreys' prior Beta(1/2, 1/2): tight for rare failures without knowing how rare they are."""

PAST_FAILURES = 5.0
"""Failures that the past counts for at most: the candidate may be far from it."""

PRECISE = 1e-6
"""Relative width at which the search for the best base rate ends."""

MAX_STEPS = 60
MOST_REQUESTS = 1e9

EDGE = 1e-4
"""Bounds are found, from outside, to this share of their distance from the estimate."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Failures and requests of one side, the sufficient statistics: add them to merge."""

    failures: int = 0
    requests: int = 0

    def merge(self, other: Trials) -> Trials:
        """Of both stretches of time, in any order."""
        return Trials(self.failures + other.failures, self.requests + other.requests)

    @property
    def share(self) -> float:
        """Failures per request; NaN without requests."""
        return self.failures / self.requests if self.requests else math.nan

    def log_mixture(self, past: Trials | None = None) -> float:
        """Ln of the likelihood averaged over the prior, or over one around the past's share.

        >>> rare = Trials(12, 1000)
        >>> rare.log_mixture(Trials(100, 10_000)) > rare.log_mixture() + 1
        True
        """
        if past is None:
            return log_mixture(self.failures, self.requests)
        share = past.failures / past.requests
        a = min(PAST_FAILURES, past.failures)
        prior = (a, a * (1 - share) / share)
        return log_mixture(self.failures, self.requests, prior)

    def log_likelihood(self, share: float) -> float:
        """Ln of the likelihood of a share, minus infinity where it is impossible."""
        return log_likelihood(self.failures, self.requests, share)


def log_mixture(hits: float, n: float, prior: tuple[float, float] = (PRIOR, PRIOR)) -> float:
    """Ln of the likelihood of hits of n, averaged over the prior; fractions are expected counts."""
    a, b = prior
    return _log_beta(a + hits, b + n - hits) - _log_beta(a, b)


def log_likelihood(hits: float, n: float, share: float) -> float:
    """Ln of the likelihood of a share, minus infinity where it is impossible."""
    if (hits and share <= 0) or (n > hits and share >= 1):
        return -math.inf
    of_hits = hits * math.log(share) if hits else 0.0
    return of_hits + ((n - hits) * math.log1p(-share) if n > hits else 0.0)


def fixed_requests(shares: tuple[float, float], difference: float, level: float) -> float:
    """Requests a side that a test at one time, chosen beforehand, needs to see it half the time.

    >>> round(fixed_requests((0.01, 0.019), 0.005, 0.95))
    6852
    """
    spread = sum(share * (1 - share) for share in shares)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return z * z * spread / (shares[1] - shares[0] - difference) ** 2


def share_interval(trials: Trials, level: float = 0.95) -> tuple[float, float]:
    """Shares of one side that are not rejected: covers at all times together at this level.

    >>> [round(bound, 4) for bound in share_interval(Trials(2, 1000))]
    [0.0, 0.0123]
    """
    limit = -math.log(1 - level)
    mixture = trials.log_mixture()

    def rejected(share: float) -> bool:
        return mixture - trials.log_likelihood(share) >= limit

    if not trials.requests:
        return 0.0, 1.0
    low = edge(rejected, trials.share, 0.0) if rejected(0.0) else 0.0
    high = edge(rejected, trials.share, 1.0) if rejected(1.0) else 1.0
    return low, high


@dataclass(frozen=True, slots=True)
class RateSequence:
    """Candidate minus baseline share of failures, after every block so far.

    Guarantee: [low, high] covers the true difference at all times together at `level`. Both sides'
    counts add up over stretches; `low` and `high` are the intersection over the looks that were
    really taken, so a joined stretch counts as one look. `past`: failures and requests before the
    change, fixed before the first look.
    """

    level: float = 0.95
    baseline: Trials = Trials()
    candidate: Trials = Trials()
    last: int = -1
    low: float = -1.0
    high: float = 1.0
    past: Trials = Trials()

    @property
    def value(self) -> float:
        """The difference of the shares; NaN without requests."""
        return self.candidate.share - self.baseline.share

    def look(self, number: int, baseline: Trials, candidate: Trials) -> RateSequence:
        """After one more closed block (or joined stretch); a number already passed is ignored."""
        if number <= self.last:
            return self
        after = replace(
            self,
            baseline=self.baseline.merge(baseline),
            candidate=self.candidate.merge(candidate),
            last=number,
        )
        low, high = after.confidence_set()
        return replace(after, low=max(low, self.low), high=min(high, self.high))

    def log_e(self, difference: float) -> float:
        """Ln of the e-value against "the true difference is this": the least over all base rates.

        The product of both sides' e-values, at the base rate that suits the hypothesis best.
        """
        return self._log_mixture() - self._best_log_likelihood(difference)

    def _log_mixture(self) -> float:
        """Of both sides: half Jeffreys' prior, half one around the past, where one is known."""
        sides = (self.baseline, self.candidate)
        plain = sum(side.log_mixture() for side in sides)
        if not 0 < self.past.failures < self.past.requests:
            return plain
        informed = sum(side.log_mixture(self.past) for side in sides)
        high, low = max(plain, informed), min(plain, informed)
        return high + math.log1p(math.exp(low - high)) - math.log(2)

    def requests_needed(self, difference: float) -> int | None:
        """Requests a side, in all, that reject a difference if shares stay as they are.

        None where they never would. As an experiment of a known size needs `fixed_requests`.
        """
        shares = self.baseline.share, self.candidate.share
        limit = -math.log(1 - self.level)
        if not abs(self.value - difference) > 1 / MOST_REQUESTS:
            return None  # nothing is known, or it is exactly so
        n = float(max(self.baseline.requests, self.candidate.requests, 1))
        for step in (2.0, 1.1):
            while n < MOST_REQUESTS and self._expected(shares, n).log_e(difference) < limit:
                n *= step
            n /= step if step > 1.5 else 1.0  # noqa: PLR2004 - the coarse one
        return None if n >= MOST_REQUESTS else math.ceil(n)

    def _expected(self, shares: tuple[float, float], n: float) -> RateSequence:
        first, second = (Trials(round(share * n), round(n)) for share in shares)
        return replace(self, baseline=first, candidate=second)

    def log_e_value(self, difference: float, *, above: bool) -> float:
        """Ln of the one-sided e-value for "above this" (or below); -inf on the wrong side."""
        right = self.value > difference if above else self.value < difference
        return self.log_e(difference) if right else -math.inf

    def confidence_set(self) -> tuple[float, float]:
        """The differences whose e-value is below 1/alpha, an interval as the e-value is convex."""
        if not (self.baseline.requests and self.candidate.requests):
            return -1.0, 1.0
        limit = -math.log(1 - self.level)

        def rejected(difference: float) -> bool:
            return self.log_e(difference) >= limit

        low = edge(rejected, self.value, -1.0) if rejected(-1.0) else -1.0
        high = edge(rejected, self.value, 1.0) if rejected(1.0) else 1.0
        return low, high

    def _best_log_likelihood(self, difference: float) -> float:
        """Greatest joint likelihood with the shares this far apart: where its slope is zero."""
        b, c = self.baseline, self.candidate
        good = b.requests - b.failures, c.requests - c.failures
        low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
        ends = low, high
        while high - low > PRECISE * high:
            share = (low + high) / 2
            other = share + difference
            if not (0.0 < share < 1.0 and 0.0 < other < 1.0):
                break
            falls = good[0] / (1 - share) + good[1] / (1 - other)
            if b.failures / share + c.failures / other > falls:
                low = share
            else:
                high = share
        return max(self._joint(share, difference) for share in (*ends, (low + high) / 2))

    def _joint(self, share: float, difference: float) -> float:
        other = min(max(share + difference, 0.0), 1.0)
        return self.baseline.log_likelihood(share) + self.candidate.log_likelihood(other)


def edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where, between what is kept and what is rejected, the rejection begins (from outside)."""
    start = inside
    for _ in range(MAX_STEPS):
        if abs(outside - inside) <= EDGE * abs(outside - start):
            break
        middle = (inside + outside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
