"""Intervals of shares and of counts of independent events.

They assume independence; for request streams use effective numbers (n / deff), never raw ones.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share; (0, 1) when n is 0. Close to its level, not exact.

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share: covers with probability >= level; (0, 1) when n is 0.

    >>> [round(bound, 4) for bound in clopper_pearson(0, 10)]
    [0.0, 0.3085]
    """
    if n <= 0:
        return 0.0, 1.0
    from scipy.special import betaincinv  # noqa: PLC0415 - keeps `import nibai.stats` light

    tail = (1 - level) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high


def poisson_mean(events: float, level: float = 0.95) -> tuple[float, float]:
    """The exact (Garwood) interval of a Poisson mean, also for effective, fractional counts.

    >>> [round(bound, 3) for bound in poisson_mean(0)]
    [0.0, 3.689]
    """
    from scipy.special import gammaincinv  # noqa: PLC0415 - keeps `import nibai.stats` light

    tail = (1 - level) / 2
    low = float(gammaincinv(events, tail)) if events > 0 else 0.0
    return low, float(gammaincinv(events + 1, 1 - tail))


def fisher_exact(a: int, of_a: int, b: int, of_b: int) -> float:
    """Fisher's exact two-sided p-value: are a of `of_a` and b of `of_b` the same share?

    >>> round(fisher_exact(8, 10, 1, 6), 4)
    0.035
    """
    hits = a + b
    x = np.arange(max(0, hits - of_b), min(of_a, hits) + 1)
    if len(x) < 2:  # noqa: PLR2004 - only one table has these margins
        return 1.0
    y = x[:-1]  # each table's probability from that of the one before
    step = np.log(of_a - y) + np.log(hits - y) - np.log(y + 1) - np.log(of_b - hits + y + 1)
    log_p = np.concatenate(([0.0], np.cumsum(step)))
    p = np.exp(log_p - log_p.max())
    # Tables as unlikely as this one count too, rounding errors included.
    here = p[a - int(x[0])] * (1 + 1e-7)
    return min(float(p[p <= here].sum() / p.sum()), 1.0)
