"""How long a speed claim must be watched, said beforehand from stated assumptions.

The half-width of an interval of log ratio over a window of T hours is taken as
`crit * sqrt(2 * deff / N) * sqrt(p (1 - p)) / density`, N requests per side, density that of the
log latencies at their p-quantile. Without a measurement the log latencies are normal and `deff`
grows with the rate as in the simulated endpoint "ar10" (statistics.md, section 2).
Source: nibai's statistics.md, sections 4, 5 and 12, and calibration.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from nibai.model import Window
from nibai.stats.clock import DAY, HOUR, plan_blocks
from nibai.stats.floors import effective_floor, raw_floor
from nibai.stats.past_pairs import SHORT_LIVE_SECONDS, SLIDES, plan_past
from nibai.stats.placebo import FULL_POWER_WINDOWS, MIN_WINDOWS, Rule, calibrate
from nibai.stats.student import critical_value
from nibai.stats.verdict import MANY_RUNS

WINDOW_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672)
"""Windows that are planned: longer ones are whole days, the longest is 28 days."""

LOG_SPREAD = 0.5
"""Assumed standard deviation of the natural log of latencies."""

CORRELATION = {0.5: 0.37, 0.9: 0.21, 0.99: 0.035, 0.999: 0.002}
"""Assumed rise of deff per request a minute (simulated endpoint ar10)."""

WIDENING = 1.25
"""What heavy tails and the variance factor add to the assumed width (1.1 to 1.35 measured)."""

POWER = 0.8
MAX_RUNS = 1000
MAX_HISTORY_DAYS = 120
_MONDAY = 4 * DAY
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Noise:
    """What an interval's width is computed from.

    `log_spread` is the sd of the natural log of latencies. `deff`: variance inflation over
    independent requests; None takes the assumed one. `measured` (quantile -> log2 half-width of a
    95 % interval over `measured_hours`) replaces both.
    """

    log_spread: float = LOG_SPREAD
    deff: float | None = None
    measured: Mapping[float, float] | None = None
    measured_hours: float = 24.0


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """What a window of `hours` per side resolves: a half-width (log2) and its critical value."""

    hours: int
    half_width: float
    critical: float
    calibrated: bool


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """Days of unchanged history before the change: to be calibrated at all, and for full power.

    None: more than 120 days, or more than is looked at.
    """

    days: int | None
    days_full_power: int | None


def inflation(p: float, rate: float, noise: Noise) -> float:
    """Variance inflation at the p-quantile with `rate` requests a minute.

    >>> [round(inflation(p, 100, Noise()), 1) for p in (0.5, 0.9, 0.99)]
    [38.0, 22.0, 4.5]
    """
    if noise.deff is not None:
        return noise.deff
    tails = [math.log10(1 - q) for q in CORRELATION]
    logs = [math.log10(c) for c in CORRELATION.values()]
    tail = math.log10(1 - max(p, 1 - p))
    return 1 + rate * float(10 ** np.interp(-tail, [-x for x in tails], logs))


def half_width(p: float, hours: float, rate: float, noise: Noise, critical: float) -> float:
    """log2 half-width over `hours` per side.

    >>> round(2 ** half_width(0.5, 24, 60, Noise(), 2.07) - 1, 3)
    0.038
    """
    if noise.measured is not None:
        usual = critical_value(0.95, _blocks(noise.measured_hours) - 1)
        known = noise.measured[p] * math.sqrt(noise.measured_hours / hours)
        return known * critical / usual
    deff = inflation(p, rate, noise)
    spread = noise.log_spread * (WIDENING if noise.deff is None else 1.0)
    z = _NORMAL.inv_cdf(p)
    per_request = spread * math.sqrt(p * (1 - p)) / _NORMAL.pdf(z) * math.log2(math.e)
    return critical * per_request * math.sqrt(2 * deff / (rate * 60 * hours))


def plan_window(p: float, distance: float, rate: float, noise: Noise) -> WindowPlan | None:
    """The shortest window that decides a claim `distance` (log2) away with 80 % power.

    None when 28 days do not. Windows under 6 hours use the critical value that calibration gives
    on calm traffic after 20 windows, longer ones Student's.
    """
    for hours in WINDOW_HOURS:
        found = window_resolves(p, hours, rate, noise)
        enough = rate * 60 * hours >= needed_requests(p, rate, noise)
        if enough and found.half_width * power_factor(found.critical) <= distance:
            return found
    return None


def window_resolves(p: float, hours: int, rate: float, noise: Noise) -> WindowPlan:
    """What one window length gives."""
    blocks = _blocks(hours)
    short = hours * HOUR < SHORT_LIVE_SECONDS
    critical = calm_critical(blocks) if short else critical_value(0.95, blocks - 1)
    return WindowPlan(hours, half_width(p, hours, rate, noise, critical), critical, short)


def needed_requests(p: float, rate: float, noise: Noise) -> int:
    """Requests per side below which the quantile has no bound at all: both floors."""
    deff = 1.0 if noise.measured is not None else inflation(p, rate, noise)
    return max(raw_floor(p), math.ceil(effective_floor(p) * deff))


def power_factor(critical: float) -> float:
    """Half-widths that a claim must be away for 80 % power: 1.43 at the normal's 1.96."""
    return 1 + _NORMAL.inv_cdf(POWER) / critical


@cache
def calm_critical(blocks: int) -> float:
    """The critical value that calibration gives after 20 windows of Student-distributed T.

    >>> round(calm_critical(8), 2)
    2.73
    """
    ranks = (np.arange(FULL_POWER_WINDOWS * SLIDES) + 0.5) / (FULL_POWER_WINDOWS * SLIDES)
    past = [critical_value(float(u), blocks - 1) for u in ranks]
    # Spread over time, so that no run of large values moves the tracker.
    order = np.random.default_rng(0).permutation(len(past))
    return calibrate(
        np.array(past)[order], Rule(blocks, 0.05, critical_value(0.95, blocks - 1))
    ).base


def plan_history(hours: int) -> HistoryPlan:
    """Days of unchanged traffic before the change until windows of this length are calibrated.

    >>> plan_history(1)
    HistoryPlan(days=3, days_full_power=5)
    """
    return HistoryPlan(_history_days(hours, MIN_WINDOWS), _history_days(hours, FULL_POWER_WINDOWS))


def plan_runs(distance: float, run_spread: float) -> int | None:
    """Runs per side (5 at least) for a claim `distance` (log2) away; None beyond 1,000.

    `run_spread` is the sd of a run's natural-log quantile; runs are not matched.

    >>> plan_runs(math.log2(1.1), 0.05)
    6
    """
    spread = run_spread * math.log2(math.e)

    def decides(runs: int) -> bool:
        critical = critical_value(0.95, 2 * runs - 2)
        return critical * power_factor(critical) * spread * math.sqrt(2 / runs) <= distance

    if not decides(MAX_RUNS):
        return None
    low, high = MANY_RUNS - 1, MAX_RUNS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def _history_days(hours: int, windows: float) -> int | None:
    length = hours * HOUR
    apart = math.ceil(length / DAY) * DAY
    start = 60 * _MONDAY + 12 * HOUR
    for days in range(1, MAX_HISTORY_DAYS):
        plan = plan_past(
            Window(start - apart, start - apart + length),
            Window(start, start + length),
            _blocks(hours),
            unchanged=Window(start - days * DAY, start),
        )
        if plan.valid.sum() >= windows * SLIDES:
            return days
    return None


def _blocks(hours: float) -> int:
    return plan_blocks(Window(0, hours * HOUR), Window(0, hours * HOUR)).blocks
