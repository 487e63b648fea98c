"""Measurements that people already have in files, as the two sides of a comparison.

Bounded runs are cut into eight equal parts of elapsed time, live traffic into blocks paired by
clock position (`nibai.stats.clock`). Everything that was guessed is said in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from collector.columns import find_value, has_metric
from collector.files.assembly import Assembly
from collector.files.counting import PARALLEL, Piece
from collector.files.pieces import PAST, cut
from collector.files.repeated import drop_repeated
from collector.files.settling import Settling, Survey, known_unit
from collector.inputs import Opened, expand, open_source
from nibai.errors import UsageError
from nibai.model import (
    Comparison,
)
from nibai.protocols import FileReader, FileRequest, FileWindows
from nibai.store.files.layout import Layout
from nibai.store.files.row_groups import StatisticsError


class FilesReader:
    """Reads both sides of a comparison from files, tables or standard input."""

    def read(self, request: FileRequest) -> FileWindows:
        """Open everything and settle the value column; nothing is counted yet."""
        sources = [expand(request.baseline), expand(request.candidate)]
        if not sources[0] or not (sources[1] or request.at is not None or request.split):
            raise UsageError(
                "nothing to compare with: give both sides (-b FILE -c FILE), "
                "or one FILE with --at TIME or --split COLUMN"
            )
        if request.at is not None and request.split:
            raise UsageError("--at and --split both cut the file in two: give one of them")
        if (request.at is not None or request.split) and len(sources[0]) + len(sources[1]) != 1:
            raise UsageError("--at and --split cut one file: give exactly one")
        repeated = [note for side in sources for note in drop_repeated(side)]
        if repeated and request.offered:
            raise UsageError(f"{repeated[0]}: give it once, with one --offered")
        opened = [
            (role, open_source(source, i))
            for role, side in enumerate(sources)
            for i, source in enumerate(side)
        ]
        past = [
            open_source(source, len(opened) + i) for i, source in enumerate(expand(request.history))
        ]
        return FilesWindows(request, opened, past, tuple(repeated))


def build(options: Mapping[str, object]) -> FileReader:
    """The reader; it has no options."""
    del options
    return FilesReader()


class FilesWindows:
    """Both sides of every metric the files hold, counted on demand."""

    def __init__(
        self,
        request: FileRequest,
        opened: list[tuple[int, Opened]],
        past: list[Opened],
        repeated: tuple[str, ...] = (),
    ) -> None:
        self._request = request
        self._repeated = repeated
        self._opened = opened
        self._past = past
        self._found: dict[str, Comparison | None] = {}
        self.metric = self._settle_metric()

    def comparison(self, metric: str) -> Comparison | None:
        """Block histograms of a metric on both sides; None when no column has it."""
        if metric not in self._found:
            self._found[metric] = self._compare(metric)
        return self._found[metric]

    def _settle_metric(self) -> str:
        request = self._request
        for _, opened in self._opened:
            if opened.table.columns and opened.table.count():
                return find_value(opened.table, known_unit(request, opened), request.metric).metric
        return request.metric or "latency"

    def _compare(self, metric: str) -> Comparison | None:
        request = self._request
        if metric != self.metric:
            # Another metric than that of --value: its column must speak for itself.
            request = replace(request, value=None, unit=None, metric=metric)
            if not all(has_metric(opened.table, metric) for _, opened in self._opened):
                return None
        try:
            return self._count(request, metric, by_statistics=True)
        except StatisticsError:
            return self._count(request, metric, by_statistics=False)

    def _count(self, request: FileRequest, metric: str, *, by_statistics: bool) -> Comparison:
        notes = list(self._repeated)
        reading = Settling(request, metric, notes)
        laid = [(role, opened, reading.layout(opened)) for role, opened in self._opened]
        # Each source has its own connection, and looking for disorder keeps one core busy.
        with ThreadPoolExecutor(PARALLEL) as pool:
            surveys = list(
                pool.map(lambda one: _survey(one[1], one[2], by_statistics=by_statistics), laid)
            )
        pieces = [
            piece
            for (role, opened, layout), survey in zip(laid, surveys, strict=True)
            for piece in reading.pieces(role, opened, layout, survey)
        ]
        pieces = cut(pieces, request)
        past = self._past_pieces(request, metric, notes)
        return Assembly(request, metric, reading, pieces, past).comparison()

    def _past_pieces(self, request: FileRequest, metric: str, notes: list[str]) -> list[Piece]:
        """The files of the unchanged past that have the metric."""
        reading = Settling(replace(request, at=None, split=None), metric, notes)
        pieces = []
        for opened in self._past:
            if metric != self.metric and not has_metric(opened.table, metric):
                continue
            layout = reading.layout(opened)
            if layout is not None and layout.time is None:
                raise UsageError(
                    f"{opened.table.name}: a history needs times: give a file with a time column, "
                    "or name it with --time"
                )
            survey = _survey(opened, layout, by_statistics=False)
            pieces += reading.pieces(PAST, opened, layout, survey)
        reading.strays.count([])
        return pieces


def _survey(opened: Opened, layout: Layout | None, *, by_statistics: bool) -> Survey:
    if layout is None:
        return [], 0
    return opened.table.survey(layout, by_statistics=by_statistics)
