"""The smallest change that a calibrated series would show.

Every past pair is asked by how much its candidate would have had to change to be found at today's
critical value; the 80 % quantile of the answers, speed-ups and slow-downs together, is the effect
found with 80 % power. Assumes a step over the whole candidate window, by the same factor for every
point (of spreads: the same factor for the distance between p10 and p90), on noise like the past's.
"""

from __future__ import annotations

import math

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.placebo import HISTORY_WINDOWS
from nibai.stats.point_judge import CalibratedPairs
from nibai.stats.printed_rate import non_overlapping

POWER = 0.8


def smallest_effect(calibrated: CalibratedPairs, k: int, *, margin: float = 0.0) -> float | None:
    """As a share (0.05: a change by 5 % is found in 4 of 5 windows) for the judge of grid pair k.

    None when pair k cannot be judged, or when no change, however large, would be found that often
    (at p90 of 60 points, where block counts bound t).

    >>> from nibai.stats.point_judge import calibrate_pairs
    >>> from nibai.stats.point_statistics import Level
    >>> from nibai.stats.point_windows import pair_windows
    >>> points = np.exp(np.random.default_rng(1).normal(0, 0.1, 3000))
    >>> calibrated = calibrate_pairs(pair_windows(points, 60), Level())
    >>> found = smallest_effect(calibrated, len(calibrated.pairs) - 1)
    >>> found is not None and round(found, 3)
    0.064
    """
    i = int(calibrated.judging()[k])
    calibration = calibrated.walks[i].at(k, calibrated.rules[i])
    if calibration.reason is not None:
        return None
    pairs = calibrated.pairs
    past = non_overlapping(pairs.valid[: k - pairs.lag + 1], pairs.lag)[-HISTORY_WINDOWS:]
    found = calibrated.statistics[i].intervals(pairs, past, calibration.critical)
    needed = found_with_power(found[:, 1], found[:, 2], margin=margin)
    return 2.0**needed - 1 if math.isfinite(needed) else None


def found_with_power(
    low: Float64Array, high: Float64Array, *, margin: float = 0.0, power: float = POWER
) -> float:
    """The log2 change that a share `power` of unchanged pairs with these intervals would show.

    A change by d moves an interval by d. `low` and `high` have one shape (R,).

    >>> found_with_power(np.array([-0.2, -0.1]), np.array([0.1, 0.3]), power=1.0)
    0.3
    """
    needed = math.log2(1 + margin) + np.concatenate([-low, high])
    return float(np.quantile(needed, power, method="higher"))
