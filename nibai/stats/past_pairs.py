"""Where an unchanged series can be compared with itself exactly as the judged pair is.

Placebo pairs keep the judged windows' length and distance in time and slide by a sixth of the
length. Windows shorter than a day stay within three hours of the judged clock position, so only
those hours of each day are read; longer ones slide over everything.
Source: nibai's calibration.md, section 2, and statistics.md, section 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array, Int64Array
from nibai.model import History, Window
from nibai.stats.clock import DAY, HOUR, SATURDAY, WEEK_DAYS

SLIDES = 6
"""Slides in one window: so many neighbouring pairs weigh as much as one independent pair."""

MAX_PAIRS = 40 * SLIDES
"""Pairs beyond the last 40 windows add nothing."""

MAX_SHORT_DAYS = 30
"""Days looked back for windows shorter than a day; with minutes to read, the price of a day."""

SPARE = 1.5
"""Pairs planned per pair wanted, because weekends and changes forbid some."""

REACH_SECONDS = 3 * HOUR
SHORT_PARTS = 24
THURSDAY = 3
SHORT_LIVE_SECONDS = 6 * HOUR


@dataclass(frozen=True, slots=True, eq=False)
class PastPlan:
    """Stretches of the past cut into parts, and the pairs of windows made of them.

    `stretches` stretches begin every `period` seconds from `start` on, each of
    `parts_per_stretch` parts of `part_seconds`; parts are numbered through. A block is
    `parts_per_block` parts, a window `blocks` blocks. `pairs` (J, 2) holds the first part of both
    windows, oldest first; `valid` (J,) is False where a pair spans a change or other weekdays.
    `pairs_per_day`: what another day of history would add; `changes`: known ones inside.
    """

    start: float
    part_seconds: float
    parts_per_stretch: int
    stretches: int
    period: float
    blocks: int
    parts_per_block: int
    pairs: Int64Array
    valid: np.ndarray
    pairs_per_day: float
    changes: int = 0

    @property
    def parts(self) -> int:
        """Number of parts of all stretches."""
        return self.parts_per_stretch * self.stretches

    @property
    def end(self) -> float:
        """Where the last stretch ends."""
        return self.start + self.period * (self.stretches - 1) + self.stretch_seconds

    @property
    def stretch_seconds(self) -> float:
        """Length of one stretch."""
        return self.parts_per_stretch * self.part_seconds

    @property
    def part_starts(self) -> Float64Array:
        """Where every part begins, shape (parts,)."""
        stretch, part = np.divmod(np.arange(self.parts), max(self.parts_per_stretch, 1))
        return np.asarray(self.start + stretch * self.period + part * self.part_seconds)

    def history(self, segments: Mapping[str, BlockHistograms]) -> History:
        """The plan filled with what was counted in its parts."""
        return History(
            segments=segments,
            blocks=self.blocks,
            parts_per_block=self.parts_per_block,
            part_seconds=self.part_seconds,
            pairs=self.pairs,
            valid=self.valid,
            slides=SLIDES,
            pairs_per_day=self.pairs_per_day,
            changes=self.changes,
        )


def plan_past(
    baseline: Window,
    candidate: Window,
    blocks: int,
    *,
    unchanged: Window,
    changes: Iterable[float] = (),
) -> PastPlan:
    """Pairs inside the `unchanged` stretch of a series, spaced as (baseline, candidate) are.

    Both windows have one length and `blocks` blocks; `unchanged` ends before the candidate of the
    same series begins. Windows side by side are taken as a whole number of days apart. A pair
    across one of `changes` (moments) is invalid.

    >>> plan = plan_past(Window(6 * DAY, 6 * DAY + HOUR), Window(7 * DAY, 7 * DAY + HOUR), 8,
    ...                  unchanged=Window(0.0, 7 * DAY))
    >>> plan.part_seconds, plan.parts_per_block, len(plan.pairs), int(plan.valid.sum())
    (150.0, 3, 217, 133)
    """
    length = baseline.seconds
    offset = abs(candidate.start - baseline.start)
    if offset < length:
        offset = math.ceil(length / DAY) * DAY
    grid = _long_grid if length >= DAY else _short_grid
    plan = grid(baseline, offset, blocks, unchanged)
    starts = plan.part_starts[plan.pairs[:, 0]]
    inside = [moment for moment in changes if plan.start < moment < plan.end]
    valid = _same_days(starts, offset, length)
    for moment in inside:
        valid &= ~((starts < moment) & (moment < starts + offset + length))
    return replace(plan, valid=valid, changes=len(inside))


def _long_grid(baseline: Window, offset: float, blocks: int, unchanged: Window) -> PastPlan:
    """Days and more: one stretch, at whole hours where the parts are hours."""
    length = baseline.seconds
    parts = math.lcm(blocks, SLIDES)
    seconds = length / parts
    step = length / SLIDES
    anchor = baseline.start - baseline.start % HOUR if seconds % HOUR == 0 else baseline.start
    # Pair j lies j slides before the judged one; the last ends where the unchanged part ends.
    last = math.ceil((anchor + offset + length - unchanged.end) / step - 1e-9)
    first = math.floor((anchor - unchanged.start) / step + 1e-9)
    first = min(first, last + int(MAX_PAIRS * SPARE) - 1)
    slides = np.arange(first, last - 1, -1) if first >= last else np.zeros(0, dtype=np.int64)
    start = anchor - first * step
    whole = round((offset + length) / seconds) + max(len(slides) - 1, 0) * (parts // SLIDES)
    begin = np.arange(len(slides), dtype=np.int64) * (parts // SLIDES)
    pairs = np.stack([begin, begin + round(offset / seconds)], axis=1)
    return PastPlan(
        start=start,
        part_seconds=seconds,
        parts_per_stretch=whole if len(slides) else 0,
        stretches=1,
        period=DAY,
        blocks=blocks,
        parts_per_block=parts // blocks,
        pairs=pairs,
        valid=np.ones(len(begin), dtype=np.bool_),
        pairs_per_day=DAY / step,
    )


def _short_grid(baseline: Window, offset: float, blocks: int, unchanged: Window) -> PastPlan:
    """Less than a day: one stretch around the judged clock position on every day."""
    length = baseline.seconds
    seconds = length / SHORT_PARTS
    step_parts, low, high = _slides(length)
    step = step_parts * seconds
    distance = round(offset / DAY)
    # Day 0 is the baseline's; the candidates of pairs lie on days first + distance ... last.
    first = math.ceil((unchanged.start - baseline.start - high * step) / DAY - 1e-9)
    last = math.floor((unchanged.end - baseline.start - length + low * step) / DAY + 1e-9)
    wanted = min(math.ceil(MAX_PAIRS * SPARE / (low + high + 1)), MAX_SHORT_DAYS)
    first = max(first, last - distance - wanted + 1)
    days = max(last - first + 1, 0)
    width = (low + high) * step_parts + SHORT_PARTS
    slides = np.arange(low + high + 1, dtype=np.int64) * step_parts
    day = np.arange(max(days - distance, 0), dtype=np.int64)
    begin = (day[:, None] * width + slides).ravel()
    starts = (day[:, None] * DAY + slides * seconds).ravel()
    starts = starts + baseline.start + first * DAY - low * step
    inside = starts >= unchanged.start - 1e-6
    inside &= starts + offset + length <= unchanged.end + 1e-6
    begin = begin[inside]
    return PastPlan(
        start=baseline.start + first * DAY - low * step,
        part_seconds=seconds,
        parts_per_stretch=width,
        stretches=days if len(begin) else 0,
        period=DAY,
        blocks=blocks,
        parts_per_block=SHORT_PARTS // blocks,
        pairs=np.stack([begin, begin + distance * width], axis=1),
        valid=np.ones(len(begin), dtype=np.bool_),
        pairs_per_day=float(low + high + 1),
    )


def _slides(length: float) -> tuple[int, int, int]:
    """(parts per slide, slides before, slides after the judged clock position).

    From six hours on a day holds one window's worth of slides, however long the window is, fewer
    where they would reach into the next day's: stretches of one plan never overlap.
    """
    seconds = length / SHORT_PARTS
    if length < SHORT_LIVE_SECONDS:
        step = SHORT_PARTS // SLIDES
        reach = math.floor(REACH_SECONDS / (step * seconds) + 1e-9)
        return step, reach, reach
    step = max(math.floor(HOUR / seconds + 1e-9), 1)
    free = math.floor((DAY - length) / (step * seconds) + 1e-9)
    return step, min(SLIDES // 2, (free + 1) // 2), min(SLIDES // 2 - 1, free // 2)


def _same_days(starts: Float64Array, offset: float, length: float) -> np.ndarray:
    """Whether both windows of each pair hold the same kinds of days."""
    valid: np.ndarray = np.ones(len(starts), dtype=np.bool_)
    if offset % (WEEK_DAYS * DAY):
        for moment in [*np.arange(max(length // DAY, 1)) * DAY, length - 1.0]:
            valid &= _weekend(starts + moment) == _weekend(starts + offset + moment)
    return valid


def _weekend(seconds: np.ndarray) -> np.ndarray:
    """Saturday or Sunday in UTC; the epoch was a Thursday."""
    weekday = (np.floor_divide(seconds, DAY) + THURSDAY) % WEEK_DAYS
    return np.asarray(weekday >= SATURDAY)
