"""The recorded past of every series in the lake, a few queries for all of them.

Endpoints are read in groups of a bounded number of rows, so memory does not grow with the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import duckdb
import numpy as np
import pyarrow as pa

from nibai.conventions import COVARIATES, PREDICTION_SCORES
from nibai.histogram import BlockHistograms, merge
from nibai.history import SeriesHistory
from nibai.model import Window
from nibai.store.engine.columns import numbers
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Blocks, Engine

DAY = 86400.0
DEFAULT_DAYS = 14
MAX_ROWS = 4_000_000
"""Stored rows per query: about 300 MB at its height."""

NOT_FOLLOWED = (PREDICTION_SCORES, *COVARIATES)

BY_TYPE = "_by_type"
"""Metrics that repeat a variant's own requests by instance type are no series of their own."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which series: a window of whole blocks; `endpoint` or those `among`; None: every one."""

    window: Window
    block_seconds: float
    endpoint: str | None = None
    by_segment: bool = False
    among: frozenset[str] | None = None

    @property
    def blocks(self) -> Blocks:
        """The window cut into blocks."""
        return Blocks(self.window, round(self.window.seconds / self.block_seconds))


@dataclass(frozen=True, slots=True)
class _Series:
    endpoint: str
    variant: str
    metric: str
    segment: str


class LakeHistory:
    """History of all series of a scope."""

    def __init__(self, engine: Engine, scope: Scope, *, max_rows: int = MAX_ROWS) -> None:
        self._engine = engine
        self.scope = scope
        self._max_rows = max_rows
        self._counted: list[tuple[_Series, int]] | None = None

    def series(self) -> Iterator[SeriesHistory]:
        """Every series once, by endpoint; an endpoint with several variants also as a whole."""
        rows = self._rows()
        if not rows:
            return
        for group in self._groups():
            yield from self._read(rows, group)

    def names(self) -> Iterator[tuple[str, str | None, str, str]]:
        """(endpoint, variant, metric, segment) of all that `series` gives; None: as a whole."""
        whole: Counter[tuple[str, str, str]] = Counter()
        for one, _ in self._stored():
            yield one.endpoint, one.variant, one.metric, one.segment
            whole[one.endpoint, one.metric, one.segment] += 1
        for (endpoint, metric, segment), variants in whole.items():
            if variants > 1:
                yield endpoint, None, metric, segment

    # -- SQL ------------------------------------------------------------------------------
    def _rows(self) -> str:
        return self._engine.rows_sql("hist", self.scope.blocks, self._where())

    def _where(self) -> str:
        where = (
            f"NOT ends_with(metric, {literal(BY_TYPE)}) "
            f"AND metric NOT IN ({', '.join(map(literal, NOT_FOLLOWED))})"
        )
        if self.scope.endpoint is not None:
            where += f" AND endpoint = {literal(self.scope.endpoint)}"
        if self.scope.among is not None:
            names = ", ".join(literal(name) for name in sorted(self.scope.among)) or "NULL"
            where += f" AND endpoint IN ({names})"
        return where

    def _stored(self) -> list[tuple[_Series, int]]:
        """Every series of the scope by name, and how many rows it has; asked once."""
        if self._counted is None:
            rows = self._rows()
            segment = "segment" if self.scope.by_segment else "''"
            sql = (
                f"SELECT endpoint, variant, metric, {segment} AS segment, count(*) AS stored "
                f"FROM ({rows}) GROUP BY ALL ORDER BY ALL"
            )
            with self._connection() as connection:
                found = connection.execute(sql).fetchall() if rows else []
            self._counted = [(_Series(*names), stored) for *names, stored in found]
        return self._counted

    def _groups(self) -> Iterator[list[_Series]]:
        """Series in groups of whole endpoints."""
        group: list[_Series] = []
        size = 0
        for one, stored in self._stored():
            if size >= self._max_rows and one.endpoint != group[-1].endpoint:
                yield group
                group, size = [], 0
            group.append(one)
            size += stored
        if group:
            yield group

    def _read(self, rows: str, group: Sequence[_Series]) -> Iterator[SeriesHistory]:
        """The histograms of a group's series."""
        segment = " AND r.segment = w.segment" if self.scope.by_segment else ""
        first, last = literal(group[0].endpoint), literal(group[-1].endpoint)
        sql = (
            "SELECT w.number, r.block, r.scale, r.bucket, sum(r.count)::BIGINT AS count "
            f"FROM ({rows}) r JOIN {_wanted(group)} ON r.endpoint = w.endpoint "
            f"AND r.variant = w.variant AND r.metric = w.metric{segment} "
            f"WHERE r.endpoint >= {first} AND r.endpoint <= {last} GROUP BY ALL"
        )
        with self._connection() as connection:
            table: pa.Table = connection.sql(sql).to_arrow_table()
        arrays = {name: numbers(table.column(name)) for name in table.column_names}
        order = np.argsort(arrays["number"], kind="stable")
        ends = np.searchsorted(arrays["number"][order], np.arange(len(group) + 1))
        numbered = enumerate(group)
        for endpoint, own in groupby(numbered, lambda pair: pair[1].endpoint):
            whole: dict[tuple[str, str], list[BlockHistograms]] = {}
            for number, one in own:
                found = self._histograms(arrays, order[ends[number] : ends[number + 1]])
                yield self._history(one, one.variant, found)
                whole.setdefault((one.metric, one.segment), []).append(found)
            for (metric, name), parts in whole.items():
                if len(parts) > 1:
                    yield self._history(_Series(endpoint, "", metric, name), None, merge(parts))

    def _histograms(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> BlockHistograms:
        blocks = self.scope.blocks.total
        parts = []
        for scale in np.unique(arrays["scale"][rows]):
            at = rows[arrays["scale"][rows] == scale]
            columns = (arrays[name][at] for name in ("block", "bucket", "count"))
            parts.append(BlockHistograms.from_rows(*columns, blocks=blocks, scale=int(scale)))
        return merge(parts) if parts else BlockHistograms.empty(blocks)

    def _history(
        self, one: _Series, variant: str | None, histograms: BlockHistograms
    ) -> SeriesHistory:
        start, seconds = self.scope.window.start, self.scope.block_seconds
        return SeriesHistory(
            one.endpoint, variant, one.metric, one.segment, start, seconds, histograms
        )

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with reading(self._engine.root), connect() as connection:
            yield connection


def scope_of(
    engine: Engine,
    *,
    block_seconds: float,
    since: float | None = None,
    endpoint: str | None = None,
    by_segment: bool = False,
) -> Scope | None:
    """Whole blocks up to the newest minute, from `since` or 14 days back; None: nothing there."""
    spans = [span for span in engine.endpoints() if endpoint is None or span[0] == endpoint]
    if not spans:
        return None
    newest = (max(span[4] for span in spans) + 1) * 60.0
    end = newest - newest % block_seconds
    oldest = min(span[3] for span in spans) * 60.0
    begin = max(end - DEFAULT_DAYS * DAY, oldest) if since is None else since
    begin += -begin % block_seconds
    if begin >= end:
        return None
    return Scope(Window(begin, end), block_seconds, endpoint, by_segment)


def _wanted(group: Sequence[_Series]) -> str:
    """The group as a numbered table in SQL (an Arrow array made from texts imports pandas)."""
    rows = (
        f"({number}::INTEGER, {literal(one.endpoint)}, {literal(one.variant)}, "
        f"{literal(one.metric)}, {literal(one.segment)})"
        for number, one in enumerate(group)
    )
    return f"(VALUES {', '.join(rows)}) w(number, endpoint, variant, metric, segment)"
