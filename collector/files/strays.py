"""Rows that were left out or sorted: said source by source, refused where there are too many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.files.counting import Piece
from collector.inputs import Opened
from nibai.errors import UsageError
from nibai.store.files.layout import ReplicaSpan, Stray, strays_together

MAX_BAD_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """A source, its rows that fit the columns, and what the survey found of them."""

    opened: Opened
    rows: int
    stray: Stray


class Strays:
    """Keeps what a survey found until the rows are counted, which may find more."""

    def __init__(self, metric: str, say: Callable[[str], None]) -> None:
        self._metric = metric
        self._say = say
        self._surveyed: list[_Surveyed] = []

    def survey(self, opened: Opened, spans: Sequence[ReplicaSpan], disorder: int) -> None:
        """Keep a source's survey; UsageError when too many rows are unusable."""
        rows, bad = sum(span.rows for span in spans), sum(span.bad for span in spans)
        found = _Surveyed(opened, rows, Stray(bad, disorder))
        self._check(found, bad)
        self._surveyed.append(found)

    def count(self, counted: Sequence[tuple[Piece, Mapping[int, Stray]]]) -> None:
        """Say what was found in all; UsageError when too many rows are unusable."""
        for source in self._surveyed:
            found = [strays for piece, strays in counted if piece.opened is source.opened]
            stray = strays_together([{-1: source.stray}, *found])
            self._check(source, stray.bad)
            self._tell(source, stray)

    def _check(self, source: _Surveyed, bad: int) -> None:
        table = source.opened.table
        rows, lost = source.rows + table.rejected(), bad + table.rejected()
        if lost > MAX_BAD_SHARE * rows:
            raise UsageError(
                f"{table.name}: {lost:,} of {rows:,} rows ({lost / rows:.1%}) have "
                f"no usable {self._metric} or time (missing, NaN or negative) or do not fit the "
                "columns, more than 5%: clean the file, or mark failed requests with --ok"
            )

    def _tell(self, source: _Surveyed, stray: Stray) -> None:
        table = source.opened.table
        name, rejected = Path(table.name).name, table.rejected()
        rows = source.rows + rejected
        if stray.disorder:
            self._say(f"{name}: {stray.disorder:,} rows were not in order of time; sorted")
        if stray.bad:
            self._say(f"{name}: {stray.bad:,} of {rows:,} rows without a usable value left out")
        if rejected:
            self._say(f"{name}: {rejected:,} of {rows:,} lines do not fit the columns; left out")
