"""Minutes of a series made of what CloudWatch answered.

Trimmed counts become bucket counts where they add up to SampleCount; else percentiles are fitted,
and without those only count, sum, minimum and maximum remain. Nothing is guessed silently: every
minute says how it came about. Source: aws.md, sections 5 and 14 (R7).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from collector.cloudwatch.execute import Answered, Points
from collector.cloudwatch.failures import failures_of, joined
from collector.cloudwatch.plan import BASE, PERCENTILES, Detail, Wanted
from collector.cloudwatch.series import Series
from nibai.histogram import SCALE
from nibai.model import Observation, Provenance, SeriesKey
from nibai.stats.percentile_fit import rebuilt_counts

NO_BUCKETS = np.zeros(0, dtype=np.int32)
NO_COUNTS = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Tally:
    """What was made of the answers, and what was wrong with them."""

    minutes: int = 0
    inconsistent: int = 0
    partial: int = 0
    outside_grid: int = 0
    failed: int = 0
    messages: dict[str, int] = field(default_factory=dict)


def observations(answered: Answered, tally: Tally) -> Iterator[Observation]:
    """Every period with requests of every series of a call, in order of series and time.

    A period longer than a minute is one observation at its first minute. Periods of which
    something is missing are given as far as they are consistent, and counted as partial.
    """
    for text in answered.messages:
        tally.messages[text] = tally.messages.get(text, 0) + 1
    for wanted in answered.call.wanted:
        statistics = answered.statistics(wanted.series)
        if "SampleCount" not in statistics:
            continue
        whole, failures = answered.whole(wanted), failures_of(answered, wanted)
        trimmed = _trimmed(wanted, statistics)
        for at in sorted({*statistics["SampleCount"], *failures.failed}):
            made = _minute(wanted, statistics, at, (trimmed, tally))
            failed, without_latency = failures.at(at, 0 if made is None else made.count)
            if made is None and not without_latency:
                continue
            tally.minutes += 1
            tally.partial += not whole
            tally.failed += failed
            yield joined(_nothing(wanted, at) if made is None else made, failed, without_latency)


def _nothing(wanted: Wanted, at: float) -> Observation:
    """A period in which no request has a latency."""
    grid, nan = wanted.grid, math.nan
    scale = SCALE if grid is None else grid.scale
    kind = Provenance.PERCENTILE_FIT if grid is None else Provenance.TC
    if wanted.detail is Detail.BASE:
        kind = Provenance.SCALAR
    return Observation(
        key_of(wanted.series), int(at // 60), NO_BUCKETS, NO_COUNTS, 0, 0.0, nan, nan,
        scale=scale, provenance=kind,
    )  # fmt: skip


def key_of(series: Series) -> SeriesKey:
    """Whose minutes a series brings."""
    return SeriesKey(series.endpoint, series.variant, series.replica, "", series.metric)


def _minute(
    wanted: Wanted, statistics: Mapping[str, Points], at: float, found: tuple[Trimmed | None, Tally]
) -> Observation | None:
    units = wanted.series.published.units_per_base
    count, total, low, high = (statistics[name].get(at) for name in BASE)
    if not count or total is None or low is None or high is None:
        return None
    n = round(count)
    buckets, counts, scale, provenance = _distribution(wanted, statistics, at, n, found)
    return Observation(
        key_of(wanted.series),
        int(at // 60),
        buckets,
        counts,
        n,
        total / units,
        low / units,
        high / units,
        scale=scale,
        provenance=provenance,
    )


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Counts (T, B) of a series' buckets and their sums (T,); `rows` says where a period's are."""

    scale: int
    numbers: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    rows: Mapping[float, int]


def _trimmed(wanted: Wanted, statistics: Mapping[str, Points]) -> Trimmed | None:
    """All trimmed counts at once; None where none were asked for."""
    grid = wanted.grid
    if grid is None:
        return None
    times = list(statistics["SampleCount"])
    # An empty bucket is 0 or no datapoint (unverified, aws.md 16): either way it adds nothing.
    names = grid.statistics(wanted.series.published.units_per_base)
    columns = [list(map(statistics[name].get, times, itertools.repeat(0.0))) for name in names]
    counts = np.rint(np.array(columns).T).astype(np.int64)
    numbers = np.array(grid.numbers(), dtype=np.int32)
    rows = {at: row for row, at in enumerate(times)}
    return Trimmed(grid.scale, numbers, counts, counts.sum(axis=1), rows)


_Distribution = tuple["np.ndarray", "np.ndarray", int, Provenance]


def _distribution(
    wanted: Wanted,
    statistics: Mapping[str, Points],
    at: float,
    n: int,
    found: tuple[Trimmed | None, Tally],
) -> _Distribution:
    units = wanted.series.published.units_per_base
    ends = statistics["Minimum"][at] / units, statistics["Maximum"][at] / units
    counted = _trimmed_counts(found[0], at, n, ends[1], found[1])
    if counted is not None:
        return counted
    fitted = {
        float(name[1:]) / 100: points[at] / units
        for name, points in statistics.items()
        if name in PERCENTILES and points.get(at, 0.0) > 0
    }
    low, high = ends
    if fitted and 0 < low <= high:
        buckets, counts = rebuilt_counts(n, fitted, low, high)
        return buckets, counts, SCALE, Provenance.PERCENTILE_FIT
    return NO_BUCKETS, NO_COUNTS, SCALE, Provenance.SCALAR


def _trimmed_counts(
    table: Trimmed | None, at: float, n: int, slowest: float, tally: Tally
) -> _Distribution | None:
    """The buckets of a period; None where they are not known, or not where the outermost lie.

    The last bucket is open: its requests count as in it only where the maximum says so.
    """
    if table is None:
        return None
    row = table.rows[at]
    if table.sums[row] != n:
        tally.inconsistent += 1
        return None
    counts = table.counts[row]
    tally.outside_grid += int(counts[0] + counts[-1])
    # Below the grid failures are often found, which are counted elsewhere: they cost no minute.
    if counts[-1] and slowest > 2.0 ** ((table.numbers[-1] + 1) / 2**table.scale):
        return None
    kept = counts.nonzero()[0]
    return table.numbers[kept], counts[kept], table.scale, Provenance.TC
