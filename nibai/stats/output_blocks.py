"""Blocks of time of a stream of answers: what may be resampled as a whole, and nothing smaller.

Answers near in time are alike, so rows are no units; blocks are. Source: nibai's drift.md,
section 5 (1 h, 5 min where the autocorrelation time is below a minute).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import Float64Array

Int64Array = NDArray[np.int64]

HOUR_SECONDS = 3600.0
SHORT_SECONDS = 300.0
MINUTE_SECONDS = 60.0

CLOCKLESS_BLOCKS = 40
"""Equal runs of rows that stand for blocks where no clock is known."""

MIN_MINUTES = 60
"""Minutes with answers from which an autocorrelation time can be told at all."""

SHORT_TIME_MINUTES = 1.5
"""Estimated time up to which it counts as one minute: the estimate of white noise scatters."""

MAX_INFLATION = 1.5
INFLATION_SIGMAS = 2.0
"""Hours may scatter this much more than independent five minutes would make them: by half, or by
two standard errors of a variance of so few hours."""


def block_seconds(times: Float64Array, values: Float64Array) -> float:
    """Five minutes where `values` (n,) forget within a minute, else an hour.

    >>> at = np.arange(0, 36000, 2.0)
    >>> white = np.random.default_rng(1).normal(size=len(at))
    >>> block_seconds(at, white), block_seconds(at, np.sin(at / 4000) + white)
    (300.0, 3600.0)
    """
    minutes = block_means(times, values, MINUTE_SECONDS)
    if len(minutes) < MIN_MINUTES or autocorrelation_time(minutes) > SHORT_TIME_MINUTES:
        return HOUR_SECONDS
    short = block_means(times, values, SHORT_SECONDS)
    hours = block_means(times, values, HOUR_SECONDS)
    if len(hours) < 4:  # noqa: PLR2004 - no variance of hours to speak of
        return SHORT_SECONDS
    expected = float(np.var(short, ddof=1)) * SHORT_SECONDS / HOUR_SECONDS
    most = max(MAX_INFLATION, 1 + INFLATION_SIGMAS * math.sqrt(2 / (len(hours) - 1)))
    inflated = float(np.var(hours, ddof=1)) > most * expected
    return HOUR_SECONDS if inflated else SHORT_SECONDS


def block_means(times: Float64Array, values: Float64Array, seconds: float) -> Float64Array:
    """Means of the blocks that hold values, in order of time."""
    at = np.floor(times / seconds).astype(np.int64)
    _, at = np.unique(at, return_inverse=True)
    return np.asarray(np.bincount(at, values) / np.bincount(at))


def autocorrelation_time(means: Float64Array) -> float:
    """1 + twice the autocorrelations up to the first negative one, in steps of the series."""
    centred = means - means.mean()
    variance = float(centred @ centred)
    if variance <= 0:
        return 1.0
    total = 0.0
    for lag in range(1, len(means) // 2):
        correlation = float(centred[lag:] @ centred[:-lag]) / variance
        if correlation <= 0:
            break
        total += correlation
    return 1 + 2 * total


def block_numbers(times: Float64Array | None, n: int, seconds: float) -> Int64Array:
    """The block of each of n rows, numbered from 0 without gaps, shape (n,).

    Blocks lie on the clock; without times they are equal runs of rows.
    """
    if times is None:
        return np.arange(n, dtype=np.int64) * min(CLOCKLESS_BLOCKS, max(n, 1)) // max(n, 1)
    at = np.floor(times / seconds).astype(np.int64)
    return np.unique(at, return_inverse=True)[1].astype(np.int64)
