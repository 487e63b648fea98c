"""Hourly counts of answers in the lake per variant: labels, invalid ones, segments, scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nibai.conventions import PREDICTION_INVALID, PREDICTION_LABELS, PREDICTION_SCORES
from nibai.model import Window
from nibai.stats.output_watch import HourlyCounts
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Blocks, Engine

HOUR_SECONDS = 3600.0
PER_DOUBLING = 4
"""Bins of scores to a doubling: what a reader of "score up to 0.5" can follow."""


@dataclass(frozen=True, slots=True, eq=False)
class OutputHistory:
    """What one variant answered, hour by hour; every table spans the same hours."""

    endpoint: str
    variant: str
    tables: tuple[HourlyCounts, ...]


def output_history(
    engine: Engine, window: Window, endpoint: str | None = None
) -> Iterator[OutputHistory]:
    """Every variant that has answers in whole hours of the window, in order of name."""
    hours = round(window.seconds / HOUR_SECONDS)
    blocks = Blocks(window, hours)
    only = "" if endpoint is None else f" AND endpoint = {literal(endpoint)}"
    labels = f"metric IN ({literal(PREDICTION_LABELS)}, {literal(PREDICTION_INVALID)}){only}"
    key = f"CASE WHEN metric = {literal(PREDICTION_LABELS)} THEN key ELSE 'invalid: ' || key END"
    selects = [
        _select("label", key, engine.rows_sql("category", blocks, labels)),
        _select("segment", "segment", engine.rows_sql("category", blocks, labels)),
        _select(
            "score",
            f"(floor((bucket + 1) * {PER_DOUBLING} / (1 << scale)))::INTEGER::VARCHAR",
            engine.rows_sql("hist", blocks, f"metric = {literal(PREDICTION_SCORES)}{only}"),
        ),
    ]
    sql = " UNION ALL ".join(select for select in selects if select)
    if not sql:
        return
    with reading(engine.root):
        found = connect().execute(f"{sql} ORDER BY 1, 2, 3, 4, 5").fetchall()
    series: dict[tuple[str, str], dict[str, list[tuple[str, int, int]]]] = {}
    for name, variant, table, value, block, count in found:
        tables = series.setdefault((name, variant), {})
        tables.setdefault(table, []).append((_named(table, value), int(block), int(count)))
    first = round(window.start / HOUR_SECONDS)
    for (name, variant), tables in sorted(series.items()):
        made = tuple(
            _table(table, tables[table], first, hours)
            for table in ("label", "segment", "score")
            if table in tables
        )
        yield OutputHistory(name, variant, made)


def _select(table: str, key: str, rows: str) -> str:
    if not rows:
        return ""
    return (
        f"SELECT endpoint, variant, {literal(table)}, {key} AS name, block, sum(count)::BIGINT "
        f"FROM ({rows}) GROUP BY ALL"
    )


def _named(table: str, value: str) -> str:
    if table != "score":
        return value
    return f"up to {2.0 ** ((int(value) + 1) / PER_DOUBLING):.3g}"


def _table(name: str, rows: list[tuple[str, int, int]], first: int, hours: int) -> HourlyCounts:
    classes = tuple(dict.fromkeys(key for key, _, _ in rows))
    number = {key: i for i, key in enumerate(classes)}
    counts = np.zeros((hours, len(classes)), dtype=np.int64)
    for key, block, count in rows:
        counts[block, number[key]] += count
    return HourlyCounts(name, classes, first, counts)
