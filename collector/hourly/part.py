"""What was read and not yet handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.hourly.places import Place
from collector.lines import Line
from nibai.model import ExpectedAnswers, Window
from nibai.predictions import PredictionRecord
from nibai.protocols import Pulled

MAX_REJECTED = 100
"""Broken lines of a part that are described; all are counted."""


@dataclass(slots=True)
class Part:
    """What was read and not yet handed over."""

    records: list[PredictionRecord] = field(default_factory=list)
    read_until: dict[str, float] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    rejected: list[Mapping[str, object]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    expected: list[ExpectedAnswers] = field(default_factory=list)
    dollars: float = 0.0

    def reject(self, name: str, line: Line, reason: str) -> None:
        """Count a line; where it is and how long, never what is in it."""
        self.notes[f"lines left out: {reason}"] += 1
        if len(self.rejected) < MAX_REJECTED:
            self.rejected.append(
                {"object": name, "line": line.number, "bytes": line.size, "reason": reason}
            )

    def advance(self, place: Place, cursor: float, marks: dict[str, float]) -> None:
        """Hours before the cursor are done with; so are the marks of their objects."""
        self.read_until[place.name] = cursor
        edge = f"s3://{place.bucket}/{place.after(cursor)}"
        for name in [name for name in marks if name < edge]:
            del marks[name]
            self.read_until.pop(name, None)
            self.finished.append(name)

    def taken(self) -> Pulled:
        """Hand over everything."""
        times = [one.at for one in self.records]
        pulled = Pulled(
            observations=(),
            window=Window(min(times, default=0.0), max(times, default=0.0)),
            read_until=self.read_until,
            dollars=self.dollars,
            notes=self.notes,
            predictions=self.records,
            finished=self.finished,
            rejected=self.rejected,
            problems=self.problems,
            expected=self.expected,
        )
        self.records, self.read_until, self.finished = [], {}, []
        self.notes, self.rejected, self.problems = Counter(), [], []
        self.expected, self.dollars = [], 0.0
        return pulled
