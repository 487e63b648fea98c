"""Answers and their inputs in an opened table, as columns in order of time."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from nibai.store.engine.sql import quote
from nibai.store.files.scan import Table, unreadable


@dataclass(frozen=True, slots=True)
class OutputColumns:
    """Which columns hold what; `time` is SQL for seconds since the epoch, "" where there is none.

    `side` names the column that cuts one file in two, "" where files or times do.
    """

    prediction: str
    inputs: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    time: str = ""
    side: str = ""


def read_outputs(table: Table, columns: OutputColumns) -> pa.Table:
    """Columns `t` (double), `y`, `side` (text), `x0` …, `s0` … (text); without times as they stand.

    Rows come in order of time, those without one last.
    """
    chosen = [
        f"{columns.time or 'NULL::DOUBLE'} AS t",
        f"{quote(columns.prediction)} AS y",
        f"{_text(columns.side) if columns.side else 'NULL::VARCHAR'} AS side",
        *(f"{quote(name)} AS x{i}" for i, name in enumerate(columns.inputs)),
        *(f"coalesce({_text(name)}, '') AS s{i}" for i, name in enumerate(columns.segments)),
    ]
    order = " ORDER BY t NULLS LAST" if columns.time else ""
    with unreadable(table.name):
        sql = f"SELECT {', '.join(chosen)} FROM {table.source}{order}"
        return table.connection.sql(sql).to_arrow_table()


def _text(column: str) -> str:
    return f"{quote(column)}::VARCHAR"
