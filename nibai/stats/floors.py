"""Fewest requests with which a quantile can be judged at all.

Floors are necessary, never sufficient. Source: nibai's statistics.md, section 12.5; the early
stopping floors are those of MLPerf inference (at most one failure allowed, 99 % confidence).
"""

from __future__ import annotations

import math

EARLY_STOPPING_ERROR = 0.01


def effective_floor(p: float, level: float = 0.95) -> int:
    """Independent requests needed for a finite two-sided bound on the p-quantile.

    >>> [effective_floor(p) for p in (0.9, 0.95, 0.99, 0.999)]
    [36, 72, 368, 3688]
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(max(p, 1 - p)))


def raw_floor(p: float) -> int:
    """Requests per side below which a claim about the p-quantile is `too_few_requests`.

    The fewest n with P(at most one of n beyond the quantile) <= 1 %.

    >>> [raw_floor(p) for p in (0.5, 0.9, 0.99, 0.999)]
    [11, 64, 662, 6636]
    """
    inside = max(p, 1 - p)
    low, high = 1, 2
    while _at_most_one(high, inside) > EARLY_STOPPING_ERROR:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _at_most_one(middle, inside) > EARLY_STOPPING_ERROR:
            low = middle
        else:
            high = middle
    return high


def _at_most_one(n: int, inside: float) -> float:
    return float(inside**n + n * (1 - inside) * inside ** (n - 1))
