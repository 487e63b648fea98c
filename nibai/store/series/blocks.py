"""Reading the lake: minutes (or hours) of some series summed into blocks by DuckDB.

Only integers are summed. Hours are read where a day is rolled up and blocks are whole hours,
minutes everywhere else, never both for one day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from nibai.conventions import PREDICTION_SCORES
from nibai.histogram import BlockHistograms, Int64Array
from nibai.model import Window
from nibai.stats.load import SLOT_SECONDS
from nibai.stats.recorded import RecordedShare
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal, parquet_rows
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading
from nibai.store.series.grouped import RECORDED_COLUMNS, Found, Grouped, assemble, per_slot, shares

LONG_SECONDS = 7 * 86400.0
"""Windows from this length on are cut into slots of an hour, for which roll-ups suffice."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A window cut into `count` equal blocks; a minute belongs to the block it begins in.

    With `repeats` the same window `period` seconds later follows, and so on; blocks are numbered
    through.
    """

    window: Window
    count: int
    repeats: int = 1
    period: float = 0.0

    @property
    def seconds(self) -> float:
        """Length of a block."""
        return self.window.seconds / self.count

    @property
    def total(self) -> int:
        """Blocks of all repeats."""
        return self.count * self.repeats

    @property
    def hull(self) -> Window:
        """From the first block to the last."""
        return Window(self.window.start, self.window.end + self.period * (self.repeats - 1))

    @property
    def hourly(self) -> bool:
        """Whether every block is made of whole hours of the clock."""
        return all(t % 3600 == 0 for t in (self.seconds, self.window.start, self.period))


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of `seconds` from a window's start on, and the load stratum of each (-1: empty)."""

    seconds: float
    stratum: tuple[int, ...]
    strata: int

    def table(self, blocks: int) -> pa.Table:
        """Number of a slot -> number of the first block of its stratum."""
        stratum = np.array(self.stratum, dtype=np.int64)
        slot = np.flatnonzero(stratum >= 0)
        return pa.table({"slot": slot, "first": stratum[slot] * blocks})


@dataclass(frozen=True, slots=True)
class SeriesSpan:
    """First and last minute (epoch minutes) that a series has, and its requests."""

    variant: str
    replica: str
    first_minute: int
    last_minute: int
    count: int


class Engine:
    """Queries over one lake. `rolled_until` is the last day whose hours are rolled up."""

    def __init__(self, lake: Lake, rolled_until: date | None = None) -> None:
        self._lake = lake
        self._rolled = rolled_until

    def spans(self, endpoint: str, metric: str, window: Window | None = None) -> list[SeriesSpan]:
        """Every replica of an endpoint's metric with the minutes it covers."""
        files = self._files("cell", window)
        if not files:
            return []
        inside = "" if window is None else f"AND {_inside(window)}"
        rows = self._rows(
            f"SELECT variant, replica, min(minute), max(minute), sum(count)::BIGINT FROM {files} "
            f"WHERE endpoint = {literal(endpoint)} AND metric = {literal(metric)} {inside} "
            "GROUP BY 1, 2 HAVING sum(count) > 0 ORDER BY 3, 1, 2"
        )
        return [SeriesSpan(str(v), str(r), int(a), int(b), int(n)) for v, r, a, b, n in rows]

    def endpoints(self) -> list[tuple[str, str, str, int, int, int]]:
        """(endpoint, variant, metric, first minute, last minute, requests) of the minute tables."""
        files = self._files("cell", None)
        if not files:
            return []
        return [
            (str(e), str(v), str(m), int(a), int(b), int(n))
            for e, v, m, a, b, n in self._rows(
                "SELECT endpoint, variant, metric, min(minute), max(minute), sum(count)::BIGINT "
                f"FROM {files} WHERE metric <> {literal(PREDICTION_SCORES)} "
                "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            )
        ]

    def answers(self) -> list[tuple[str, str, int, int, int, int]]:
        """(endpoint, variant, batch, first minute, last minute, answers) that are kept."""
        files = self.answer_files()
        if not files:
            return []
        return [
            (str(e), str(v), int(batch), int(a), int(b), int(n))
            for e, v, batch, a, b, n in self._rows(
                "SELECT endpoint, variant, batch, min(minute), max(minute), count(*) "
                f"FROM {files} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            )
        ]

    def answer_files(self, window: Window | None = None) -> str:
        """SQL for the rows of all kept answers (of a window's days); empty: there are none."""
        return self._files("predictions", window)

    @property
    def root(self) -> str:
        """Where the lake is."""
        return self._lake.root

    def blocks(
        self,
        endpoint: str,
        metric: str,
        variant: str | None,
        blocks: Blocks,
        slots: Slots | None = None,
    ) -> Found:
        """Block series of one variant (None: all) by replica and segment, and by load stratum."""
        parts = self._by_resolution(blocks, None if slots is None else slots.seconds)
        where = _series(endpoint, metric, variant)
        hist = self._read(
            "hist",
            parts,
            blocks,
            where,
            "scale, bucket, sum(count)::BIGINT AS count",
            slots=slots,
        )
        cell = self._read(
            "cell", self._by_resolution(blocks), blocks, where,
            "sum(sum) AS sum, sum(errors)::BIGINT AS errors, sum(timeouts)::BIGINT AS timeouts, "
            + RECORDED_COLUMNS,
        )  # fmt: skip
        return assemble(hist, cell, blocks.total, 1 if slots is None else slots.strata)

    def pooled(
        self, endpoint: str, metric: str, variant: str | None, blocks: Blocks
    ) -> dict[str, BlockHistograms]:
        """Block histograms by segment, all replicas together: the cheap way to a long history."""
        where = _series(endpoint, metric, variant)
        columns = "'' AS replica, scale, bucket, sum(count)::BIGINT AS count"
        parts = self._by_resolution(blocks)
        hist = self._read("hist", parts, blocks, where, columns, by="segment")
        if hist is None:
            return {}
        rows = Grouped(hist)
        return {key[1]: rows.histograms(at, blocks.total) for key, at in rows.groups()}

    def recorded(
        self, endpoint: str, metric: str, variant: str | None, window: Window
    ) -> dict[str, RecordedShare]:
        """By segment: how many requests were recorded without buckets of their own."""
        blocks = Blocks(window, 1)
        found = self._read(
            "cell", self._by_resolution(blocks), blocks, _series(endpoint, metric, variant),
            f"sum(count)::BIGINT AS count, {RECORDED_COLUMNS}", by="segment",
        )  # fmt: skip
        return {} if found is None else shares(found)

    def slot_seconds(self, blocks: Blocks) -> float:
        """Length of the slots that a window's load is looked at in."""
        hours = any(suffix for suffix, _ in self._by_resolution(blocks))
        return 3600.0 if hours and blocks.window.seconds >= LONG_SECONDS else SLOT_SECONDS

    def arrivals(
        self, endpoint: str, metric: str, variant: str | None, window: Window, slot_seconds: float
    ) -> Int64Array:
        """Requests, failed ones included, of each replica in each slot, shape (R, T)."""
        count = math.ceil(window.seconds / slot_seconds)
        slots = Blocks(Window(window.start, window.start + count * slot_seconds), count)
        found = self._read(
            "cell", self._by_resolution(slots), slots, _series(endpoint, metric, variant),
            "sum(count)::BIGINT AS count",
        )  # fmt: skip
        return per_slot(found, count)

    # -- SQL ------------------------------------------------------------------------------
    def rows_sql(self, kind: str, blocks: Blocks, where: str) -> str:
        """SQL for the rows ("hist" or "cell") of some blocks, with the number of their `block`.

        Empty when the lake has no file for them.
        """
        return self._union(kind, self._by_resolution(blocks), blocks, where)

    def _union(
        self,
        kind: str,
        parts: Iterable[tuple[str, Window]],
        blocks: Blocks,
        where: str,
        *,
        joined: str = "",
        block: str | None = None,
    ) -> str:
        number, inside = _numbered(blocks)
        selects = []
        for suffix, window in parts:
            files = self._files(kind + suffix, window)
            if files:
                selects.append(
                    f"SELECT *, {block or number} AS block FROM {files} {joined} "
                    f"WHERE {where} AND {_inside(window)}{inside}"
                )
        return " UNION ALL BY NAME ".join(selects)

    def _read(
        self,
        kind: str,
        parts: Iterable[tuple[str, Window]],
        blocks: Blocks,
        where: str,
        columns: str,
        *,
        by: str = "replica, segment",
        slots: Slots | None = None,
    ) -> pa.Table | None:
        connection, joined, block = connect(), "", None
        if slots is not None:
            connection.register("slots", slots.table(blocks.total))
            at = f"floor((minute * 60::BIGINT - {blocks.window.start!r}) / {slots.seconds!r})"
            joined = f"JOIN slots ON slot = {at}::INTEGER"
            block = f"({_numbered(blocks)[0]} + first)"
        rows = self._union(kind, parts, blocks, where, joined=joined, block=block)
        if not rows:
            return None
        grouped = f"{by}, block" + (", scale, bucket" if kind == "hist" else "")
        sql = f"SELECT {by}, block, {columns} FROM ({rows}) GROUP BY {grouped}"
        with reading(self._lake.root):
            return connection.sql(sql).to_arrow_table()

    def _by_resolution(
        self, blocks: Blocks, finest: float | None = None
    ) -> list[tuple[str, Window]]:
        """Which part of the window is read from the hour tables, which from the minutes.

        `finest`: seconds of slots that must be told apart, besides the blocks.
        """
        window = blocks.hull
        cut = window.start
        hourly = blocks.hourly and (finest or 0.0) % 3600 == 0
        if self._rolled is not None and hourly:
            rolled_end = _midnight(self._rolled + timedelta(days=1))
            cut = min(max(rolled_end, window.start), window.end)
        parts = [("_hour", Window(window.start, cut)), ("", Window(cut, window.end))]
        return [(suffix, part) for suffix, part in parts if part.seconds > 0]

    def _files(self, table: str, window: Window | None) -> str:
        first, last = date(1970, 1, 1), date(9999, 12, 31)
        if window is not None:
            first, last = _day(window.start), _day(max(window.end - 1, window.start))
        uris = self._lake.file_uris(table, first, last)
        return parquet_rows(uris) if uris else ""

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with reading(self._lake.root):
            return connect().execute(sql).fetchall()


def _series(endpoint: str, metric: str, variant: str | None) -> str:
    where = f"endpoint = {literal(endpoint)} AND metric = {literal(metric)}"
    return where if variant is None else f"{where} AND variant = {literal(variant)}"


def _numbered(blocks: Blocks) -> tuple[str, str]:
    """(number of a minute's block, further condition that it has one)."""
    if blocks.total == 1:
        return "0", ""
    since, inside = f"(minute * 60::BIGINT - {blocks.window.start!r})", ""
    first = ""
    if blocks.repeats > 1:
        first = f"{blocks.count} * floor({since} / {blocks.period!r}) + "
        since = f"({since} % {blocks.period!r})"
        inside = f" AND {since} < {blocks.window.seconds!r}"
    return f"({first}floor({since} / {blocks.seconds!r}))::INTEGER", inside


def _inside(window: Window) -> str:
    return f"minute * 60::BIGINT >= {int(window.start)} AND minute * 60::BIGINT < {int(window.end)}"


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
