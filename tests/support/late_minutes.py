"""A watched day whose minutes may fill up late, read as CloudWatch is near a change.

48 blocks of 60 requests, each request in a minute of its half hour. What is late arrives up to two
hours after its minute. Readings end ten minutes after each half hour and read three hours again;
the week before was read hourly. What is learned of ages is what nibai learns
(`nibai.stats.settling`), and blocks decide as in `nibai.app.watch`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nibai.stats.block_values import BlockReading
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.sequential_rates import Trials
from nibai.stats.settling import AGES_SECONDS, HOUR, HourOfMinutes, changed_bits, learned

BLOCKS, REQUESTS, BLOCK, REREAD = 48, 60, 1800.0, 3 * 3600.0
WEEK = 7 * 24 * HOUR
ALL = (1 << len(AGES_SECONDS)) - 1
LATE, LATEST = 0.05, 2 * HOUR


@dataclass(frozen=True)
class Day:
    """How a day ended: how long after its block something was decided, and at which age."""

    waited_minutes: float = math.nan
    age_seconds: float | None = None

    @property
    def decided(self):
        """Whether anything was."""
        return not math.isnan(self.waited_minutes)


def watched_day(rng, p, *, faster=0.0, late_from=math.inf, learns=True):
    """One day; `late_from`: the slowest twentieth is late from then on (0: the change)."""
    before = rng.lognormal(0, 0.4, (BLOCKS, REQUESTS))
    after = np.sort(rng.lognormal(-faster * math.log(2), 0.4, (BLOCKS, REQUESTS)), axis=1)
    starts = np.arange(BLOCKS) * BLOCK
    ends = starts[:, None] + 60 * (1 + rng.integers(0, 30, after.shape))
    there = _arrivals(rng, ends, late_from)
    past = _week(rng, late_from)
    base = np.quantile(before, p, axis=1)
    whole = np.log2(base / np.quantile(after, p, axis=1))
    track, closed = _track(), 0
    for reading in range(1, BLOCKS + 8):
        end = reading * BLOCK + AGES_SECONDS[0]
        final = min(int((end - REREAD) // BLOCK), BLOCKS)
        for number in range(closed, max(final, closed)):
            track = _look(track, number, whole[number])
            if track.verdict is not None:
                return Day((end + 180 - (number + 1) * BLOCK) / 60)
        closed = max(final, closed)
        age = _age(past, ends, there, end) if learns else None
        if age is None:
            continue
        ahead = track
        for number in range(closed, min(int((end - age) // BLOCK), BLOCKS)):
            known = after[number][there[number] <= end]
            value = math.nan
            if len(known):
                value = math.log2(base[number] / _quantile(known, p))
            ahead = _look(ahead, number, value)
            if ahead.verdict is not None:
                return Day((end + 180 - (number + 1) * BLOCK) / 60, age)
    return Day()


def _quantile(ordered, p):
    """As numpy's, of what is ordered already: many times as fast."""
    place = p * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _arrivals(rng, ends, late_from):
    """When each request is there: the slowest ones late."""
    there = ends.copy()
    slow = slice(-round(LATE * REQUESTS), None)
    delays = rng.uniform(0, LATEST, there[:, slow].shape)
    there[:, slow] += np.where(ends[:, slow] > late_from, delays, 0).astype(there.dtype)
    return there


def _week(rng, late_from):
    """The hours of the week before, read hourly: quiet, or with what is always late."""
    hours = [HourOfMinutes(-WEEK + h * HOUR, ALL, 0) for h in range(int(WEEK // HOUR))]
    if late_from > 0:
        return hours
    found = []
    for hour in hours:
        minutes = hour.start + 60 * rng.integers(1, 61, 6)
        changed = _changed(minutes, minutes + rng.uniform(0, LATEST, 6), HOUR, 0.0)
        found.append(HourOfMinutes(hour.start, ALL, int(np.bitwise_or.reduce(changed))))
    return found


def _changed(ends, there, every, phase):
    """Bits of the ages after which each late request changed its minute, seen by readings."""
    read = np.ceil((there - phase) / every) * every + phase
    ages = read - every - ends
    return [changed_bits(age) if age >= 0 else 0 for age in ages.tolist()]


def _age(past, ends, there, end):
    """What is trusted after a reading."""
    late = (there > ends) & (there <= end)
    if not late.any() and not any(hour.changed for hour in past):
        return AGES_SECONDS[0]  # a quiet week, and nothing new
    bits = _changed(ends[late], there[late], BLOCK, AGES_SECONDS[0])
    found = {}
    for minute, own in zip(ends[late].tolist(), bits, strict=True):
        hour = (minute - 60) // HOUR * HOUR
        found[hour] = found.get(hour, 0) | own
    today = [HourOfMinutes(h * HOUR, ALL, found.get(h * HOUR, 0)) for h in range(int(end // HOUR))]
    return learned([*past, *today], end + 180).age_seconds


def _track() -> Track:
    return new_track(
        FollowPlan(0.0, 0.0, BLOCK, side_by_side=False, phi=0.0, placebos=6, threshold=0.0)
    )


def _look(track, number, value):
    return track.look(number, BlockReading(float(value), Trials(), Trials()))
