"""Student's t in plain Python: importing scipy.special costs every command a third of a second.

The tail is half a regularised incomplete beta function, evaluated by its continued fraction
(modified Lentz). It agrees with scipy to 1e-8 relative, far tails included (tested).
"""

from __future__ import annotations

import math
from functools import lru_cache

TINY = 1e-300
PRECISION = 1e-15
MAX_TERMS = 500


@lru_cache(maxsize=256)
def critical_value(level: float, df: float) -> float:
    """The two-sided critical value: P(|T| <= result) = level; infinite without freedom.

    >>> round(critical_value(0.95, 23), 3), critical_value(0.95, 0)
    (2.069, inf)
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")
    if df <= 0:
        return math.inf
    tail = (1 - level) / 2
    low, high = 0.0, 1.0
    while _upper_tail(high, df) > tail:
        low, high = high, high * 2
    at = low or 0.5
    while high - low > PRECISION * high:
        excess = _upper_tail(at, df) - tail
        low, high = (at, high) if excess > 0 else (low, at)
        # The tail is convex: from the left Newton's step never passes the value. Else halve.
        step = at + excess / _density(at, df)
        if abs(step - at) <= PRECISION * at:
            return max(step, at)
        at = step if low < step < high else (low + high) / 2
        if not low < at < high:
            break
    return high


def _density(t: float, df: float) -> float:
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2)
    return math.exp(scale - (df + 1) / 2 * math.log1p(t * t / df)) / math.sqrt(df * math.pi)


def lower_tail(t: float, df: float) -> float:
    """P(T <= t); one half when there is no freedom at all."""
    if df <= 0 or math.isnan(t):
        return 0.5
    return 1 - _upper_tail(t, df) if t > 0 else _upper_tail(-t, df)


def _upper_tail(t: float, df: float) -> float:
    """P(T > t) for t >= 0."""
    if math.isinf(t):
        return 0.0
    square = t * t
    return incomplete_beta(df / (df + square), square / (df + square), df / 2, 0.5) / 2


def beta_quantile(u: float, a: float, b: float) -> float:
    """The u-quantile of a Beta(a, b) distribution, by bisection.

    >>> round(beta_quantile(0.5, 3.0, 3.0), 12)
    0.5
    """
    low, high = 0.0, 1.0
    while high - low > PRECISION and low < (middle := (low + high) / 2) < high:
        below = incomplete_beta(middle, 1 - middle, a, b) < u
        low, high = (middle, high) if below else (low, middle)
    return high


def incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b), with rest = 1 - x given exactly."""
    if x <= 0.0 or rest <= 0.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(rest, x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale + a * math.log(x) + b * math.log(rest)) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Continued fraction of the incomplete beta function; converges fast for x below the mean."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MAX_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < PRECISION:
            break
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > TINY else TINY
