"""Measurements that people already have in files, as the two sides of a comparison.

Bounded runs are cut into eight equal parts of elapsed time, live traffic into blocks paired by
clock position (`nibai.stats.clock`). Everything that was guessed is said in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from collector.columns import find_failures, find_time, find_value, has_metric, require
from collector.counting import PARALLEL, Piece, count_live, count_runs
from collector.inputs import Opened, expand, open_source
from collector.past import PastSource, past_of_files
from nibai.conventions import METRICS
from nibai.errors import UsageError
from nibai.model import (
    BlockSeries,
    Comparison,
    History,
    LoadStrata,
    ReplicaSample,
    Side,
    UnitKind,
    Window,
    WindowKind,
)
from nibai.protocols import FileReader, FileRequest, FileWindows
from nibai.stats.clock import HOUR, BlockPlan, plan_blocks
from nibai.stats.days import are_days, days_gate
from nibai.stats.load import load_note
from nibai.store.layout import Layout, PlainColumns, ReplicaSpan
from nibai.store.row_groups import StatisticsError
from nibai.units import Unit

MAX_BAD_SHARE = 0.05
HALF_SPLIT_GAPS = 3.0
"""Two files whose runs follow each other within this many mean gaps are parts of one run."""

ROLES = ("baseline", "candidate")
PAST = 2
"""Role of files that hold the unchanged past."""

Survey = tuple[list[ReplicaSpan], int]


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
        if (request.at is not None or request.split) and len(sources[0]) + len(sources[1]) != 1:
            raise UsageError("--at and --split cut one file: give exactly one")
        opened = [
            (role, open_source(source, i))
            for role, side in enumerate(sources)
            for i, source in enumerate(side)
        ]
        past = [
            open_source(source, len(opened) + i) for i, source in enumerate(expand(request.history))
        ]
        return FilesWindows(request, opened, past)


def build(options: Mapping[str, object]) -> FileReader:
    """The reader; it has no options."""
    del options
    return FilesReader()


class FilesWindows:
    """Both sides of every metric the files hold, counted on demand."""

    def __init__(
        self, request: FileRequest, opened: list[tuple[int, Opened]], past: list[Opened]
    ) -> None:
        self._request = request
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
                return find_value(opened.table, _known_unit(request, opened), request.metric).metric
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
        notes: list[str] = []
        reading = _Reading(request, metric, notes)
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
        pieces = _cut(pieces, request)
        past = self._past_pieces(request, metric, notes)
        return _Assembly(request, metric, reading, pieces, past).comparison()

    def _past_pieces(self, request: FileRequest, metric: str, notes: list[str]) -> list[Piece]:
        """The files of the unchanged past that have the metric."""
        reading = _Reading(replace(request, at=None, split=None), metric, notes)
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
        return pieces


class _Reading:
    """Settles columns, one opened source after the other, and says what it assumed."""

    def __init__(self, request: FileRequest, metric: str, notes: list[str]) -> None:
        self.request = request
        self.metric = metric
        self.notes = notes
        self.unit = Unit(request.unit) if request.unit else Unit.SECONDS
        self.failures_known = True

    def pieces(
        self, role: int, opened: Opened, layout: Layout | None, survey: Survey
    ) -> list[Piece]:
        table = opened.table
        name = Path(table.name).name or table.name
        if layout is None:
            self.say(f"{name} holds no rows")
            return [Piece(role, name, opened, Layout("NULL::DOUBLE"), _nothing())]
        spans, disorder = survey
        self._check_bad(table.name, spans)
        if disorder:
            self.say(f"{name}: {disorder:,} rows were not in order of time; sorted")
        return [Piece(role, _piece_name(name, span), opened, layout, span) for span in spans]

    def layout(self, opened: Opened) -> Layout | None:
        """How to read a source; None when it holds no rows."""
        if not opened.table.columns or not opened.table.count():
            return None
        request = _known_unit(self.request, opened)
        table = opened.table
        value = find_value(table, request, self.metric if self.request.value is None else None)
        if value.unit is not None:
            self.unit = value.unit
        said = value.unit.value if value.unit is not None else "the unit in each value"
        self.say(f"{opened.format}: {self.metric} from column {value.column!r} in {said}")
        for note in opened.notes:
            self.say(note)
        failed = self._failed(opened)
        time = opened.time or find_time(table, request, value.column)
        times = None
        if time is None:
            self.say("no time column: the order of the rows is taken as the order of time")
        else:
            times = table.times(time)
            self.say(f"time from column {time!r} ({times.understood})")
        for column in request.segments:
            require(table, column, "--segment")
        replica = require(table, request.replica, "--replica") if request.replica else None
        side = None
        if request.split:
            side = require(table, request.split.partition("=")[0], "--split")
        factor = None if value.unit is None else value.unit.to_base
        sql = table.value_sql(value.column, factor)
        plain = None
        cut = replica or side or failed != "false"
        if times is not None and times.per_second and table.is_number(value.column) and not cut:
            plain = PlainColumns(value.column, factor or 1.0, times.column, times.per_second)
        time_sql = None if times is None else times.sql
        return Layout(sql, time_sql, failed, tuple(request.segments), replica, side, plain)

    def _failed(self, opened: Opened) -> str:
        if self.request.ok:
            self.say(f"a request failed unless {self.request.ok}")
            return opened.table.ok_sql(self.request.ok)
        if opened.failed is not None:
            return opened.failed
        found = find_failures(opened.table)
        if found is None:
            self.failures_known = False
            return "false"
        self.say(f"{found[1]}; it counts as slower than every other (--ok EXPR to say otherwise)")
        return found[0]

    def _check_bad(self, name: str, spans: list[ReplicaSpan]) -> None:
        rows, bad = sum(span.rows for span in spans), sum(span.bad for span in spans)
        if bad > MAX_BAD_SHARE * rows:
            raise UsageError(
                f"{name}: {bad:,} of {rows:,} rows ({bad / rows:.1%}) have no usable {self.metric} "
                "(missing, NaN or negative), more than 5%: clean the file, or mark failed requests "
                "with --ok"
            )
        if bad:
            self.say(f"{Path(name).name}: {bad:,} of {rows:,} rows without a usable value left out")

    def say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


class _Assembly:
    """Counts the pieces into blocks and puts the comparison together."""

    def __init__(
        self,
        request: FileRequest,
        metric: str,
        reading: _Reading,
        pieces: list[Piece],
        past: list[Piece],
    ) -> None:
        self.request = request
        self.metric = metric
        self.reading = reading
        self.pieces = pieces
        self.past = past
        self.notes = reading.notes
        self.offered = _offered(request, pieces)
        windows = [piece.window for piece in pieces if piece.span.rows]
        self.clock = bool(windows) and all(window is not None for window in windows)
        self.kind = self._kind([window for window in windows if window is not None])

    def comparison(self) -> Comparison:
        live = self.kind is WindowKind.LIVE
        windows = [
            [p.window for p in self.pieces if p.role == role and p.window is not None]
            for role in (0, 1)
        ]
        days = live and self.request.replica is None and are_days(*windows)
        plan = self._plan() if live and not days else None
        rates = self.reading.unit is Unit.PER_SECOND
        counted = (
            count_runs(self.pieces)
            if plan is None
            else count_live(self.pieces, plan, match_load=not rates)
        )
        self._say_load(counted.load, live=live, days=days, rates=rates)
        replicas = [
            _with_offered(replica, offered)
            for replica, offered in zip(counted.replicas, self.offered, strict=True)
        ]
        sides = [
            [r for piece, r in zip(self.pieces, replicas, strict=True) if piece.role == role]
            for role in (0, 1)
        ]
        hosts = live and not days and self._different_hosts(sides)
        unit = UnitKind.RUN if not live else UnitKind.HOST if hosts else UnitKind.BLOCK
        gate = None if plan is None else plan.gate
        if days:
            self._say(f"{len(windows[0])} and {len(windows[1])} days: the day is the unit")
            unit, gate = UnitKind.DAY, days_gate(*windows)
        known = METRICS.get(self.metric)
        return Comparison(
            metric=self.metric,
            kind=self.kind,
            unit=unit,
            baseline=Side(self._label(0), tuple(sides[0])),
            candidate=Side(self._label(1), tuple(sides[1])),
            value_unit=self.reading.unit.base.value,
            higher_is_better=self.request.higher_is_better
            or self.reading.unit.higher_is_better
            or (known is not None and known.higher_is_better),
            same_hosts=unit is UnitKind.BLOCK,
            clock=self.clock,
            half_split=not live and self._half_split(),
            arrivals_known=self.reading.failures_known or None not in self.offered,
            gate=gate,
            history=None if plan is None or hosts else self._history(plan),
            notes=tuple(self.notes),
            load=counted.load,
        )

    # -- windows --------------------------------------------------------------------------
    def _kind(self, windows: list[Window]) -> WindowKind:
        if self.request.runs:
            self._say("judged as runs (--runs): every file is one run")
            if self.past:
                self._say("the history is not used: runs are judged by repetition")
            return WindowKind.RUNS
        if not self.clock:
            return WindowKind.RUNS
        longest = max(window.seconds for window in windows)
        if longest < HOUR and not self.past:
            self._say(
                f"judged as runs: no replica spans an hour (the longest {longest:.0f} s); "
                "the verdict speaks for these runs"
            )
            return WindowKind.RUNS
        self._say(
            f"judged as live windows: the longest replica spans {longest / HOUR:.1f} h "
            "(--runs if these are repeated benchmark runs)"
        )
        return WindowKind.LIVE

    def _plan(self) -> BlockPlan:
        baseline, candidate = (self._hull(role) for role in (0, 1))
        plan = plan_blocks(baseline, candidate)
        dropped = 1 - 2 * plan.baseline.seconds / (baseline.seconds + candidate.seconds)
        if plan.gate is None and dropped > 0.01:  # noqa: PLR2004 - visible
            self._say(
                f"{dropped:.0%} of the time was left out so that both windows hold the same hours"
            )
        return plan

    def _hull(self, role: int) -> Window:
        windows = [p.window for p in self.pieces if p.role == role and p.window is not None]
        if not windows:
            return Window(0.0, 0.0)
        return Window(min(w.start for w in windows), max(w.end for w in windows))

    def _half_split(self) -> bool:
        """Whether the sides are parts of one run in time (cut by --at, or files back to back)."""
        if self.request.at is not None:
            return True
        windows = [
            [p.window for p in self.pieces if p.role == role and p.window is not None]
            for role in (0, 1)
        ]
        if len(windows[0]) != 1 or len(windows[1]) != 1:
            return False
        (b,), (c,) = windows
        rows = sum(piece.span.rows for piece in self.pieces)
        gap = max(b.start, c.start) - min(b.end, c.end)
        pace = (b.seconds + c.seconds) / max(rows, 1)
        return 0 <= gap <= HALF_SPLIT_GAPS * pace

    def _history(self, plan: BlockPlan) -> History | None:
        sources = [
            PastSource(piece.opened.table, piece.layout, piece.span, own=piece.role == 0)
            for piece in (*self.pieces, *self.past)
            if piece.role != 1 and piece.span.rows
        ]
        return past_of_files(plan, sources)

    # -- words ----------------------------------------------------------------------------
    def _different_hosts(self, sides: list[list[ReplicaSample]]) -> bool:
        """Whether the sides ran on hosts of their own, so that hosts are what was compared.

        Equal names are the same hosts unless two files cover the same time. One file a side, one
        after the other, is one host before and after.
        """
        names = [{replica.name for replica in side} for side in sides]
        apart = len(self.pieces) > 1 and len({id(piece.opened) for piece in self.pieces}) > 1
        if apart and self._at_once():
            if names[0] == names[1]:
                self._say(
                    "replica names are the same on both sides but they ran at the same time: "
                    "taken as different hosts"
                )
            return True
        named = self.request.replica is not None or min(map(len, sides)) > 1
        return named and names[0] != names[1]

    def _at_once(self) -> bool:
        """Whether the sides cover the same time, for more than half of the shorter one."""
        b, c = (self._hull(role) for role in (0, 1))
        shared = min(b.end, c.end) - max(b.start, c.start)
        return shared > min(b.seconds, c.seconds) / 2

    def _label(self, role: int) -> str:
        pieces = [piece for piece in self.pieces if piece.role == role]
        if self.request.at is not None:
            return ("before", "after")[role]
        if self.request.split and pieces:
            return f"{self.request.split.partition('=')[0]}={pieces[0].span.side}"
        names = list(dict.fromkeys(piece.name for piece in pieces))
        return names[0] if len(names) == 1 else f"{len(names)} replicas ({', '.join(names[:3])})"

    def _say_load(self, load: LoadStrata | None, *, live: bool, days: bool, rates: bool) -> None:
        if load is not None:
            self._say(load_note(load))
        elif live and rates:
            self._say("load: not matched, rows are rates and not requests")
        elif self.clock and (days or not live):
            self._say(f"load: not matched between {'days' if days else 'runs'}, each has its own")

    def _say(self, note: str) -> None:
        self.notes.append(note)


# -- helpers --------------------------------------------------------------------------------


def _known_unit(request: FileRequest, opened: Opened) -> FileRequest:
    """The request with the unit that a format defines, unless the user says another."""
    if request.unit is None and opened.unit is not None:
        return replace(request, unit=opened.unit)
    return request


def _survey(opened: Opened, layout: Layout | None, *, by_statistics: bool) -> Survey:
    if layout is None:
        return [], 0
    return opened.table.survey(layout, by_statistics=by_statistics)


def _nothing() -> ReplicaSpan:
    return ReplicaSpan("", "", 0, 0, None, None, 0)


def _piece_name(name: str, span: ReplicaSpan) -> str:
    return span.replica or name


def _cut(pieces: list[Piece], request: FileRequest) -> list[Piece]:
    """Both sides of one source: by time (--at) or by a column's two values (--split)."""
    if request.at is not None:
        return [half for piece in pieces for half in _halves(piece, request.at)]
    if not request.split:
        return pieces
    name, _, wanted = request.split.partition("=")
    present = list(dict.fromkeys(piece.span.side for piece in pieces))
    chosen = wanted.split(",") if wanted else present
    if len(chosen) != len(ROLES) or not set(chosen) <= set(present):
        raise UsageError(
            f"--split {name} needs two values, the column holds {', '.join(map(repr, present))}: "
            f"pick two (--split {name}=BASELINE,CANDIDATE)"
        )
    return [
        replace(piece, role=role)
        for role, value in enumerate(chosen)
        for piece in pieces
        if piece.span.side == value
    ]


def _halves(piece: Piece, at: float) -> list[Piece]:
    start, end = piece.span.start, piece.span.end
    if start is None or end is None or not start < at < end:
        raise UsageError(
            f"{piece.name}: --at must lie inside the file's time span: "
            + (
                "it has no time column"
                if start is None
                else f"{start:.3f} to {end:.3f} (seconds since 1970)"
            )
        )
    before = replace(piece, span=replace(piece.span, end=at))
    after = replace(piece, role=1, span=replace(piece.span, start=at))
    return [before, after]


def _offered(request: FileRequest, pieces: list[Piece]) -> list[int | None]:
    """Requests sent per piece: one number each, or one per side when a side is one piece."""
    if not request.offered:
        return [None] * len(pieces)
    if len(request.offered) != len(pieces):
        raise UsageError(
            f"--offered is given {len(request.offered)} times for {len(pieces)} replicas: "
            "give one number for each, those of the baseline first"
        )
    return list(request.offered)


def _with_offered(replica: ReplicaSample, offered: int | None) -> ReplicaSample:
    if offered is None:
        return replica
    segments = _with_missing(dict(replica.segments), offered, replica.name)
    return replace(replica, segments=segments, offered=offered)


def _with_missing(
    segments: dict[str, BlockSeries], offered: int, name: str
) -> dict[str, BlockSeries]:
    """Requests that were sent and never completed, in the overflow bin, spread over the blocks."""
    seen = sum(int(series.histograms.n.sum()) for series in segments.values())
    missing = offered - seen
    if missing < 0:
        raise UsageError(
            f"{name}: --offered {offered} is less than the {seen} requests in the file: "
            "give the number sent"
        )
    largest = max(segments, key=lambda label: int(segments[label].histograms.n.sum()))
    series = segments[largest]
    blocks = series.blocks
    extra = np.diff(np.floor(np.arange(blocks + 1) * missing / blocks)).astype(np.int64)
    histograms = replace(series.histograms, overflow=series.histograms.overflow + extra)
    return {
        **segments,
        largest: replace(series, histograms=histograms, timeouts=series.timeouts + extra),
    }
