"""By how much a recorded quantile may differ from that of the requests themselves.

Buckets hide where inside them a quantile lies. Assumes that the density of log values has at most
one peak or dip within three neighbouring buckets; counts at their edges are exact. Buckets of scale
5 are what every interval's coverage was measured with and add nothing. Fitted percentiles bound
nothing: their margins are measured. Source: nibai's statistics.md, section 13, and aws.md, 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import SCALE, Float64Array
from nibai.model import RecordedAs
from nibai.stats.score import TIE, ScoreTable

FITTED_MARGINS = ((0.9, 0.03), (0.99, 0.05))
"""Quantile up to which, and error of fitted quantiles there; above the last nothing is known."""

QUARTILE_MARGINS = ((0.5, 0.04), (0.75, 0.1))
"""The same of fits from p1, p25, p50, p75 and p99, above what `test_quartiles_known_truth` finds:
3.0 % at p50 and 8.6 % at p75, where p90 is off by 43 %."""

SPREAD_SCALE = 0
"""What counts between explicit bounds are taken for: bounds are often a factor of 2 apart."""

NEGLIGIBLE_SHARE = 0.01
"""Of the requests beyond a quantile: so few of another origin do not move it."""


@dataclass(frozen=True, slots=True)
class RecordedShare:
    """What `of` a number of requests has no buckets of its own."""

    of: RecordedAs
    requests: int


@dataclass(frozen=True, slots=True)
class Span:
    """An interval of a log2 ratio."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RecordingError:
    """How far (log2) the true ratio may lie below and above the measured one."""

    below: float = 0.0
    above: float = 0.0

    @property
    def nothing(self) -> bool:
        """Whether an interval stays as it is."""
        return self.below == self.above == 0.0

    def widened(self, found: Span) -> Span:
        """An interval that covers the true ratio as the given one covers the measured one."""
        return Span(found.value, found.low - self.below, found.high + self.above)

    def bars(self, threshold: float) -> tuple[float, float]:
        """Below and above what the measured ratio must lie to refute and to confirm a claim."""
        return threshold - self.above, threshold + self.below

    def bar(self, value: float, threshold: float) -> float | None:
        """What the measured ratio has to pass to decide a claim; None: not even exactly known.

        >>> RecordingError(0.1, 0.2).bar(1.5, 1.0), RecordingError(0.1, 0.2).bar(0.9, 1.0)
        (1.1, None)
        """
        if value >= threshold:
            return (
                threshold + self.below if value > threshold + self.below or self.nothing else None
            )
        return threshold - self.above if value < threshold - self.above or self.nothing else None


AS_MEASURED = RecordingError()
"""Requests one by one, in buckets of scale 5."""


def recording_error(
    tables: tuple[ScoreTable, ScoreTable],
    p: float,
    recorded: tuple[RecordedAs, RecordedAs],
    requests: tuple[int, int],
) -> RecordingError:
    """The error of a log2 ratio (first minus second) of p-quantiles.

    `requests` are those in the tables; those that were recorded without buckets come on top.
    """
    fitted = fit_error(p, recorded, requests)
    off = [
        _quantile_error(table, p, one, n)
        for table, one, n in zip(tables, recorded, requests, strict=True)
    ]
    return RecordingError(
        below=off[0][0] + off[1][1] + fitted, above=off[0][1] + off[1][0] + fitted
    )


def fit_error(p: float, recorded: Sequence[RecordedAs], requests: Sequence[int]) -> float:
    """What fitted percentiles add, in log2; infinite above `known_up_to`.

    The margin shrinks with the share of fitted requests beyond the quantile, which cannot be more
    than all fitted ones.

    >>> alone = (RecordedAs(fitted=100), RecordedAs())
    >>> round(2 ** fit_error(0.9, alone, (100, 100)), 3), fit_error(0.999, alone, (100, 100))
    (1.03, inf)
    """
    fitted = [(one.fitted, n) for one, n in zip(recorded, requests, strict=True)]
    quartered = [(one.quartered, n) for one, n in zip(recorded, requests, strict=True)]
    return max(_added(p, fitted, FITTED_MARGINS), _added(p, quartered, QUARTILE_MARGINS))


def known_up_to(recorded: RecordedAs) -> float:
    """The quantile above which nothing is known of what was recorded so.

    >>> known_up_to(RecordedAs(fitted=1)), known_up_to(RecordedAs(fitted=1, quartered=1))
    (0.99, 0.75)
    """
    if recorded.quartered:
        return QUARTILE_MARGINS[-1][0]
    return FITTED_MARGINS[-1][0] if recorded.fitted else 1.0


def _added(
    p: float, counts: Sequence[tuple[int, int]], margins: Sequence[tuple[float, float]]
) -> float:
    """What one kind of fit adds; `counts` are (fitted requests, all) of both sides."""
    beyond = max(
        min(some / n / min(p, 1 - p), 1.0) if n and 0 < p < 1 else 0.0 for some, n in counts
    )
    if beyond <= NEGLIGIBLE_SHARE:
        return 0.0
    margin = next((margin for most, margin in margins if p <= most), math.inf)
    return math.log2(1 + margin) * beyond if math.isfinite(margin) else math.inf


def position_bounds(cdf: Float64Array, p: float) -> tuple[float, float]:
    """Where the p-quantile may lie, in buckets above the first edge; infinite outside of them.

    `cdf` (K+1,) are shares up to the edges. Where the density falls over three buckets, the
    distribution function is concave there: above its chord, below the prolonged neighbouring ones.

    >>> low, high = position_bounds(np.array([0.0, 0.4, 0.7, 0.9, 1.0]), 0.6)
    >>> round(low, 3), round(high, 3)
    (1.5, 1.667)
    """
    if math.isnan(cdf[0]) or (p <= cdf[0] + TIE and cdf[0] > 0):
        return -math.inf, -math.inf
    if p > cdf[-1] + TIE:
        return math.inf, math.inf
    k = max(int(np.searchsorted(cdf, p - TIE)), 1)
    if k == 1 and cdf[0] > 0:
        return 0.0, 1.0  # what lies before the bucket is not known
    before = float(cdf[k - 1] - cdf[k - 2]) if k > 1 else 0.0
    after = float(cdf[k + 1] - cdf[k]) if k + 1 < len(cdf) else 0.0
    here = float(cdf[k] - cdf[k - 1])
    low, high = _inside(before, here, after, min(max(float(p - cdf[k - 1]), 0.0), here))
    return k - 1 + low, k - 1 + high


def _inside(before: float, here: float, after: float, need: float) -> tuple[float, float]:
    """Where in a bucket (0 to 1) `need` of its share is reached, given its neighbours' shares."""
    chord = need / here
    least, most = min(before, after), max(before, after)
    # Density at least (at most) this from the bucket's left end, and from its right end.
    if before >= here >= after:
        early = max(_part(need, before), 1 - _part(here - need, after))
        return min(early, chord), chord
    if before <= here <= after:
        late = min(_part(need, before), 1 - _part(here - need, after))
        return chord, max(late, chord)
    left, right = (least, least) if here > most else (most, most)
    ends = _part(need, left), 1 - _part(here - need, right)
    return min(*ends, chord), max(*ends, chord)


def _part(share: float, density: float) -> float:
    """Length over which a density holds a share, at most the whole bucket."""
    return min(share / density, 1.0) if density > 0 else float(share > 0)


def _quantile_error(
    table: ScoreTable, p: float, recorded: RecordedAs, requests: int
) -> tuple[float, float]:
    """How far (log2) below and above the recorded quantile the true one may lie."""
    beyond = requests * min(p, 1 - p)
    spread = recorded.spread > NEGLIGIBLE_SHARE * beyond
    missing = recorded.unbinned if recorded.unbinned > NEGLIGIBLE_SHARE * beyond else 0
    if table.scale >= SCALE and not spread and not missing:
        return 0.0, 0.0
    cdf, offset, scale = _coarser(table, SPREAD_SCALE) if spread else _as_is(table)
    everything = requests + missing
    ranks = [(p * everything - missing) / requests, p * everything / requests]
    places = [position_bounds(cdf, q) if q > 0 else (-math.inf, -math.inf) for q in ranks]
    low, high = ((offset + at) / 2.0**scale for at in (places[0][0], places[1][1]))
    at = table.log2_quantile(p)
    if not math.isfinite(at):
        return 0.0, 0.0
    return max(at - low, 0.0), max(high - at, 0.0)


def _as_is(table: ScoreTable) -> tuple[Float64Array, int, int]:
    return table.cdf, table.offset, table.scale


def _coarser(table: ScoreTable, scale: int) -> tuple[Float64Array, int, int]:
    """The distribution at the edges of a coarser scale."""
    step = 2 ** max(table.scale - scale, 0)
    first = table.offset // step
    last = -(-(table.offset + len(table.cdf) - 1) // step)
    edges = np.clip(np.arange(first, last + 1) * step - table.offset, 0, len(table.cdf) - 1)
    return table.cdf[edges], first, min(scale, table.scale)
