"""What pairs of texts say beyond means per pair: the ratio of lengths; and that they are texts.

Length per pair is a poor mean (one empty answer makes it infinite): what is judged is the ratio of
the mean lengths, from sums that merge. Source: nibai's drift.md, section 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import NormalDist

from nibai.prediction_evidence import Bounds, Distribution
from nibai.predictions import Moments, PairedSketch
from nibai.texts.pairs import (
    BASELINE_LENGTH,
    CANDIDATE_LENGTH,
    EDIT_DISTANCE,
    LENGTH_DIFFERENCE,
    LENGTH_RATIO,
)

PARTS = frozenset({BASELINE_LENGTH, CANDIDATE_LENGTH, LENGTH_DIFFERENCE})
"""Numbers that are kept for the ratio and say nothing new beside it."""


def are_texts(sketches: Iterable[PairedSketch]) -> bool:
    """Whether the pairs are of texts, chat answers or JSON."""
    return any(EDIT_DISTANCE in sketch.moments for sketch in sketches)


def text_rows(
    rows: Sequence[Distribution], pairs: PairedSketch, alpha: float
) -> tuple[Distribution, ...]:
    """The numbers per pair with the ratio of the mean lengths in place of the mean of ratios."""
    ratio = length_ratio(pairs, alpha)
    return tuple(
        replace(row, mean=ratio) if row.metric == LENGTH_RATIO and ratio is not None else row
        for row in rows
        if row.metric not in PARTS
    )


def length_ratio(pairs: PairedSketch, alpha: float) -> Bounds | None:
    """Mean length of the new answers over that of the old ones; pairs are independent.

    The interval is normal (delta method) and covers at about 1 - alpha from some 100 pairs on. None
    without lengths, or where all old answers are empty.
    """
    old, new, difference = (
        pairs.moments.get(name, Moments())
        for name in (BASELINE_LENGTH, CANDIDATE_LENGTH, LENGTH_DIFFERENCE)
    )
    if not old.n or not old.sum > 0:
        return None
    ratio = new.sum / old.sum
    if old.n == 1:
        return Bounds(ratio, None, None)
    variances = [_variance(one) for one in (old, new, difference)]
    covariance = (variances[0] + variances[1] - variances[2]) / 2
    spread = variances[1] + ratio**2 * variances[0] - 2 * ratio * covariance
    half = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(max(spread, 0.0) / old.n) / old.mean
    return Bounds(ratio, max(ratio - half, 0.0), ratio + half)


def _variance(one: Moments) -> float:
    return max(one.sum_of_squares - one.n * one.mean**2, 0.0) / (one.n - 1)
