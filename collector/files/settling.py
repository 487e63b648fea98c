"""Which columns are read and in which unit: settled file by file, and said aloud."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from collector.columns import Failures, find_failures, find_time, find_value, require
from collector.files.counting import Piece
from collector.files.strays import Strays
from collector.inputs import Opened
from nibai.errors import UsageError
from nibai.protocols import FileRequest
from nibai.store.files.column_sql import Times
from nibai.store.files.layout import Layout, PlainColumns, ReplicaSpan
from nibai.units import Unit

Survey = tuple[list[ReplicaSpan], int]

MOST_REPLICAS = 1000
"""Each is read by itself; a column with more values is no column of replicas."""

NONE_FAILED = Failures("", "false", "")


class Settling:
    """Settles columns, one opened source after the other, and says what it assumed."""

    def __init__(self, request: FileRequest, metric: str, notes: list[str]) -> None:
        self.request = request
        self.metric = metric
        self.notes = notes
        self.unit = Unit(request.unit) if request.unit else Unit.SECONDS
        self.failures_known = True
        self.strays = Strays(metric, self.say)

    def pieces(
        self, role: int, opened: Opened, layout: Layout | None, survey: Survey
    ) -> list[Piece]:
        """The units of a surveyed source; UsageError when too many rows are unusable."""
        table = opened.table
        name = Path(table.name).name or table.name
        if layout is None:
            self.say(f"{name} holds no rows")
            return [Piece(role, name, opened, Layout("NULL::DOUBLE"), _nothing())]
        spans, disorder = survey
        if self.request.replica and len(spans) > MOST_REPLICAS:
            raise UsageError(
                f"{table.name}: --replica {self.request.replica} has {len(spans):,} values, more "
                f"than {MOST_REPLICAS:,}: name a column of replicas, hosts or runs"
            )
        self.strays.survey(opened, spans, disorder)
        return [Piece(role, _piece_name(name, span), opened, layout, span) for span in spans]

    def layout(self, opened: Opened) -> Layout | None:
        """How to read a source; None when it holds no rows."""
        if not opened.table.columns or not opened.table.count():
            return None
        request = known_unit(self.request, opened)
        table = opened.table
        value = find_value(table, request, self.metric if self.request.value is None else None)
        if value.unit is not None:
            self.unit = value.unit
        said = value.unit.value if value.unit is not None else "the unit in each value"
        self.say(f"{opened.format}: {self.metric} from column {value.column!r} in {said}")
        for note in opened.notes:
            self.say(note)
        failures = self._failures(opened)
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
        if table.is_number(value.column) and not (replica or side):
            plain = _plain(value.column, factor, times, failures)
        time_sql = None if times is None else times.sql
        segments = tuple(request.segments)
        return Layout(sql, time_sql, failures.sql, segments, replica, side, plain)

    def _failures(self, opened: Opened) -> Failures:
        if self.request.ok:
            self.say(f"a request failed unless {self.request.ok}")
            return Failures("", opened.table.ok_sql(self.request.ok), "")
        if opened.failed is not None:
            return Failures("", opened.failed, "")
        found = find_failures(opened.table)
        if found is None:
            self.failures_known = False
            return NONE_FAILED
        said = found.said
        self.say(f"{said}; it counts as slower than every other (--ok EXPR to say otherwise)")
        return found

    def say(self, note: str) -> None:
        """Note something once."""
        if note not in self.notes:
            self.notes.append(note)


def known_unit(request: FileRequest, opened: Opened) -> FileRequest:
    """The request with the unit that a format defines, unless the user says another."""
    if request.unit is None and opened.unit is not None:
        return replace(request, unit=opened.unit)
    return request


def _plain(
    value: str, factor: float | None, times: Times | None, failures: Failures
) -> PlainColumns | None:
    """The columns as statistics know them; None where a query must make them."""
    if failures.sql != NONE_FAILED.sql and not failures.column:
        return None
    failed = failures.column or None
    if times is None:
        return PlainColumns(value, factor or 1.0, None, failed=failed)
    if not times.per_second:
        return None
    return PlainColumns(value, factor or 1.0, times.column, times.per_second, failed)


def _nothing() -> ReplicaSpan:
    return ReplicaSpan("", "", 0, 0, None, None)


def _piece_name(name: str, span: ReplicaSpan) -> str:
    return span.replica or name
