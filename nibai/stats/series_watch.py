"""One series followed while its blocks close: a week is learned, then every block counts once.

Three streams per series: log2 p50 and p99 without the hourly daily rhythm of the learned week, and
failed requests against what the learned share expects, on the scale where counts have one variance
(Anscombe). After an alarm, or a week without a value, the series is learned anew.

Source: nibai's statistics.md, section 14; the detector is `nibai.stats.detector`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array, Int64Array
from nibai.stats.cycle import without_cycle
from nibai.stats.detector import Alarm, Baseline, Detector, learn

QUANTILES = {"p50": 0.5, "p99": 0.99}
VIEWS = (*QUANTILES, "errors")
BEYOND = 5
"""Requests that a block needs beyond a quantile on either side: a p99 of 40 is their maximum."""

LEAST_REQUESTS = 20
WEEK_SECONDS, HOUR_SECONDS, HOURS = 604_800, 3600, 24
GRID_SD = 2**-5 / 12**0.5
"""Smallest sd of a log2 quantile: rounding to buckets, 32 to a doubling."""

ERROR_SD = 1.0
"""Smallest sd of the error stream: that of counts when failures are independent."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Consecutive blocks from number `first` (since the epoch) on; `quantiles` has shape (2, T)."""

    first: int
    block_seconds: float
    quantiles: Float64Array
    failed: Int64Array
    requests: Int64Array

    @classmethod
    def of(cls, histograms: BlockHistograms, start: float, block_seconds: float) -> Readings:
        """What the streams are made of."""
        n = histograms.n
        table = histograms.block_log2_quantiles(list(QUANTILES.values()))
        needed = np.array([[BEYOND / min(p, 1 - p)] for p in QUANTILES.values()])
        quantiles = np.where(n[None, :] >= needed - 1e-6, table, np.nan)
        first = round(start / block_seconds)
        return cls(first, block_seconds, quantiles, histograms.overflow.astype(np.int64), n)

    @property
    def end(self) -> int:
        """Number of the first block that is not there."""
        return self.first + len(self.requests)

    @property
    def per_hour(self) -> int:
        """Blocks of an hour."""
        return round(HOUR_SECONDS / self.block_seconds)

    @property
    def per_week(self) -> int:
        """Blocks of the week that is learned."""
        return round(WEEK_SECONDS / self.block_seconds)

    def cut(self, start: int, end: int) -> Readings:
        """Blocks `start` to `end` (by number)."""
        where = slice(start - self.first, end - self.first)
        return Readings(
            start, self.block_seconds, self.quantiles[:, where], self.failed[where],
            self.requests[where],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raised:
    """A change of one view, in numbers of blocks: begun with `start`, noticed after `at`."""

    view: str
    start: int
    at: int


@dataclass(frozen=True, slots=True, eq=False)
class SeriesWatch:
    """Where a series stands: `cursor` is the next block that is needed.

    Without a detector the week from `cursor` is still to be learned; once it has `begun`, with a
    request in its first hour, nothing is needed until it is over. `rhythm` has shape (2, 24).
    """

    cursor: int
    begun: bool = field(default=False, kw_only=True)
    learned_from: int = 0
    share: float = 0.0
    rhythm: Float64Array | None = None
    detector: Detector | None = None

    def advance(
        self, readings: Readings, threshold: float
    ) -> tuple[SeriesWatch, tuple[Raised, ...]]:
        """The state after all blocks that are there, and the alarms on the way."""
        state: SeriesWatch = self
        found: list[Raised] = []
        while state.cursor < readings.end:
            if state.detector is None:
                after = state._learned(readings)
                if after is None:
                    break
                state = after
            else:
                state, raised = state._followed(readings, threshold)  # noqa: SLF001 - same class
                found += raised
        if state.detector is None:
            begin, begun = state._begin(readings)  # noqa: SLF001 - same class
            state = SeriesWatch(begin, begun=begun)
        return state, tuple(found)

    def waits(self, end: int, per_week: int) -> bool:
        """Whether blocks before number `end` are of no use yet: the week is not over."""
        return self.detector is None and self.begun and end < self.cursor + per_week

    def _begin(self, readings: Readings) -> tuple[int, bool]:
        """The hour of the first block with a request, from the cursor on; whether there is one."""
        at = max(self.cursor - readings.first, 0)
        filled = np.flatnonzero(readings.requests[at:])
        number = readings.first + at + int(filled[0]) if len(filled) else readings.end
        hour = number - number % readings.per_hour
        return max(self.cursor, hour), len(filled) > 0

    def _learned(self, readings: Readings) -> SeriesWatch | None:
        """With a detector, or at the end of a week that was too thin; None: not a week yet."""
        start, _ = self._begin(readings)
        end = start + readings.per_week
        if end > readings.end or start < readings.first:
            return None
        week = readings.cut(start, end)
        share = float(week.failed.sum() / max(week.requests.sum(), 1))
        state = SeriesWatch(end, start, share, np.array([_rhythm(x, week) for x in week.quantiles]))
        values = state._values(week)
        unseen = np.array([_unseen(x, week) for x in week.quantiles])
        quantiles, errors = learn(unseen, floor=GRID_SD), learn(values[2:], floor=ERROR_SD)
        if not np.isnan(errors.median[0]):  # the median of rare counts is their lowest value
            errors = replace(errors, median=np.nanmean(values[2:], axis=1))
        baseline = Baseline(
            *(
                np.concatenate([getattr(quantiles, name), getattr(errors, name)])
                for name in ("median", "phi", "sd")
            )
        )
        if np.isnan(baseline.median).all():
            return SeriesWatch(end)
        return replace(state, detector=Detector.begin(baseline))

    def _followed(
        self, readings: Readings, threshold: float
    ) -> tuple[SeriesWatch, tuple[Raised, ...]]:
        """Block after block up to an alarm, a week of silence or the end."""
        assert self.detector is not None  # noqa: S101 - asked before
        detector = replace(self.detector, threshold=threshold)
        values = self._values(readings.cut(self.cursor, readings.end))
        for position, column in enumerate(values.T):
            detector, alarms = detector.advance(column)
            after = self.cursor + position + 1
            if alarms:
                raised = tuple(self._raised(alarm, readings) for alarm in alarms)
                return SeriesWatch(after + -after % readings.per_hour), raised
            if detector.gap.min() >= readings.per_week:
                return SeriesWatch(after + -after % readings.per_hour), ()
        return replace(self, cursor=readings.end, detector=detector), ()

    def _raised(self, alarm: Alarm, readings: Readings) -> Raised:
        begun = self.learned_from + readings.per_week
        return Raised(VIEWS[alarm.series], begun + alarm.start, begun + alarm.at)

    def _values(self, readings: Readings) -> Float64Array:
        """The three streams, shape (3, T)."""
        rhythm = self.rhythm if self.rhythm is not None else np.zeros((2, HOURS))
        usual = np.array([_usual(of_day, readings) for of_day in rhythm])
        quantiles = readings.quantiles - usual
        expected = self.share * readings.requests
        errors = 2 * (np.sqrt(readings.failed + 0.375) - np.sqrt(expected + 0.375))
        errors = np.where(readings.requests >= LEAST_REQUESTS, errors, np.nan)
        return np.vstack([quantiles, errors])

    # -- keeping --------------------------------------------------------------------------
    def to_plain(self) -> dict[str, object]:
        """The state as lists and numbers, for JSON."""
        if self.detector is None or self.rhythm is None:
            begun = {"begun": True} if self.begun else {}
            return {"cursor": self.cursor, **begun}
        return {
            "cursor": self.cursor,
            "learned_from": self.learned_from,
            "share": self.share,
            "rhythm": self.rhythm.tolist(),
            "detector": self.detector.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SeriesWatch:
        """The state that `to_plain` wrote."""
        if "detector" not in plain:
            return cls(int(plain["cursor"]), begun=bool(plain.get("begun")))
        return cls(
            int(plain["cursor"]),
            int(plain["learned_from"]),
            float(plain["share"]),
            np.asarray(plain["rhythm"], dtype=np.float64),
            Detector.from_plain(plain["detector"]),
        )


def _rhythm(values: Float64Array, week: Readings) -> Float64Array:
    """How the hours of the day (UTC) differ, from the medians of a week's hours."""
    hours = np.sort(np.where(np.isfinite(values), values, np.nan).reshape(-1, week.per_hour))
    count = np.count_nonzero(~np.isnan(hours), axis=1)
    row = np.arange(len(hours))
    middle = (
        hours[row, np.maximum(count - 1, 0) // 2] + hours[row, count // 2 % week.per_hour]
    ) / 2
    middle = np.where(count > 0, middle, np.nan)
    effect = (middle - without_cycle(middle, HOURS)).reshape(-1, HOURS)
    days = np.count_nonzero(~np.isnan(effect), axis=0)
    of_day = np.nansum(effect, axis=0) / np.maximum(days, 1)  # one value, wherever it is known
    return np.roll(of_day, week.first // week.per_hour % HOURS)


def _usual(of_day: Float64Array, readings: Readings) -> Float64Array:
    """The rhythm at every block, between the middles of the hours on a line."""
    blocks = np.arange(readings.first, readings.end)
    hour = (blocks + 0.5) / readings.per_hour % HOURS
    return np.interp(hour, np.arange(HOURS) + 0.5, of_day, period=HOURS)


def _unseen(values: Float64Array, week: Readings) -> Float64Array:
    """Every day less the rhythm of the other six: as unsteady as days to come will look."""
    without = np.empty_like(values)
    for day in np.split(np.arange(len(values)), WEEK_SECONDS // (HOURS * HOUR_SECONDS)):
        others = values.copy()
        others[day] = np.nan
        without[day] = (values - _usual(_rhythm(others, week), week))[day]
    return without
