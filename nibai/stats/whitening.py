"""How strongly neighbouring blocks resemble each other, learnt from days on which nothing changed.

Source: nibai's statistics.md, section 7: learning it from the watched blocks themselves either
raises false alarms to 25 % (around their mean) or costs two thirds of the power (around theta).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

MAX_CORRELATION = 0.95

MIN_PLACEBOS = 6
"""Pairs of unchanged days from which on their correlation is trusted."""


def history_correlation(placebos: Sequence[ArrayLike]) -> float | None:
    """Pooled lag-1 correlation of block values of pairs of unchanged days; None below 6 pairs.

    Each placebo is the series of one pair of days, shape (G,), NaN where a block has no value; one
    with less than half of its blocks does not count.
    Deviations are from zero, the true value there: a day that differs as a whole counts as strong
    correlation. Kendall's small-sample correction comes on top, so the result errs upwards.

    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(size=(6, 48))
    >>> round(history_correlation(list(noise)), 2), history_correlation(list(noise[:5]))
    (0.0, None)
    """
    product = power = 0.0
    lengths = []
    for placebo in placebos:
        values = np.asarray(placebo, dtype=np.float64)
        before, after = values[:-1], values[1:]
        both = np.isfinite(before) & np.isfinite(after)
        if both.sum() < 2 or 2 * both.sum() < len(both):  # noqa: PLR2004 - too little of a day
            continue
        product += 2 * float((before[both] * after[both]).sum())
        power += float((before[both] ** 2 + after[both] ** 2).sum())
        lengths.append(int(both.sum()))
    if len(lengths) < MIN_PLACEBOS:
        return None
    return clipped_correlation(product / power if power > 0 else 0.0, float(np.mean(lengths)))


def clipped_correlation(lag1: float, n: float) -> float:
    """A lag-1 correlation with the correction (1 + 3r)/n for n pairs, within [0, 0.95]."""
    return min(max(lag1 + (1 + 3 * lag1) / n, 0.0), MAX_CORRELATION)
