"""What a request costs, before and after: spending over successful requests, in blocks of time.

A request of a fleet of fixed size costs less when more of them come: `per_request` alone would
call growing traffic a saving. `per_hour` is what is left when both sides served the same traffic
with the instances they had; a claim about live traffic has to hold by both.
Source: nibai's statistics.md, section 11 (ratio of per-request means); aws.md, section 11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nibai.histogram import Float64Array
from nibai.stats.means import BlockSums, MeanInterval, mean_ratio

HOUR = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Spending:
    """Dollars and successful requests of one side per block, both of shape (G,), over `seconds`."""

    usd: Float64Array
    requests: Float64Array
    seconds: float

    @property
    def usd_per_request(self) -> float:
        """Dollars over successful requests; NaN without one."""
        served = float(self.requests.sum())
        return float(self.usd.sum()) / served if served > 0 else math.nan

    @property
    def usd_per_hour(self) -> float:
        """Mean spending of all instances together."""
        return float(self.usd.sum()) / self.seconds * HOUR

    @property
    def requests_per_hour(self) -> float:
        """Mean traffic."""
        return float(self.requests.sum()) / self.seconds * HOUR


def spending(
    usd_per_hour: float, instances: ArrayLike, requests: ArrayLike, block_seconds: float
) -> Spending:
    """Price of an instance times instances, a number or shape (G,), over requests (G,).

    >>> spending(1.2, 2, [600, 600], 1800.0).usd_per_request
    0.002
    """
    done = np.asarray(requests, dtype=np.float64)
    count = np.broadcast_to(np.asarray(instances, dtype=np.float64), done.shape)
    return Spending(
        usd_per_hour * count * block_seconds / HOUR, done, block_seconds * float(done.size)
    )


def per_request(baseline: Spending, candidate: Spending, *, level: float = 0.95) -> MeanInterval:
    """log2 of baseline / candidate in dollars per successful request, over paired blocks."""
    sides = (BlockSums.of(side.usd, side.requests) for side in (baseline, candidate))
    return mean_ratio(*sides, level=level)


def per_hour(baseline: Spending, candidate: Spending) -> float:
    """log2 of baseline / candidate in dollars per hour: no traffic in it, and no chance.

    >>> old, new = (spending(price, 4, [100] * 6, 3600.0) for price in (2.0, 1.0))
    >>> per_hour(old, new)
    1.0
    """
    b, c = baseline.usd_per_hour, candidate.usd_per_hour
    return math.log2(b / c) if b > 0 and c > 0 else math.nan


def instances_seen(requests: ArrayLike) -> Float64Array:
    """Instances per block (G,) from each one's requests (R, G).

    One counts from its first block with a request to its last: idle in between, it is paid for.

    >>> instances_seen([[5, 0, 5, 0], [0, 1, 1, 1]]).tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    busy = np.atleast_2d(np.asarray(requests)) > 0
    started = np.logical_or.accumulate(busy, axis=1)
    going = np.logical_or.accumulate(busy[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((started & going).sum(axis=0), dtype=np.float64)
