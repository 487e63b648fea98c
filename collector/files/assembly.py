"""From counted pieces to the comparison: which kind it is, its blocks, what is matched."""

from __future__ import annotations

from collector.files.counting import Piece, by_log, count_live, count_runs
from collector.files.logs import follows, joined
from collector.files.offered import offered_of, with_offered
from collector.files.past import PastSource, past_of_files
from collector.files.settling import Settling
from nibai.conventions import metric_named
from nibai.model import (
    Comparison,
    History,
    LoadStrata,
    ReplicaSample,
    Side,
    UnitKind,
    Window,
    WindowKind,
)
from nibai.protocols import FileRequest
from nibai.stats.clock import HOUR, BlockPlan, plan_blocks
from nibai.stats.days import are_days, days_gate
from nibai.stats.load import load_note
from nibai.units import Unit

HALF_SPLIT_GAPS = 3.0
"""Two runs that follow each other within this many mean gaps are parts of one run."""


class Assembly:
    """Counts the pieces into blocks and puts the comparison together."""

    def __init__(
        self,
        request: FileRequest,
        metric: str,
        reading: Settling,
        pieces: list[Piece],
        past: list[Piece],
    ) -> None:
        self.request = request
        self.metric = metric
        self.reading = reading
        self.past = past
        self.notes = reading.notes
        self.pieces = self._in_logs(pieces)
        self.logs = [[self.pieces[i] for i in at] for at in by_log(self.pieces)]
        self.offered = offered_of(request, [parts[0] for parts in self.logs])
        windows = [piece.window for piece in self.pieces if piece.span.rows]
        self.clock = bool(windows) and all(window is not None for window in windows)
        self.kind = self._kind([window for window in windows if window is not None])

    def comparison(self) -> Comparison:
        live = self.kind is WindowKind.LIVE
        windows = self._windows()
        days = live and self.request.replica is None and are_days(*windows)
        plan = self._plan() if live and not days else None
        rates = self.reading.unit is Unit.PER_SECOND
        counted = (
            count_runs(self.pieces)
            if plan is None
            else count_live(self.pieces, plan, match_load=not rates)
        )
        self.reading.strays.count(list(zip(self.pieces, counted.strays, strict=True)))
        self._say_load(counted.load, live=live, days=days, rates=rates)
        replicas = [
            with_offered(replica, offered)
            for replica, offered in zip(counted.replicas, self.offered, strict=True)
        ]
        sides = [
            [r for parts, r in zip(self.logs, replicas, strict=True) if parts[0].role == role]
            for role in (0, 1)
        ]
        hosts = live and not days and self._different_hosts(sides)
        unit = UnitKind.RUN if not live else UnitKind.HOST if hosts else UnitKind.BLOCK
        gate = None if plan is None else plan.gate
        if days:
            self._say(f"{len(windows[0])} and {len(windows[1])} days: the day is the unit")
            unit, gate = UnitKind.DAY, days_gate(*windows)
        return Comparison(
            metric=self.metric,
            kind=self.kind,
            unit=unit,
            baseline=Side(self._label(0), tuple(sides[0])),
            candidate=Side(self._label(1), tuple(sides[1])),
            value_unit=self.reading.unit.base.value,
            higher_is_better=self.request.higher_is_better
            or self.reading.unit.higher_is_better
            or metric_named(self.metric).higher_is_better,
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
    def _in_logs(self, pieces: list[Piece]) -> list[Piece]:
        """The pieces, parts of one log known as such; what was said to be a replica stays one."""
        request = self.request
        if request.runs or request.replica or request.split or request.at is not None:
            return pieces
        windows = [
            [p.window for p in pieces if p.role == role and p.window is not None] for role in (0, 1)
        ]
        if are_days(*windows):
            return pieces  # days have a rule of their own
        found = joined(pieces)
        for role, side in enumerate(("baseline", "candidate")):
            parts = sum(piece.role == role and piece.whole is not None for piece in found)
            if parts:
                self._say(
                    f"the {parts} files of the {side} follow each other in time without a break: "
                    "taken as one log of one replica (--runs if each is a run of its own)"
                )
        return found

    def _windows(self) -> list[list[Window]]:
        """Windows of the replicas of both sides, those without a clock left out."""
        found: list[list[Window]] = [[], []]
        for first in (parts[0] for parts in self.logs):
            if first.window is not None:
                found[first.role].append(first.window)
        return found

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
        windows = self._windows()
        if len(windows[0]) != 1 or len(windows[1]) != 1:
            return False
        (b,), (c,) = windows
        rows = sum(piece.span.rows for piece in self.pieces)
        first, second = sorted((b, c), key=lambda window: window.start)
        return follows(first, second, rows, HALF_SPLIT_GAPS)

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
        logs = [parts for parts in self.logs if parts[0].role == role]
        pieces = [piece for parts in logs for piece in parts]
        if self.request.at is not None:
            return ("before", "after")[role]
        if self.request.split and pieces:
            return f"{self.request.split.partition('=')[0]}={pieces[0].span.side}"
        names = list(dict.fromkeys(piece.name for piece in pieces))
        if len(logs) == 1 and len(pieces) > 1:
            return f"{len(pieces)} files, {names[0]} to {names[-1]}"
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
