"""The false-positive rate printed beside a verdict: measured on the series' own past, prequential.

Past pairs that do not overlap are judged as the judge would have judged them then, each with its
own earlier history only. One series' raw share says little, so it is shrunk towards 5 %, which
weighs as much as 30 windows (design choice). Source: nibai's calibration.md, section 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.model import FalsePositiveRate
from nibai.stats.placebo import Judged
from nibai.stats.point_judge import CalibratedPairs, judge_all
from nibai.stats.student import beta_quantile

PRIOR_FLAGGED, PRIOR_QUIET = 1.5, 28.5
MOSTLY_PRIOR = 10
"""Below so many judged windows the printed rate is mostly the prior."""


def shrunk_rate(
    flagged: int,
    judged: int,
    *,
    undecidable: int = 0,
    margin: float = 0.0,
    other_margin: tuple[float, int, int] | None = None,
) -> FalsePositiveRate:
    """(flagged + 1.5) / (judged + 30) with the 95 % interval of its Beta posterior.

    >>> found = shrunk_rate(2, 42)
    >>> [round(100 * x, 1) for x in (found.value, found.low, found.high)]
    [4.9, 1.2, 10.8]
    """
    a, b = PRIOR_FLAGGED + flagged, PRIOR_QUIET + judged - flagged
    low, high = (beta_quantile(u, a, b) for u in (0.025, 0.975))
    return FalsePositiveRate(
        a / (a + b), low, high, judged, flagged, undecidable, margin, other_margin
    )


def non_overlapping(valid: ArrayLike, lag: int) -> NDArray[np.int64]:
    """Indices of valid grid pairs at least a window apart, from the first one on.

    >>> non_overlapping([True, True, False, True, True, True], 2)
    array([0, 3, 5])
    """
    chosen: list[int] = []
    for k in np.flatnonzero(np.asarray(valid, dtype=np.bool_)).tolist():
        if not chosen or k - chosen[-1] >= lag:
            chosen.append(k)
    return np.array(chosen, dtype=np.int64)


def measured_rate(
    found: Judged,
    valid: ArrayLike,
    lag: int,
    *,
    margin: float = 0.0,
    other: tuple[float, Judged] | None = None,
) -> FalsePositiveRate | None:
    """The rate of answers for past grid pairs in order; `other` are those at another margin.

    None when no valid pair had history enough to be judged.
    """
    past = non_overlapping(valid, lag)
    decided = past[found.decided[past]]
    undecidable = int(found.unstable[past].sum())
    if not len(decided) + undecidable:
        return None
    return shrunk_rate(
        int(found.changed[decided].sum()),
        len(decided),
        undecidable=undecidable,
        margin=margin,
        other_margin=other and (other[0], int(other[1].changed[decided].sum()), len(decided)),
    )


def printed_rate(
    calibrated: CalibratedPairs,
    *,
    before: int | None = None,
    margin: float = 0.0,
    other_margin: float | None = None,
) -> FalsePositiveRate | None:
    """The rate of the complete judge of points on the past of pair `before` (None: all pairs)."""
    pairs = calibrated.pairs
    until = len(pairs) if before is None else max(before - pairs.lag + 1, 0)
    other = None if other_margin is None else judge_all(calibrated, margin=other_margin)
    past = pairs.valid & (np.arange(len(pairs)) < until)
    return measured_rate(
        judge_all(calibrated, margin=margin),
        past,
        pairs.lag,
        margin=margin,
        other=None if other_margin is None or other is None else (other_margin, other),
    )


def rate_text(rate: FalsePositiveRate | None) -> str:
    """The rate as it is printed.

    >>> rate_text(shrunk_rate(2, 42, undecidable=5, other_margin=(0.02, 0, 42)))
    '2 of 42 past windows (4.9 %, 1.2–10.8 %), 5 undecidable; at margin 2 %: 0 of 42'
    >>> rate_text(None)
    'not measured'
    """
    if rate is None:
        return "not measured"
    interval = f"{100 * rate.value:.1f} %, {100 * rate.low:.1f}–{100 * rate.high:.1f} %"
    prior = ", mostly prior" if rate.placebos < MOSTLY_PRIOR else ""
    text = f"{rate.flagged} of {rate.placebos} past windows ({interval}{prior})"
    if rate.undecidable:
        text += f", {rate.undecidable} undecidable"
    if rate.other_margin is not None:
        margin, flagged, judged = rate.other_margin
        text += f"; at margin {100 * margin:g} %: {flagged} of {judged}"
    return text
