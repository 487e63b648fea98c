"""How much more data would decide an inconclusive claim.

Source: nibai's statistics.md, section 12.4: the half-width falls with the root of the number of
blocks (measured); the factor 1.2 pays for an estimate that moves while one waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nibai.stats.replication import RunInterval
from nibai.stats.student import critical_value

SAFETY = 1.2
UNDECIDABLE_SHARE = 0.1
"""An effect nearer to the claim than this share of the half-width is practically the claim."""

MAX_SECONDS = 28 * 86400.0
MAX_UNITS = 1000


@dataclass(frozen=True, slots=True)
class MoreData:
    """What is missing: `blocks` (or units) more, `seconds` when a block's length is known.

    `capped`: more than 28 days (or 1000 units) would be needed. `undecidable`: the claim equals the
    effect as far as can be seen. None in `blocks`: nothing can be said (an infinite bound).
    """

    blocks: int | None
    seconds: float | None = None
    capped: bool = False
    undecidable: bool = False


def more_blocks(  # noqa: PLR0917 - value, low, high and threshold are one reading
    value: float,
    low: float,
    high: float,
    threshold: float,
    blocks: int,
    block_seconds: float | None = None,
) -> MoreData:
    """Blocks missing per side: n ((1.2 h / delta)^2 - 1), h the half-width towards the threshold.

    >>> more_blocks(1.0, 0.8, 1.2, 0.9, blocks=24, block_seconds=3600.0)
    MoreData(blocks=115, seconds=414000.0, capped=False, undecidable=False)
    """
    delta, half = _distance(value, low, high, threshold)
    if not (math.isfinite(half) and math.isfinite(delta)):
        return MoreData(None)
    if delta < half * UNDECIDABLE_SHARE or delta == 0.0:
        return MoreData(None, undecidable=True)
    missing = max(math.ceil(blocks * ((SAFETY * half / delta) ** 2 - 1) - 1e-9), 0)
    if block_seconds is None:
        return MoreData(missing)
    seconds = missing * block_seconds
    return MoreData(missing, min(seconds, MAX_SECONDS), capped=seconds > MAX_SECONDS)


def more_units(found: RunInterval, threshold: float) -> MoreData:
    """Runs (hosts, days) missing per side, the falling t quantile included.

    With two runs the t quantile is 12.7: taking h as falling with the root alone would ask for
    hundreds of runs where five do.
    """
    delta, half = _distance(found.value, found.low, found.high, threshold)
    if not (math.isfinite(found.standard_error) and math.isfinite(delta)):
        return MoreData(None)
    runs = min(found.units)
    # As many runs as one likes bring the critical value to about 2: that width counts here.
    if delta == 0.0 or delta < half * UNDECIDABLE_SHARE / max(found.critical / 2, 1.0):
        return MoreData(None, undecidable=True)
    spread = found.standard_error * math.sqrt(runs)
    for units in range(max(runs, 2), MAX_UNITS + 1):
        freedom = (units - 1.0) * (1.0 if found.matched else 2.0)
        if SAFETY * critical_value(found.level, freedom) * spread / math.sqrt(units) <= delta:
            return MoreData(units - runs)
    return MoreData(MAX_UNITS, capped=True)


def _distance(value: float, low: float, high: float, threshold: float) -> tuple[float, float]:
    return abs(value - threshold), value - low if value >= threshold else high - value
