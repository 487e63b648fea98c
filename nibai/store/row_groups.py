"""What the statistics of a large Parquet file prove without reading its rows."""

from __future__ import annotations

from typing import Any

import duckdb

from nibai.histogram import ZERO_THRESHOLD
from nibai.store.layout import Layout, PlainColumns, ReplicaSpan
from nibai.store.sql import literal, quote

WORTH_ROWS = 1_000_000
"""Files of fewer rows are surveyed row by row: it takes no time, and counts every disorder."""


class StatisticsError(Exception):
    """Values of a Parquet file are not what its statistics say (NaN, for one, hides from them)."""


def proven_span(
    connection: duckdb.DuckDBPyConnection, path: str, layout: Layout, columns: dict[str, str]
) -> ReplicaSpan | None:
    """Rows and time span of a whole file, or None where its statistics do not suffice.

    They suffice when every row group says of both columns that nothing is missing, of the values
    that all are above zero, and of the times that the groups follow one another. Order *within* a
    group is not looked at: rows are binned by their time, so no result changes. NaN hides from
    statistics; the query that counts finds it.
    """
    if layout.plain is None or layout.time is None:
        return None
    try:
        groups = connection.execute(_query(path, layout, layout.plain, columns)).fetchall()
    except duckdb.Error:
        return None  # statistics in a form that cannot be read: the rows themselves can
    rows = sum(group[0] for group in groups)
    if rows < WORTH_ROWS or not _whole_and_in_order(groups):
        return None
    return ReplicaSpan("", "", rows, 0, groups[0][1], groups[-1][2], 0, proven=True)


def _whole_and_in_order(groups: list[tuple[Any, ...]]) -> bool:
    before = float("-inf")
    for _, start, end, least, missing in groups:
        if None in (start, end, least, missing) or missing:
            return False
        if least <= ZERO_THRESHOLD or start < before:
            return False
        before = end
    return True


def _query(path: str, layout: Layout, plain: PlainColumns, columns: dict[str, str]) -> str:
    """One row a group: rows, first and last time, least value, missing values."""

    def read(column: str, expression: str, statistic: str) -> str:
        """An expression over a column, with a statistic in the column's place."""
        value = f"{statistic}::{columns[column]} AS {quote(column)}"
        return f"(SELECT {expression} FROM (SELECT {value}))"

    time, value = plain.time, plain.value
    seconds = layout.time or "NULL"
    return f"""
        SELECT n, {read(time, seconds, "t_min")}, {read(time, seconds, "t_max")},
               {read(value, layout.value, "v_min")}, missing
        FROM (
            SELECT row_group_id AS id, any_value(row_group_num_rows) AS n,
                   min(stats_min_value) FILTER (WHERE path_in_schema = {literal(time)}) AS t_min,
                   min(stats_max_value) FILTER (WHERE path_in_schema = {literal(time)}) AS t_max,
                   min(stats_min_value) FILTER (WHERE path_in_schema = {literal(value)}) AS v_min,
                   sum(coalesce(stats_null_count, 1)) AS missing
            FROM parquet_metadata({literal(path)})
            WHERE path_in_schema IN ({literal(time)}, {literal(value)})
            GROUP BY row_group_id
        )
        ORDER BY id
    """
