"""Reading the lake for many endpoints at once: what is wanted is noted first, then read together.

`LakeWindows` alone knows which windows and blocks a change needs. It is asked on a `FleetEngine`
that answers nothing and takes notes, the notes become a few queries, and asked again it gets the
same integers that single queries would have given it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from nibai.histogram import BlockHistograms, Int64Array
from nibai.model import Window
from nibai.store.engine.columns import numbers
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Blocks, Engine, SeriesSpan, Slots
from nibai.store.series.grouped import RECORDED_COLUMNS, Found, assemble, per_slot

MAX_ROUNDS = 4
"""Spans are asked first, blocks when spans are known; then nothing is open any more."""

EVER = Window(0.0, 60.0 * (2**31 - 1))
"""All minutes that the tables can hold."""

BLOCK = (
    "CASE WHEN t.blocks = 1 THEN 0 ELSE floor((r.minute * 60::BIGINT - t.start) / t.seconds) END"
)

SLOT = "floor((r.minute * 60::BIGINT - t.start) / t.slot)::BIGINT"

SUMS = {
    "hist": ("task, replica, segment, block, scale, bucket", "sum(count)::BIGINT AS count"),
    "cell": (
        "task, replica, segment, block",
        "sum(sum) AS sum, sum(errors)::BIGINT AS errors, sum(timeouts)::BIGINT AS timeouts, "
        + RECORDED_COLUMNS,
    ),
    "arrivals": ("task, replica, block", "sum(count)::BIGINT AS count"),
}
"""(what rows are grouped by, what is summed) by kind of table."""


@dataclass(frozen=True, slots=True)
class WantedSpans:
    """One question for the series of an endpoint's metric."""

    endpoint: str
    metric: str
    window: Window | None


@dataclass(frozen=True, slots=True)
class WantedBlocks:
    """One question for blocks of a variant (None: all)."""

    endpoint: str
    metric: str
    variant: str | None
    blocks: Blocks
    slots: Slots | None = None


@dataclass(frozen=True, slots=True)
class WantedArrivals:
    """One question for arrivals per slot; each slot is a block."""

    endpoint: str
    metric: str
    variant: str | None
    blocks: Blocks
    slots: None = None


class FleetEngine(Engine):
    """An engine over one lake that reads the answers to many questions in a few queries.

    Without `history` it gives none: replaying the judge on the past of a thousand endpoints takes
    minutes. With it the past is read endpoint by endpoint, once.
    """

    def __init__(
        self, lake: Lake, rolled_until: date | None = None, *, history: bool = False
    ) -> None:
        super().__init__(lake, rolled_until)
        self._history = history
        self._past: dict[WantedBlocks, dict[str, BlockHistograms]] = {}
        self._spans: dict[WantedSpans, list[SeriesSpan]] = {}
        self._blocks: dict[WantedBlocks, Found] = {}
        self._open_spans: dict[WantedSpans, None] = {}
        self._open_blocks: dict[WantedBlocks, None] = {}
        self._arrivals: dict[WantedArrivals, Int64Array] = {}
        self._open_arrivals: dict[WantedArrivals, None] = {}

    # -- what windows ask -------------------------------------------------------------------
    def spans(self, endpoint: str, metric: str, window: Window | None = None) -> list[SeriesSpan]:
        """Every replica of an endpoint's metric; none yet when it was not read."""
        wanted = WantedSpans(endpoint, metric, window)
        if wanted not in self._spans:
            self._open_spans[wanted] = None
            return []
        return self._spans[wanted]

    def blocks(
        self,
        endpoint: str,
        metric: str,
        variant: str | None,
        blocks: Blocks,
        slots: Slots | None = None,
    ) -> Found:
        """Block series of one variant; none yet when they were not read."""
        if blocks.repeats > 1:
            return super().blocks(endpoint, metric, variant, blocks, slots)
        wanted = WantedBlocks(endpoint, metric, variant, blocks, slots)
        if wanted not in self._blocks:
            self._open_blocks[wanted] = None
            return {}
        return self._blocks[wanted]

    def arrivals(
        self, endpoint: str, metric: str, variant: str | None, window: Window, slot_seconds: float
    ) -> Int64Array:
        """Requests of each replica in each slot; none yet when they were not read."""
        count = math.ceil(window.seconds / slot_seconds)
        slots = Blocks(Window(window.start, window.start + count * slot_seconds), count)
        wanted = WantedArrivals(endpoint, metric, variant, slots)
        if wanted not in self._arrivals:
            self._open_arrivals[wanted] = None
            return np.zeros((1, count), dtype=np.int64)
        return self._arrivals[wanted]

    def pooled(
        self, endpoint: str, metric: str, variant: str | None, blocks: Blocks
    ) -> dict[str, BlockHistograms]:
        """The past where it is wanted, nothing elsewhere."""
        if not self._history:
            return {}
        wanted = WantedBlocks(endpoint, metric, variant, blocks)
        if wanted not in self._past:
            self._past[wanted] = super().pooled(endpoint, metric, variant, blocks)
        return self._past[wanted]

    # -- reading ----------------------------------------------------------------------------
    def read_for(self, ask: Callable[[], object]) -> None:
        """Read everything that `ask` asks of this engine; what was read before is let go."""
        self._spans.clear()
        self._blocks.clear()
        self._arrivals.clear()
        self._past.clear()
        for _ in range(MAX_ROUNDS):
            ask()
            if not (self._open_spans or self._open_blocks or self._open_arrivals):
                return
            self._spans |= self._read_spans(list(self._open_spans))
            if self._open_arrivals:
                # Which blocks are wanted depends on the arrivals: those asked so far are guesses.
                self._open_blocks.clear()
            self._arrivals |= self._read_arrivals(list(self._open_arrivals))
            self._blocks |= self._read_blocks(list(self._open_blocks))
            self._open_spans.clear()
            self._open_arrivals.clear()
            self._open_blocks.clear()

    def _read_spans(self, wanted: Sequence[WantedSpans]) -> dict[WantedSpans, list[SeriesSpan]]:
        found: dict[WantedSpans, list[SeriesSpan]] = {one: [] for one in wanted}
        tasks = [
            _Task(number, one.endpoint, one.metric, None, one.window or EVER, Blocks(EVER, 1))
            for number, one in enumerate(wanted)
        ]
        files = self._files("cell", _hull(tasks)) if tasks else ""
        if not files:
            return found
        sql = (
            "SELECT t.task, r.variant, r.replica, min(r.minute) AS first, max(r.minute) AS last, "
            f"sum(r.count)::BIGINT AS n FROM {_joined(files, tasks, 'tasks')} GROUP BY 1, 2, 3 "
            "HAVING sum(r.count) > 0 ORDER BY 1, 4, 2, 3"
        )
        for row in self._run(sql, {"tasks": _table(tasks)}).to_pylist():
            span = SeriesSpan(row["variant"], row["replica"], row["first"], row["last"], row["n"])
            found[wanted[row["task"]]].append(span)
        return found

    def _read_blocks(self, wanted: Sequence[WantedBlocks]) -> dict[WantedBlocks, Found]:
        if not wanted:
            return {}
        by_table = self._tasks(wanted)
        hist, cell = (self._sums(by_table, kind) for kind in ("hist", "cell"))
        return {
            one: assemble(
                hist.get(number),
                cell.get(number),
                one.blocks.total,
                1 if one.slots is None else one.slots.strata,
            )
            for number, one in enumerate(wanted)
        }

    def _read_arrivals(self, wanted: Sequence[WantedArrivals]) -> dict[WantedArrivals, Int64Array]:
        if not wanted:
            return {}
        found = self._sums(self._tasks(wanted), "arrivals")
        return {
            one: per_slot(found.get(number), one.blocks.count) for number, one in enumerate(wanted)
        }

    def _tasks(self, wanted: Sequence[WantedBlocks | WantedArrivals]) -> dict[str, list[_Task]]:
        """The questions by the table that they are read from."""
        found: dict[str, list[_Task]] = {}
        for number, one in enumerate(wanted):
            finest = None if one.slots is None else one.slots.seconds
            for suffix, part in self._by_resolution(one.blocks, finest):
                task = _Task(
                    number, one.endpoint, one.metric, one.variant, part, one.blocks, one.slots
                )
                found.setdefault(suffix, []).append(task)
        return found

    def _sums(self, by_table: Mapping[str, Sequence[_Task]], kind: str) -> dict[int, pa.Table]:
        """Summed rows of one kind of table by the number of the question."""
        keys, sums = SUMS[kind]
        selects, tables = [], {}
        for suffix, tasks in by_table.items():
            files = self._files(("hist" if kind == "hist" else "cell") + suffix, _hull(tasks))
            if files:
                name = f"tasks{suffix}"
                tables[name] = _table(tasks)
                joined, block = _joined(files, tasks, name), BLOCK
                strata = [task.strata() for task in tasks if task.slots is not None]
                if strata and kind == "hist":
                    tables[f"strata{suffix}"] = pa.concat_tables(strata)
                    joined += f" LEFT JOIN strata{suffix} s ON s.task = t.task AND s.slot = {SLOT}"
                    block = f"({BLOCK} + coalesce(s.first, 0))"
                selects.append(f"SELECT r.*, t.task, {block}::INTEGER AS block FROM {joined}")
        if not selects:
            return {}
        rows = " UNION ALL BY NAME ".join(selects)
        sql = f"SELECT {keys}, {sums} FROM ({rows}) GROUP BY {keys} ORDER BY task"
        return dict(_split(self._run(sql, tables)))

    def _run(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        connection = connect()
        connection.execute("SET enable_progress_bar = false")
        with reading(self._lake.root):
            for name, table in tables.items():
                connection.register(name, table)
            return connection.sql(sql).to_arrow_table()


@dataclass(frozen=True, slots=True)
class _Task:
    """One question against one resolution: the part of its window that is read there."""

    number: int
    endpoint: str
    metric: str
    variant: str | None
    part: Window
    blocks: Blocks
    slots: Slots | None = None

    def strata(self) -> pa.Table:
        """Task and slot -> number of the first block of the slot's stratum."""
        table = (self.slots or Slots(1.0, (), 1)).table(self.blocks.total)
        task = pa.array(np.full(table.num_rows, self.number), pa.int32())
        return table.append_column("task", task)


def _table(tasks: Sequence[_Task]) -> pa.Table:
    return pa.table(
        {
            "task": pa.array([t.number for t in tasks], pa.int32()),
            "endpoint": pa.array([t.endpoint for t in tasks], pa.string()),
            "metric": pa.array([t.metric for t in tasks], pa.string()),
            "variant": pa.array([t.variant for t in tasks], pa.string()),
            "since": pa.array([int(t.part.start) for t in tasks], pa.int64()),
            "until": pa.array([int(t.part.end) for t in tasks], pa.int64()),
            "start": pa.array([t.blocks.window.start for t in tasks], pa.float64()),
            "seconds": pa.array([t.blocks.seconds for t in tasks], pa.float64()),
            "blocks": pa.array([t.blocks.count for t in tasks], pa.int32()),
            "slot": pa.array([t.slots.seconds if t.slots else 1e9 for t in tasks], pa.float64()),
        }
    )


def _joined(files: str, tasks: Sequence[_Task], name: str) -> str:
    """Rows of the files with the questions they belong to; closed days are sorted by endpoint."""
    names = sorted({t.endpoint for t in tasks})
    metrics = ", ".join(literal(metric) for metric in sorted({t.metric for t in tasks}))
    hull = _hull(tasks)
    near = (
        f"endpoint >= {literal(names[0])} AND endpoint <= {literal(names[-1])} "
        f"AND metric IN ({metrics}) "
        f"AND minute >= {int(hull.start) // 60} AND minute <= {int(hull.end) // 60}"
    )
    return (
        f"(SELECT * FROM {files} WHERE {near}) r JOIN {name} t ON r.endpoint = t.endpoint "
        "AND r.metric = t.metric AND (t.variant IS NULL OR r.variant = t.variant) "
        "AND r.minute * 60::BIGINT >= t.since AND r.minute * 60::BIGINT < t.until"
    )


def _hull(tasks: Sequence[_Task]) -> Window:
    return Window(min(t.part.start for t in tasks), max(t.part.end for t in tasks))


def _split(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Parts of a table sorted by task."""
    task = numbers(table.column("task"))
    starts = np.flatnonzero(np.r_[True, task[1:] != task[:-1]]) if len(task) else task
    for start, end in zip(starts, [*starts[1:], len(task)], strict=True):
        yield int(task[start]), table.slice(int(start), int(end - start)).drop_columns(["task"])
