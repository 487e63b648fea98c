"""The recording error of two sides: what the tables of a ratio and their recording say together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nibai.histogram import SCALE, BlockHistograms
from nibai.model import RecordedAs, Side
from nibai.stats.inversion import PairedScores
from nibai.stats.recorded import AS_MEASURED, RecordingError, recording_error
from nibai.stats.score import ScoreTable, pooled_table
from nibai.stats.sides import Segments, in_segment, requests, whole


@dataclass(frozen=True, eq=False)
class RecordedSides:
    """Two sides in the order of their log ratio, and how their requests were recorded.

    `pair`: the tables at equal shares of segments and load, where those are compared.
    """

    sides: tuple[Segments, Segments]
    recorded: tuple[RecordedAs, RecordedAs]
    pair: PairedScores | None = None

    @property
    def scale(self) -> int:
        """The coarsest scale of both sides, at which they are compared."""
        return min(part.scale for side in self.sides for part in side.values())

    @property
    def exact(self) -> bool:
        """Whether every request has a fine bucket of its own."""
        return self.scale >= SCALE and self.recorded == (RecordedAs(), RecordedAs())

    def error(self, p: float) -> RecordingError:
        """How far the ratio of a quantile may be from that of the requests one by one."""
        if self.exact:
            return AS_MEASURED
        first, second = self.sides
        return recording_error(self._tables, p, self.recorded, (requests(first), requests(second)))

    @cached_property
    def _tables(self) -> tuple[ScoreTable, ScoreTable]:
        if self.pair is not None:
            return self.pair.baseline, self.pair.candidate
        first, second = (
            pooled_table((whole(side) or BlockHistograms.empty(1)).downscale(self.scale))
            for side in self.sides
        )
        return first, second


def recorded_as(side: Side, segment: tuple[str, str] | None = None) -> RecordedAs:
    """Requests of a side (of one segment) that have no buckets of their own."""
    found = RecordedAs()
    for replica in side.replicas:
        for label, series in replica.segments.items():
            if in_segment(label, segment):
                found += series.recorded
    return found
