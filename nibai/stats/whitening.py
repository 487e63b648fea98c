"""How strongly neighbouring blocks resemble each other, learnt from days on which nothing changed.

Source: nibai's statistics.md, section 7: learning it from the watched blocks themselves either
raises false alarms to 25 % (around their mean) or costs two thirds of the power (around theta).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

MAX_CORRELATION = 0.95

MIN_PLACEBOS = 6
"""Pairs of unchanged days from which on their correlation is trusted."""


CHANCE = 1.645
"""Standard deviations beyond which one in twenty scatters by chance."""

BISECTIONS = 30


def history_correlation(placebos: Sequence[ArrayLike]) -> float | None:
    """Pooled lag-1 correlation of block values of pairs of unchanged days; None below 6 pairs.

    Each placebo is the series of one pair of days, shape (G,), NaN where a block has no value; one
    with less than half of its blocks does not count.
    Deviations are from zero, the true value there. Kendall's small-sample correction comes on top,
    so the result errs upwards. Where days differ as a whole, which neighbouring blocks hardly show,
    it is the correlation that makes the sums of days scatter as they do.

    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(size=(6, 48))
    >>> round(history_correlation(list(noise)), 2), history_correlation(list(noise[:5]))
    (0.0, None)
    """
    product = power = slow = 0.0
    lengths = []
    for placebo in placebos:
        values = np.asarray(placebo, dtype=np.float64)
        before, after = values[:-1], values[1:]
        both = np.isfinite(before) & np.isfinite(after)
        if both.sum() < 2 or 2 * both.sum() < len(both):  # noqa: PLR2004 - too little of a day
            continue
        product += 2 * float((before[both] * after[both]).sum())
        power += float((before[both] ** 2 + after[both] ** 2).sum())
        known = values[np.isfinite(values)]
        slow += float(known.sum() ** 2 / len(known))
        lengths.append(int(both.sum()))
    if len(lengths) < MIN_PLACEBOS:
        return None
    pairs = float(np.mean(lengths))
    near = clipped_correlation(product / power if power > 0 else 0.0, pairs)
    if power <= 0:
        return near
    inflation = slow / len(lengths) / (power / 2 / sum(lengths))
    if inflation <= _by_chance(len(lengths)) * day_inflation(near, pairs + 1):
        return near
    return max(near, _correlation_of(inflation, pairs + 1))


def day_inflation(correlation: float, blocks: float) -> float:
    """How many times the variance of independent blocks the mean of an AR(1) day has.

    >>> round(day_inflation(0.6, 48), 2), day_inflation(0.0, 48)
    (3.84, 1.0)
    """
    fading = correlation * (1 - correlation**blocks) / (1 - correlation)
    return float((1 + correlation) / (1 - correlation) - 2 * fading / (blocks * (1 - correlation)))


def _by_chance(days: int) -> float:
    """How many times too much so many squares of days scatter in one of twenty cases.

    The chi-square quantile over its degrees of freedom (Wilson and Hilferty 1931).
    """
    spread = 2 / (9 * days)
    return float((1 - spread + CHANCE * math.sqrt(spread)) ** 3)


def _correlation_of(inflation: float, blocks: float) -> float:
    """The correlation whose days scatter so much, at most 0.95."""
    low, high = 0.0, MAX_CORRELATION
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if day_inflation(middle, blocks) < inflation else (low, middle)
    return high


def clipped_correlation(lag1: float, n: float) -> float:
    """A lag-1 correlation with the correction (1 + 3r)/n for n pairs, within [0, 0.95]."""
    return min(max(lag1 + (1 + 3 * lag1) / n, 0.0), MAX_CORRELATION)
