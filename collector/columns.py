"""Which column holds what: sensible guesses, always said aloud, never silent about the unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nibai.conventions import metric_named
from nibai.errors import UsageError
from nibai.protocols import FileRequest
from nibai.store.engine.sql import literal, quote
from nibai.store.files.scan import Table
from nibai.units import Unit, unit_in_name

# Stems of value columns in order of preference -> the metric they measure.
VALUE_STEMS = {
    "latency": "latency", "requestlatency": "latency", "e2elatency": "latency", "e2e": "latency",
    "endtoendlatency": "latency", "responsetime": "latency", "requesttime": "latency",
    "elapsed": "latency", "elapsedtime": "latency", "duration": "latency",
    "requestduration": "latency", "httpreqduration": "latency", "modellatency": "model_latency",
    "overheadlatency": "overhead_latency", "ttft": "ttft", "timetofirsttoken": "ttft",
    "tpot": "tpot", "timeperoutputtoken": "tpot", "queuetime": "queue_time", "value": "value",
}  # fmt: skip

TIME_STEMS = (
    "launchtime", "starttime", "timestamp", "ts", "time", "datetime", "date", "start", "startedat",
    "requesttimestamp", "createdat", "eventtime",
)  # fmt: skip

# Names without case and separators, in order of preference.
ERROR_COLUMNS = (
    "errorcode", "error", "errors", "errortype", "exception", "failed", "failure", "iserror",
    "haserror", "isfailed", "timedout",
)  # fmt: skip
STATUS_COLUMNS = (
    "status", "statuscode", "httpstatus", "httpstatuscode", "httpcode", "responsecode", "code",
    "outcome", "result",
)  # fmt: skip
OK_COLUMNS = ("success", "ok", "succeeded", "successful", "issuccess", "issuccessful", "isok")

GOOD_WORDS = ("ok", "success", "succeeded", "completed", "complete", "done", "true", "200", "none")
BAD_WORDS = (
    "error", "failed", "failure", "fail", "timeout", "timed_out", "timedout", "aborted",
    "cancelled", "canceled", "exception", "throttled", "false",
)  # fmt: skip

FIRST_BAD_STATUS = 400
MOST_WORDS = 500


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """The column of measurements: its metric, and factor to base units (None: text with units)."""

    column: str
    metric: str
    unit: Unit | None


def stem(column: str) -> str:
    """A column name without case, separators and trailing unit.

    >>> stem("latency_ms"), stem("Response Time (s)"), stem("ttft_s"), stem("launch_time")
    ('latency', 'responsetime', 'ttft', 'launchtime')
    """
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", re.sub(r"[()\[\]]", " ", column))
    if len(words) > 1 and (unit_in_name("_".join(words)) is not None):
        words = words[:-1]
    return "".join(words).lower()


def find_value(table: Table, request: FileRequest, metric: str | None) -> ValueColumn:
    """The value column of a metric (None: the first that looks like one) with its unit.

    Raises UsageError when there is none, or when nothing says the unit.
    """
    column = _named(table, request.value, "--value") if request.value else _guess(table, metric)
    found = metric or VALUE_STEMS.get(stem(column), stem(column))
    unit = Unit(request.unit) if request.unit else _unit_of(table, column, found)
    return ValueColumn(column, found, unit)


def has_metric(table: Table, metric: str) -> bool:
    """Whether some column looks like this metric."""
    return any(VALUE_STEMS.get(stem(column)) == metric or stem(column) == stem(metric)
               for column in table.columns)  # fmt: skip


def find_time(table: Table, request: FileRequest, used: str) -> str | None:
    """The time column, None when there is none."""
    if request.time:
        return _named(table, request.time, "--time")
    candidates = {stem(column): column for column in reversed(table.columns) if column != used}
    for name in TIME_STEMS:
        if name in candidates:
            return candidates[name]
    return None


@dataclass(frozen=True, slots=True)
class Failures:
    """The column that tells which requests failed, how (SQL), and what it means in words."""

    column: str
    sql: str
    said: str


def find_failures(table: Table) -> Failures | None:
    """What tells of failed requests, None when no column does."""
    lower = {_bare(column): column for column in reversed(table.columns)}
    for name in ERROR_COLUMNS:
        if name in lower:
            column = quote(lower[name])
            empty = "('', '0', '0.0', 'none', 'null', 'false', 'nan', 'no', 'n/a', '-', '[]')"
            sql = f"({column} IS NOT NULL AND lower(trim({column}::VARCHAR)) NOT IN {empty})"
            return Failures(lower[name], sql, f"a request with something in {lower[name]!r} failed")
    for name in OK_COLUMNS:
        if name in lower and _known_words(table, lower[name]):
            good = _in(lower[name], (*GOOD_WORDS, "1"))
            said = f"a request not {lower[name]!r} failed"
            return Failures(lower[name], f"NOT coalesce({good}, false)", said)
    for name in STATUS_COLUMNS:
        if name in lower and (found := _status(table, lower[name])):
            return found
    return None


def _bare(column: str) -> str:
    return re.sub(r"[\W_]", "", column).lower()


def _status(table: Table, column: str) -> Failures | None:
    if table.is_number(column):
        sql = f"coalesce({quote(column)} >= {FIRST_BAD_STATUS} OR {quote(column)} = 0, true)"
        return Failures(
            column, sql, f"a request with {column!r} of 400 or more, 0 or nothing failed"
        )
    if not _known_words(table, column):
        return None
    good = _in(column, GOOD_WORDS)
    said = f"a request whose {column!r} is no success failed"
    return Failures(column, f"NOT coalesce({good}, false)", said)


def _known_words(table: Table, column: str) -> bool:
    known = {*GOOD_WORDS, *BAD_WORDS, "0", "1"}
    # Words differ in case and spaces, too: a few hundred are more than any log has of a status.
    return {word.strip().lower() for word in table.distinct(column, MOST_WORDS)} <= known


def _in(column: str, words: tuple[str, ...]) -> str:
    return f"lower(trim({quote(column)}::VARCHAR)) IN ({', '.join(map(literal, words))})"


def _guess(table: Table, metric: str | None) -> str:
    columns = list(table.columns)
    if metric is not None:
        exact = [c for c in columns if c == metric] or [
            c for c in columns if stem(c) == stem(metric) or VALUE_STEMS.get(stem(c)) == metric
        ]
        if exact:
            return exact[0]
        raise UsageError(
            f"{table.name}: no column for metric {metric!r} among {columns_text(table)}: "
            "name the column (--value COLUMN)"
        )
    stems = {stem(column): column for column in reversed(columns)}
    for name in VALUE_STEMS:
        if name in stems:
            return stems[name]
    raise UsageError(
        f"{table.name}: no column looks like a latency among {columns_text(table)}: "
        "name the column (--value COLUMN)"
    )


def _unit_of(table: Table, column: str, metric: str) -> Unit | None:
    found = unit_in_name(column)
    if found is not None:
        return found
    if not table.is_number(column):
        return None  # text may carry its unit in every value; Table.value_sql insists on it
    known = metric_named(metric)
    if known.unit == Unit.COUNT:
        return Unit.COUNT  # a count has no other unit
    example = ""
    if (median := table.median(column)) is not None:
        example = f" (its median is {median:.4g})"
    proposal = known.unit
    raise UsageError(
        f"{table.name}: nothing says the unit of column {column!r}{example}: "
        f"add --unit {proposal} if these are {_spelled(proposal)}, else --unit ms|us|ns|1/s|count"
    )


def _spelled(unit: str) -> str:
    return {"s": "seconds", "1/s": "requests per second"}.get(unit, unit)


def _named(table: Table, column: str, option: str) -> str:
    if column in table.columns:
        return column
    raise UsageError(
        f"{table.name}: no column {column!r} ({option}); there are {columns_text(table)}"
    )


def require(table: Table, column: str, option: str) -> str:
    """A column that an option names, or a UsageError that lists what there is."""
    return _named(table, column, option)


def columns_text(table: Table) -> str:
    """The columns of a table, for a message."""
    return ", ".join(repr(column) for column in table.columns) or "no columns at all"
