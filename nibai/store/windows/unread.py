"""What was not read yet, or never came: a window is judged where it was read to its end.

Source: nibai's architecture.md, section 7: a failed source is never a silent pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nibai.document import iso
from nibai.model import Change, Reason, ReasonCode, Window
from nibai.store.series.blocks import SeriesSpan
from nibai.store.state.watermarks import Watermark

LATE_SECONDS = 4 * 3600.0
"""A source that was not read for so long, and twice as long as it rests, is behind."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Until when an endpoint's metrics were read at a moment, and how often sources are read."""

    marks: Mapping[str, Watermark] = field(default_factory=dict)
    now: float = 0.0
    every_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def begun(self) -> Window | None:
        """All time that has come: one client whose clock is ahead must not stretch the windows."""
        return Window(0.0, self.now) if self.now else None

    def as_read(self, metric: str, spans: Sequence[SeriesSpan]) -> list[SeriesSpan]:
        """The spans up to where all series of the metric were read."""
        mark = self._mark(metric, spans)
        if mark is None:
            return list(spans)
        last = int(mark.read_until // 60) - 1
        return [
            replace(span, last_minute=min(span.last_minute, last))
            for span in spans
            if span.first_minute <= last
        ]

    def as_due(self, metric: str, spans: Sequence[SeriesSpan]) -> list[SeriesSpan]:
        """The spans as they were if the metric's source had been read as often as it should."""
        mark = self._mark(metric, spans)
        if mark is None:
            return list(spans)
        last = int(self._due(mark) // 60) - 1
        return [replace(span, last_minute=max(span.last_minute, last)) for span in spans]

    def gate(self, metric: str, spans: Sequence[SeriesSpan], until: float) -> Reason | None:
        """That a window which goes on until then was not read to its end."""
        mark = self._mark(metric, spans)
        if mark is None or until <= mark.read_until:
            return None
        return Reason(
            ReasonCode.NO_DATA,
            f"no data since {iso(mark.read_until)}: {mark.source} was read until then, and what is "
            f"judged of {metric} goes on until {iso(until)}: read on (nibai collect --once), or "
            "judge windows that were read (--baseline START/END --candidate START/END)",
        )

    def late(self, metric: str, passed: float) -> Watermark | None:
        """The mark of a metric whose source is behind; None where minutes went on after it."""
        mark = self.marks.get(metric)
        if mark is None or passed > mark.read_until or mark.read_until >= self._due(mark):
            return None
        return mark

    def _due(self, mark: Watermark) -> float:
        """Until when a source should have been read at least."""
        return self.now - max(LATE_SECONDS, 2 * self.every_seconds.get(mark.source, 0.0))

    def notes(self, metric: str, windows: Sequence[Window]) -> list[str]:
        """That the newest minutes may still change."""
        mark, until = self.marks.get(metric), max(window.end for window in windows)
        if mark is None or until <= mark.final_until:
            return []
        since = iso(mark.final_until)
        return [
            f"minutes of {metric} since {since} are provisional: {mark.source} reads them again"
        ]

    def _mark(self, metric: str, spans: Sequence[SeriesSpan]) -> Watermark | None:
        mark = self.marks.get(metric)
        newest = max(((span.last_minute + 1) * 60.0 for span in spans), default=0.0)
        # Minutes of long after it came another way: its source is not read any more.
        return None if mark is None or mark.is_behind(newest) else mark


NOTHING_PULLED = Reads()


def silent(change: Change, metric: str, newest: float) -> Reason | None:
    """Nothing came after the change: the endpoint is gone, or its source was not read."""
    at, given = change.effective_at, change.candidate_window
    if at is None or given is not None or newest > at:
        return None
    return Reason(
        ReasonCode.NO_DATA,
        f"no data since {iso(newest)}: nothing of {metric} after the change at {iso(at)}; see "
        "whether the endpoint still serves and its source is read (nibai collect --once)",
    )
