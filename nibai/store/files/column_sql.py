"""What a column's type and texts mean: SQL for its values in base units, or for its times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from nibai.errors import UsageError
from nibai.store.engine.sql import quote
from nibai.store.files.texts_sql import no_number, seconds_of_text

ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
SPANS = ("INTERVAL", "TIME")
"""Types of durations: what they are in seconds needs no unit."""

SAMPLE_ROWS = 100_000
"""Rows that tell in which unit a column of numbers counts time."""


class Table(Protocol):
    """What is asked of a table: its columns with their types, and queries over it."""

    name: str
    source: str
    columns: dict[str, str]

    def is_number(self, column: str) -> bool:
        """Whether a column holds numbers."""

    def largest(self, column: str) -> float | None:
        """The greatest absolute number of a column's first rows, where it needs no query."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query answers."""


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times: SQL in seconds since the epoch, and what was understood.

    `per_second`: ticks of a column of numbers or timestamps, None for everything else.
    """

    column: str
    sql: str
    understood: str
    per_second: float | None = None


def value_sql(table: Table, column: str, factor: float | None) -> str:
    """Values of a column in base units; text is read value by value."""
    name = quote(column)
    if table.is_number(column):
        return f"({name}::DOUBLE * {factor!r})" if factor != 1.0 else f"{name}::DOUBLE"
    if table.columns[column] in SPANS:
        return f"epoch({name})::DOUBLE"
    _only_text(table, column, "numbers", "--value")
    name = f"{name}::VARCHAR"
    row = table.rows(
        f"SELECT {name}, row_number() OVER () AS r FROM {table.source} "
        f"QUALIFY {no_number(name, factor)} LIMIT 1"
    )
    if row:
        raise UsageError(
            f"{table.name}: column {column!r} holds {row[0][0]!r} in row {row[0][1]}, which is "
            "not a number with a known unit (write 1234.5: a decimal point, no thousands "
            "separators): fix the file, or choose another column (--value)"
        )
    return seconds_of_text(name, factor)


def times_of(table: Table, column: str) -> Times:
    """How to read a column of times; UsageError for what is none."""
    kind, name = table.columns[column], quote(column)
    if kind in ZONED:
        return Times(column, f"(epoch_us({name}::TIMESTAMPTZ) / 1e6)", "timestamps", 1e6)
    if kind.startswith(("TIMESTAMP", "DATE")):
        sql = f"(epoch_us({name}::TIMESTAMP) / 1e6)"
        return Times(column, sql, "timestamps", None if kind == "DATE" else 1e6)
    if table.is_number(column):
        return _epoch(table, column)
    _only_text(table, column, "times with a date", "--time")
    bad = table.rows(
        f"SELECT {name} FROM {table.source} WHERE {name} IS NOT NULL AND "
        f"try_cast({name} AS TIMESTAMPTZ) IS NULL LIMIT 1"
    )
    if bad:
        raise UsageError(
            f"{table.name}: column {column!r} holds {bad[0][0]!r}, which is not a time: "
            "use ISO 8601 or seconds since 1970, or name another column (--time)"
        )
    return Times(column, f"(epoch_us(try_cast({name} AS TIMESTAMPTZ)) / 1e6)", "ISO times")


def _epoch(table: Table, column: str) -> Times:
    """Numbers: the size tells seconds from milli-, micro- and nanoseconds since 1970."""
    name = f"{quote(column)}::DOUBLE"
    if table.columns[column] in {"FLOAT", "DOUBLE"}:
        name = f"(CASE WHEN isfinite({name}) THEN {name} END)"  # NaN is no time
    largest = table.largest(column)
    if largest is None:
        sample = f"(SELECT {quote(column)} FROM {table.source} LIMIT {SAMPLE_ROWS})"
        row = table.rows(f"SELECT max(abs({name})) FROM {sample}")[0]
        largest = float(row[0] or 0.0)
    for limit, ticks, word in ((1e17, 1e9, "nano"), (1e14, 1e6, "micro"), (1e11, 1e3, "milli")):
        if largest > limit:
            return Times(column, f"({name} / {ticks!r})", f"{word}seconds since 1970", ticks)
    understood = "seconds since 1970" if largest > 1e8 else "seconds"  # noqa: PLR2004 - 1973
    return Times(column, name, understood, 1.0)


def _only_text(table: Table, column: str, wanted: str, option: str) -> None:
    kind = table.columns[column]
    if not kind.startswith(("VARCHAR", "ENUM")) or kind.endswith("]"):
        raise UsageError(
            f"{table.name}: column {column!r} holds {kind[:40].lower()}, not {wanted}: name "
            f"another column ({option})"
        )
