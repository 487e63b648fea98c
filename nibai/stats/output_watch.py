"""Answers and traffic followed without a change: every hour against the same hour a week ago.

Shares are compared on the scale where counts have one variance (arcsine of the root), so rhythms
of day and week cancel. Three weeks of such differences, in which nothing is known to have changed,
say how unsteady they are (placebo calibration); then the detector of `nibai.stats.detector` adds
up the evidence hour by hour. Its threshold is a budget: all streams together raise a false alarm in
30 days with a probability of at most `alpha` when the noise is AR(1) and its parameters are known;
they are learned, so measured rates stand beside it (tests/statistical). The result is "outputs
moved" or "traffic moved", never a verdict. Source: nibai's drift.md, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.detector import Baseline, Detector
from nibai.stats.output_blocks import Int64Array
from nibai.stats.placebo_points import PlaceboRank, rank

HOURS_PER_WEEK = 168
LEARNED_WEEKS = 4
"""The first has no week before it; the others say how unsteady differences are."""

BATCHES = (24, 48, 72)
"""Hours whose sums tell the slow part of the noise, which an hourly correlation would miss."""

CAUTION = 1.5
"""Factor on a variance that was estimated from some twenty days."""

MAX_CORRELATION = 0.98
MIN_LEARNED_SHARE = 0.5
BUDGET_HOURS = 720
"""Thirty days: the time that `alpha` is about."""

ALPHA = 0.05
LEAST_ANSWERS = 20
"""Answers that both hours need."""

LEAST_SHARE = 0.01
"""Rarer classes are followed together."""

MAX_CLASSES = 12
SAMPLING_SD = 1.0
"""Smallest sd of a difference: that of independent answers."""

REST = "(others)"


@dataclass(frozen=True, slots=True, eq=False)
class HourlyCounts:
    """Answers by class in consecutive hours from number `first` (since the epoch) on, (T, K).

    `name` is what the classes are of ("label", "segment", "score").
    """

    name: str
    classes: tuple[str, ...]
    first: int
    counts: Int64Array

    @property
    def end(self) -> int:
        """Number of the first hour that is not there."""
        return self.first + len(self.counts)


@dataclass(frozen=True, slots=True)
class Moved:
    """A stream that left its last week: begun with hour `start`, noticed after hour `at`.

    `before` and `after` are its share (of volume: answers per hour) in the same hours a week
    earlier and now; `rank` places the difference among those of earlier stretches as long.
    """

    name: str
    key: str
    start: int
    at: int
    before: float
    after: float
    rank: PlaceboRank


@dataclass(frozen=True, slots=True)
class Followed:
    """What following found up to an alarm or the end; `watched_from` None: still learning."""

    moved: tuple[Moved, ...]
    watched_from: int | None
    streams: int


def follow(
    tables: Sequence[HourlyCounts], *, volume: bool = True, alpha: float = ALPHA, others: int = 0
) -> Followed:
    """Learn from the second week, then go on to the first alarm or the end.

    The tables are of the same hours; `volume` follows their number of answers too. `others` are
    streams of other series under the same budget.

    >>> rng = np.random.default_rng(5)
    >>> hours = np.repeat([[300, 700]], 35 * 24, axis=0)
    >>> hours[700:] = [350, 650]
    >>> counts = np.array([rng.multinomial(1000, row / 1000) for row in hours])
    >>> found = follow([HourlyCounts("label", ("a", "b"), 0, counts)], volume=False)
    >>> [(one.key, one.start, round(one.after, 2)) for one in found.moved[:1]]
    [('a', 700, 0.35)]
    """
    joined = [_joined(table) for table in tables]
    streams, values = _streams(joined, volume=volume)
    first = tables[0].first if tables else 0
    begin = first + LEARNED_WEEKS * HOURS_PER_WEEK
    if not len(values) or values.shape[1] <= LEARNED_WEEKS * HOURS_PER_WEEK:
        return Followed((), None, len(values))
    baseline = _unsteadiness(values[:, HOURS_PER_WEEK : LEARNED_WEEKS * HOURS_PER_WEEK])
    threshold = max((len(values) + others) * BUDGET_HOURS / alpha, 1.0)
    detector = Detector.begin(baseline, threshold)
    for position, column in enumerate(values[:, LEARNED_WEEKS * HOURS_PER_WEEK :].T):
        detector, alarms = detector.advance(column)
        if alarms:
            hits = [(alarm.series, begin + alarm.start) for alarm in alarms]
            moved = tuple(
                _told(streams[series], values[series], first, start, begin + position)
                for series, start in hits
            )
            return Followed(moved, begin, len(values))
    return Followed((), begin, len(values))


def _unsteadiness(values: Float64Array) -> Baseline:
    """What is normal for differences (S, T), from a stretch without a known change.

    The level is 0: what is the same as a week ago differs by nothing. Correlation and sd of
    innovations are those of an AR(1) with the variance of hours and the variance of long sums seen.
    """
    rows = [_unsteady(row) for row in values]
    level, phi, sd = np.array(rows, dtype=np.float64).T.reshape(3, -1)
    return Baseline(level, phi, sd)


def _unsteady(row: Float64Array) -> tuple[float, float, float]:
    known = np.isfinite(row)
    if known.mean() < MIN_LEARNED_SHARE:
        return math.nan, math.nan, math.nan
    filled = np.where(known, row, 0.0)
    hourly = max(float((filled**2).sum() / known.sum()), SAMPLING_SD**2)
    slow = hourly
    for hours in BATCHES:
        whole = len(filled) // hours * hours
        sums = filled[:whole].reshape(-1, hours).sum(axis=1)
        slow = max(slow, float((sums**2).mean()) / hours)
    ratio = CAUTION * slow / hourly
    phi = min((ratio - 1) / (ratio + 1), MAX_CORRELATION)
    steps = filled[1:] - phi * filled[:-1]
    # Noise of both kinds: whitening the slow part makes the quick part larger, not smaller.
    quick = float((steps**2).mean()) / known.mean()
    return 0.0, phi, math.sqrt(max(hourly * (1 - phi * phi), quick))


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    name: str
    key: str
    hits: Float64Array
    of: Float64Array | None


def _joined(table: HourlyCounts) -> HourlyCounts:
    """Rare classes as one."""
    total = table.counts.sum(axis=0)
    order = np.argsort(-total, kind="stable")[:MAX_CLASSES]
    kept = sorted(int(i) for i in order if total[i] >= LEAST_SHARE * total.sum())
    rest = np.delete(table.counts, kept, axis=1).sum(axis=1)
    counts, names = table.counts[:, kept], tuple(table.classes[i] for i in kept)
    if rest.any():
        counts, names = np.column_stack([counts, rest]), (*names, REST)
    return HourlyCounts(table.name, names, table.first, counts)


def _streams(tables: Sequence[HourlyCounts], *, volume: bool) -> tuple[list[_Stream], Float64Array]:
    """What is followed, and its differences to last week, shape (S, T); NaN in the first week."""
    streams: list[_Stream] = []
    for table in tables:
        whole = table.counts.sum(axis=1).astype(np.float64)
        if len(table.classes) > 1:
            # Of two classes one says it all.
            followed = table.classes if len(table.classes) > 2 else table.classes[:1]  # noqa: PLR2004
            for key, column in zip(followed, table.counts.T, strict=False):
                streams.append(_Stream(table.name, key, column.astype(np.float64), whole))
    if volume and tables:
        whole = tables[0].counts.sum(axis=1).astype(np.float64)
        streams.append(_Stream("volume", "answers", whole, None))
    values = np.array([_difference(stream) for stream in streams])
    return streams, values


def _difference(stream: _Stream) -> Float64Array:
    """Every hour against the one a week before, in sd of independent answers."""
    found = np.full(len(stream.hits), np.nan)
    week = HOURS_PER_WEEK
    new, old = stream.hits[week:], stream.hits[:-week]
    if not len(new):
        return found
    if stream.of is None:
        # Roots of counts have variance 1/4 whatever their mean, when answers are independent.
        moved = math.sqrt(2) * (np.sqrt(new + 0.375) - np.sqrt(old + 0.375))
        found[week:] = np.where(np.minimum(new, old) > 0, moved, np.nan)
        return found
    n, m = stream.of[week:], stream.of[:-week]
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = [np.arcsin(np.sqrt((k + 0.375) / (of + 0.75))) for k, of in ((new, n), (old, m))]
        moved = 2 * (turned[0] - turned[1]) * np.sqrt(n * m / (n + m))
    found[week:] = np.where(np.minimum(n, m) >= LEAST_ANSWERS, moved, np.nan)
    return found


def _told(stream: _Stream, values: Float64Array, first: int, start: int, at: int) -> Moved:
    """How far the stream went, and how often stretches as long went as far before."""
    low, high = start - first, at - first + 1
    now, then = slice(low, high), slice(low - HOURS_PER_WEEK, high - HOURS_PER_WEEK)
    return Moved(
        stream.name,
        stream.key,
        start,
        at,
        _level(stream, then),
        _level(stream, now),
        _rank(values[:high], low),
    )


def _level(stream: _Stream, hours: slice) -> float:
    hits = float(stream.hits[hours].sum())
    of = float(hours.stop - hours.start if stream.of is None else stream.of[hours].sum())
    return hits / of if of else math.nan


def _rank(values: Float64Array, start: int) -> PlaceboRank:
    """The stretch from `start` on among all earlier ones of its length that do not overlap."""
    length = len(values) - start
    real = abs(float(np.nanmean(values[start:])))
    ends = range(start, HOURS_PER_WEEK + length - 1, -length)
    past = [values[end - length : end] for end in ends]
    known = [abs(float(np.nanmean(one))) for one in past if np.isfinite(one).any()]
    return rank(real, np.array(known))
