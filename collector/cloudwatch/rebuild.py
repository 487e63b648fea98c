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
from numpy.typing import NDArray

from collector.cloudwatch.execute import Answered
from collector.cloudwatch.failures import failures_of, joined
from collector.cloudwatch.plan import BASE, PERCENTILES, Detail, Wanted
from collector.cloudwatch.points import Numbers, Points
from collector.cloudwatch.series import Kind, Series
from nibai.histogram import SCALE, ZERO_BUCKET, bucket_index
from nibai.model import Observation, Provenance, SeriesKey
from nibai.stats.percentile_fit import rebuilt_counts

NO_BUCKETS = np.zeros(0, dtype=np.int32)
NO_COUNTS = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Tally:
    """What was made of the answers, and what was wrong with them.

    `doubtful` are the periods (seconds since the epoch) whose buckets do not add up, by series;
    `uncounted` have failed requests and nothing that counts all of them;
    `below` requests are faster than the lowest bucket, those of `beyond` minutes slower than the
    highest, and nobody knows by how much.
    """

    minutes: int = 0
    partial: int = 0
    below: int = 0
    beyond: int = 0
    failed: int = 0
    uncounted: int = 0
    doubtful: dict[Series, list[float]] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)

    @property
    def inconsistent(self) -> int:
        """Periods whose buckets do not add up to what was counted."""
        return sum(map(len, self.doubtful.values()))


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
        failures = failures_of(answered, wanted)
        periods = _periods(wanted, statistics, failures.times)
        failed, without_latency = failures.at(periods.times, periods.counts)
        kept = (periods.counts > 0) | (without_latency > 0)
        tally.minutes += int(kept.sum())
        tally.partial += 0 if answered.whole(wanted) else int(kept.sum())
        tally.failed += int(failed[kept].sum())
        tally.uncounted += int((failures.uncounted(periods.times) & (failed > 0) & kept).sum())
        bare = _bare(wanted, statistics, periods, tally)
        for row in np.flatnonzero(kept).tolist():
            made = bare[row] if row in bare else _nothing(wanted, periods.times[row])
            yield joined(made, int(failed[row]), int(without_latency[row]))


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


@dataclass(frozen=True, slots=True)
class Periods:
    """Times of a series' periods, requests with a latency (0: not known), and in base units.

    Sum, smallest and largest value; all of shape (T,).
    """

    times: Numbers
    counts: NDArray[np.int64]
    sums: Numbers
    lows: Numbers
    highs: Numbers


def _periods(wanted: Wanted, statistics: Mapping[str, Points], others: Numbers) -> Periods:
    """The periods that were counted, and `others`."""
    times = statistics["SampleCount"].times
    if len(others) and not np.array_equal(others, times):
        times = np.union1d(times, others)
    count, total, low, high = (statistics[name].at(times) for name in BASE)
    known = ~np.isnan(count + total + low + high)
    units = wanted.series.published.units_per_base
    counts = np.rint(np.where(known, count, 0.0)).astype(np.int64)
    return Periods(times, counts, total / units, low / units, high / units)


_Distribution = tuple["np.ndarray", "np.ndarray", int, Provenance]


def _bare(
    wanted: Wanted, statistics: Mapping[str, Points], periods: Periods, tally: Tally
) -> dict[int, Observation]:
    """Observations of the periods with latencies by row, without their failures."""
    counted = _trimmed_counts(wanted, statistics, periods, tally)
    fitted = {
        float(name[1:]) / 100: points.at(periods.times) / wanted.series.published.units_per_base
        for name, points in statistics.items()
        if name in PERCENTILES
    }
    key, minutes = key_of(wanted.series), (periods.times // 60).astype(np.int64).tolist()
    columns = (periods.counts, periods.sums, periods.lows, periods.highs)
    count, total, low, high = (column.tolist() for column in columns)
    made = {}
    gauge = wanted.series.published.kind is Kind.GAUGE
    for row in np.flatnonzero(periods.counts > 0).tolist():
        buckets, counts, scale, provenance = (
            _level(count[row], total[row])
            if gauge
            else counted.get(row)
            or _fitted(
                count[row],
                {p: float(values[row]) for p, values in fitted.items()},
                low[row],
                high[row],
            )
        )
        made[row] = Observation(
            key, minutes[row], buckets, counts, count[row], total[row], low[row], high[row],
            scale=scale, provenance=provenance,
        )  # fmt: skip
    return made


def _level(n: int, total: float) -> _Distribution:
    """Samples of a gauge as what they are on average: how they spread is not told."""
    level = bucket_index(np.array([total / n]))
    return level, np.array([n], dtype=np.int64), SCALE, Provenance.EXACT


def _fitted(n: int, percentiles: Mapping[float, float], low: float, high: float) -> _Distribution:
    """A distribution through the percentiles that are known; none without any."""
    known = {p: value for p, value in percentiles.items() if value > 0}
    if known and 0 < low <= high:
        buckets, counts = rebuilt_counts(n, known, low, high)
        return buckets, counts, SCALE, Provenance.PERCENTILE_FIT
    return NO_BUCKETS, NO_COUNTS, SCALE, Provenance.SCALAR


def _trimmed_counts(
    wanted: Wanted, statistics: Mapping[str, Points], periods: Periods, tally: Tally
) -> dict[int, _Distribution]:
    """The buckets of periods by row, of those where they are known and the highest lies in reach.

    The outer buckets are open: their requests count as in them only where the extremes say so. What
    is slower costs the minute its buckets; what is faster counts as below all buckets, so that
    everything above stays known (there failures are often found, which are counted elsewhere).
    """
    grid = wanted.grid
    if grid is None:
        return {}
    names = grid.statistics(wanted.series.published.units_per_base)
    # An empty bucket is 0 or no datapoint (unverified, aws.md 16): either way it adds nothing.
    columns = [np.nan_to_num(statistics[name].at(periods.times)) for name in names]
    counts = np.rint(np.stack(columns, axis=1)).astype(np.int64)
    numbers = np.array(grid.numbers(), dtype=np.int32)
    known = periods.counts > 0
    consistent = known & (counts.sum(axis=1) == periods.counts)
    doubtful = periods.times[known & ~consistent].tolist()
    if doubtful:
        tally.doubtful.setdefault(wanted.series, []).extend(doubtful)
    bottom, top = (2.0 ** (edge / 2**grid.scale) for edge in (numbers[0], numbers[-1] + 1))
    kept = consistent & ((counts[:, -1] == 0) | (periods.highs <= top))
    below = kept & (counts[:, 0] > 0) & (periods.lows <= bottom)
    tally.below += int(counts[below, 0].sum())
    tally.beyond += int((consistent & ~kept).sum())
    # All buckets that hold something, one period after the other.
    of, bucket = np.nonzero(counts * kept[:, None])
    ends = np.searchsorted(of, np.arange(len(kept) + 1)).tolist()
    held = counts[of, bucket]
    buckets = np.where((bucket == 0) & below[of], np.int32(ZERO_BUCKET), numbers[bucket])
    return {
        row: (buckets[start:end], held[start:end], grid.scale, Provenance.TC)
        for row, (start, end) in enumerate(itertools.pairwise(ends))
        if kept[row]
    }
