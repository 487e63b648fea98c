"""Blocks of a watched change and their partners in the past, read from the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nibai.conventions import metric_named
from nibai.histogram import BlockHistograms, merge
from nibai.model import Change, RecordedAs, Window
from nibai.stats.block_values import BlockReading, block_reading, block_values
from nibai.stats.clock import DAY, WEEK_DAYS, is_weekend
from nibai.stats.day_pairs import MAX_PLACEBOS, ClockPairs
from nibai.stats.recorded import RecordedShare, known_up_to
from nibai.stats.sides import Segments, in_segment
from nibai.store.series.blocks import Blocks, Engine, SeriesSpan
from nibai.store.windows.disturbances import Bounds, Disturbance, alongside, bounds
from nibai.store.windows.past import moment_of
from nibai.store.windows.spans import of_variant


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The unchanged days before the change in blocks from `start` on, by segment."""

    start: float
    block_seconds: float
    segments: Segments

    def blocks(self, moment: float, count: int) -> Segments:
        """Blocks that follow each other, by the moment the first one begins."""
        first = round((moment - self.start) / self.block_seconds)
        numbers = np.arange(first, first + count)
        return {label: histograms.take(numbers) for label, histograms in self.segments.items()}

    @property
    def counts(self) -> np.ndarray:
        """Requests per block."""
        found = [histograms.n for histograms in self.segments.values()]
        return np.sum(found, axis=0) if found else np.zeros(0)

    def weights(self) -> dict[str, float]:
        """Share of every segment of all requests."""
        counts = {label: float(h.n.sum()) for label, h in self.segments.items()}
        total = sum(counts.values())
        return {label: n / total for label, n in counts.items() if n} if total else {}


Read = tuple[str, str | None, float, int, float]
"""Metric, variant, start, number of blocks and their seconds."""


class PairedBlocks:
    """One metric and segment of a change over an engine; `others` moved the endpoint, too.

    `raw`: all requests as they came, as one segment. `read` is shared by those of one look: the
    blocks of all segments are read once.
    """

    def __init__(
        self,
        engine: Engine,
        change: Change,
        metric: str,
        segment: tuple[str, str] | None,
        others: Sequence[Disturbance] = (),
        *,
        raw: bool = False,
        read: dict[Read, Segments] | None = None,
    ) -> None:
        self._engine = engine
        self._change = change
        self.metric = metric
        self._segment = segment
        self._others = others
        self._raw = raw
        self._all: dict[Read, Segments] = {} if read is None else read
        self._known: dict[tuple[str | None, float, int, float], Segments] = {}
        self._shares: dict[tuple[str | None, float, int, float], RecordedShare] = {}
        self.higher_is_better = metric_named(metric).higher_is_better

    @cached_property
    def spans(self) -> tuple[list[SeriesSpan], list[SeriesSpan]]:
        """Series of the baseline's and of the candidate's variant."""
        found = self._engine.spans(self._change.endpoint, self.metric)
        names = self._change.baseline_variant, self._change.candidate_variant
        b, c = (of_variant(found, name) for name in names)
        return b, c

    @property
    def replicas(self) -> tuple[int, int]:
        """How many replicas the two variants have."""
        b, c = (len({span.replica for span in side}) for side in self.spans)
        return b, c

    @property
    def side_by_side(self) -> bool:
        """Whether two variants serve at the same time instead of one after the other."""
        return moment_of(self._change) is None

    @property
    def other_hosts(self) -> bool:
        """Whether the sides are different variants on different replicas."""
        if self._change.baseline_variant == self._change.candidate_variant:
            return False
        before, after = ({span.replica for span in side} for side in self.spans)
        return bool(after) and before != after

    @property
    def newest(self) -> float | None:
        """Until when the candidate has data."""
        return max((_until(span) for span in self.spans[1]), default=None)

    def pairs(self, block_seconds: float) -> ClockPairs | None:
        """The blocks and their partners; None while one side has no data."""
        baseline, candidate = self.spans
        if not baseline or not candidate:
            return None
        first = min(span.first_minute for span in baseline) * 60.0
        cut = moment_of(self._change)
        if cut is None:
            cut = max(self._first, self.bounds.since)
        since, until = max(first, self.bounds.since), self._change.unchanged_until
        return ClockPairs(cut, since, block_seconds, self.side_by_side, until)

    @property
    def _first(self) -> float:
        """Since when both sides have data."""
        minutes = [min((s.first_minute for s in side), default=0) for side in self.spans]
        return max(minutes) * 60.0

    @cached_property
    def bounds(self) -> Bounds:
        """What of the time is this change's alone."""
        cut = moment_of(self._change)
        if cut is None:
            return alongside(self._first, self._change, self._others)
        began = self._change.unchanged_until
        return bounds((cut if began is None else began, cut), self._change, self._others)

    @property
    def ends(self) -> tuple[float, str]:
        """Where the stretch to watch ends, and at what: the next change, or the window's end."""
        window, found = self._change.candidate_window, self.bounds
        if window is not None and window.end <= found.until:
            return window.end, "the window that was given"
        return found.until, found.said

    # -- reading --------------------------------------------------------------------------
    def past(self, pairs: ClockPairs) -> Past:
        """At most three weeks before the change."""
        oldest = pairs.begin - (MAX_PLACEBOS + WEEK_DAYS) * DAY
        blocks = max(int((pairs.begin - max(oldest, pairs.since)) // pairs.block_seconds), 0)
        start = pairs.begin - blocks * pairs.block_seconds
        variant = self._change.baseline_variant
        read = self._read(variant, start, blocks, pairs.block_seconds) if blocks else {}
        return Past(start, pairs.block_seconds, read)

    def placebos(self, pairs: ClockPairs, past: Past, quantile: float | None) -> list[list[float]]:
        """Block values of pairs of unchanged days, NaN where a block has none."""
        weights = past.weights()
        found = []
        for newer, older in pairs.placebos():
            if older >= past.start:
                before, after = (past.blocks(start, pairs.per_day) for start in (older, newer))
                values = block_values(before, after, quantile, weights)
                values[~_comparable(pairs, newer, older)] = np.nan
                found.append(values.tolist())
        return found

    def readings(
        self,
        pairs: ClockPairs,
        numbers: range,
        quantile: float | None,
        weights: dict[str, float],
    ) -> dict[int, BlockReading]:
        """Readings of the blocks that still have a partner."""
        if not numbers:
            return {}
        change, seconds = self._change, pairs.block_seconds
        after = self._read(change.candidate_variant, pairs.start(numbers[0]), len(numbers), seconds)
        found = {}
        whole = [n for n in numbers if not self._has_gap(pairs.start(n), pairs.end(n))]
        for stretch in _stretches(pairs, numbers):
            partner = pairs.partner(stretch[0])
            if partner is None:
                continue
            before = self._read(change.baseline_variant, partner, len(stretch), seconds)
            recorded = (
                self._recorded(change.baseline_variant, partner, len(stretch), seconds),
                self._recorded(
                    change.candidate_variant, pairs.start(numbers[0]), len(numbers), seconds
                ),
            )
            for i, number in enumerate(stretch):
                if number not in whole:
                    continue
                found[number] = block_reading(
                    _block(before, i),
                    _block(after, number - numbers[0]),
                    quantile,
                    weights,
                    higher_is_better=self.higher_is_better,
                    recorded=recorded,
                )
        return found

    def _has_gap(self, start: float, end: float) -> bool:
        """Whether a stretch holds minutes that belong to no side."""
        return any(gap.start < end and start < gap.end for gap in self.bounds.without)

    def _read(self, variant: str | None, start: float, count: int, seconds: float) -> Segments:
        """Blocks of one variant, each stretch read once: parts differ in their quantile only."""
        key = (variant, start, count, seconds)
        if key not in self._known:
            self._known[key] = self._segments(*key)
        return self._known[key]

    def _recorded(
        self, variant: str | None, start: float, count: int, seconds: float
    ) -> RecordedShare:
        """What of a stretch was recorded without buckets of its own, read once."""
        key = (variant, start, count, seconds)
        if key not in self._shares:
            window = Window(start, start + count * seconds)
            found = self._engine.recorded(self._change.endpoint, self.metric, variant, window)
            own = [one for label, one in found.items() if in_segment(label, self._segment)]
            requests = sum(one.requests for one in own)
            self._shares[key] = RecordedShare(sum((one.of for one in own), RecordedAs()), requests)
        return self._shares[key]

    def known_up_to(self, pairs: ClockPairs) -> float:
        """The quantile up to which something is known of the days before the change."""
        oldest = max(pairs.begin - WEEK_DAYS * DAY, pairs.since)
        seconds = pairs.begin - oldest
        if seconds <= 0:
            return 1.0
        return known_up_to(self._recorded(self._change.baseline_variant, oldest, 1, seconds).of)

    def _segments(self, variant: str | None, start: float, count: int, seconds: float) -> Segments:
        key = (self.metric, variant, start, count, seconds)
        if key not in self._all:
            window = Window(start, start + count * seconds)
            self._all[key] = self._engine.pooled(
                self._change.endpoint, self.metric, variant, Blocks(window, count)
            )
        found = {
            label: h for label, h in self._all[key].items() if in_segment(label, self._segment)
        }
        return {"": merge(found.values())} if self._raw and found else found


def _comparable(pairs: ClockPairs, newer: float, older: float) -> np.ndarray:
    """Which blocks of a day lie before the change and on days of one kind, those of two starts."""
    since = (np.arange(pairs.per_day) * pairs.block_seconds).tolist()
    return np.array(
        [
            newer + i + pairs.block_seconds <= pairs.cut
            and is_weekend(newer + i) == is_weekend(older + i)
            for i in since
        ]
    )


def _stretches(pairs: ClockPairs, numbers: range) -> list[range]:
    """Runs of blocks whose partners follow each other too."""
    shifts = [
        None if partner is None else partner - pairs.start(number)
        for number in numbers
        for partner in [pairs.partner(number)]
    ]
    edges = [i for i in range(1, len(shifts)) if shifts[i] != shifts[i - 1]]
    return [numbers[a:b] for a, b in zip([0, *edges], [*edges, len(shifts)], strict=True)]


def _block(segments: Segments, position: int) -> dict[str, BlockHistograms]:
    return {label: histograms.take([position]) for label, histograms in segments.items()}


def _until(span: SeriesSpan) -> float:
    return (span.last_minute + 1) * 60.0
