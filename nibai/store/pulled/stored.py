"""What the minute tables hold of a source's series, to compare with what it says now."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date
from typing import Any

import pyarrow as pa

from nibai.model import SeriesKey, Window
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal, parquet_rows
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading
from nibai.store.pulled.observations import Bucket, Minute, Stored
from nibai.store.series.blocks import Blocks, Engine

KEY = "endpoint, variant, replica, segment, metric, minute"


Name = tuple[str, str, str]
"""Endpoint, variant, metric."""


def name_of(key: SeriesKey) -> Name:
    """What is looked up of a series: replicas and segments are read together."""
    return key.endpoint, key.variant, key.metric


def stored_spans(lake: Lake) -> dict[Name, tuple[int, int]]:
    """First and last minute that the minute tables hold of every series."""
    return {(e, v, m): (first, last) for e, v, m, first, last, _ in Engine(lake).endpoints()}


def stored_hours(lake: Lake, names: Collection[Name]) -> set[Name]:
    """Which of some series the hour tables hold: their minutes may be gone."""
    uris = lake.file_uris("cell_hour", date.min, date.max) if names else []
    if not uris:
        return set()
    listed = ", ".join(f"({', '.join(map(literal, one))})" for one in sorted(names))
    sql = (
        f"SELECT DISTINCT endpoint, variant, metric FROM {parquet_rows(uris)} "
        f"WHERE (endpoint, variant, metric) IN ({listed})"
    )
    with reading(lake.root):
        rows = connect().execute(sql).fetchall()
    return {(str(e), str(v), str(m)) for e, v, m in rows}


def stored_replicas(lake: Lake, names: Collection[Name]) -> set[tuple[Name, str]]:
    """Replicas of some series that the minute or the hour tables hold."""
    found: set[tuple[Name, str]] = set()
    listed = ", ".join(f"({', '.join(map(literal, one))})" for one in sorted(names))
    for kind in ("cell", "cell_hour") if names else ():
        with reading(lake.root):
            uris = lake.file_uris(kind, date.min, date.max)
            if not uris:
                continue
            sql = (
                f"SELECT DISTINCT endpoint, variant, metric, replica FROM {parquet_rows(uris)} "
                f"WHERE (endpoint, variant, metric) IN ({listed})"
            )
            rows = connect().execute(sql).fetchall()
        found |= {((str(e), str(v), str(m)), str(replica)) for e, v, m, replica in rows}
    return found


def stored_minutes(lake: Lake, series: Collection[Name], window: Window) -> dict[Minute, Stored]:
    """Every stored minute of some series in a window.

    Memory grows with the window: ask for as much as one call of a source covers.
    """
    if not series:
        return {}
    engine, blocks = Engine(lake), Blocks(window, 1)
    listed = ", ".join(f"({', '.join(map(literal, one))})" for one in sorted(set(series)))
    where = f"(endpoint, variant, metric) IN ({listed})"
    cells: dict[Minute, dict[str, tuple[int, float, int, int]]] = {}
    extremes: dict[Minute, tuple[float, float]] = {}
    sums = "sum(count)::BIGINT AS count, sum(sum) AS sum, min(min) AS low, max(max) AS high, "
    sums += "sum(errors)::BIGINT AS errors, sum(timeouts)::BIGINT AS timeouts"
    for row in _read(lake, engine.rows_sql("cell", blocks, where), "provenance", sums):
        minute = _minute(row)
        cells.setdefault(minute, {})[row["provenance"]] = (
            row["count"], row["sum"], row["errors"], row["timeouts"],
        )  # fmt: skip
        extremes[minute] = _wider(extremes.get(minute), (row["low"], row["high"]))
    buckets: dict[Minute, dict[Bucket, int]] = {}
    by = "provenance, scale, bucket"
    for row in _read(lake, engine.rows_sql("hist", blocks, where), by, "sum(count)::BIGINT AS n"):
        bucket = (row["provenance"], row["scale"], row["bucket"])
        if row["n"]:
            buckets.setdefault(_minute(row), {})[bucket] = row["n"]
    return {
        minute: Stored(cell, buckets.get(minute, {}), *extremes[minute])
        for minute, cell in cells.items()
    }


def _read(lake: Lake, rows: str, by: str, columns: str) -> list[dict[str, Any]]:
    if not rows:
        return []
    sql = f"SELECT {KEY}, {by}, {columns} FROM ({rows}) GROUP BY {KEY}, {by}"
    with reading(lake.root):
        found: pa.Table = connect().sql(sql).to_arrow_table()
    listed: list[dict[str, Any]] = found.to_pylist()
    return listed


def _minute(row: dict[str, Any]) -> Minute:
    names = ("endpoint", "variant", "replica", "segment", "metric")
    return SeriesKey(*(str(row[name]) for name in names)), int(str(row["minute"]))


def _wider(one: tuple[float, float] | None, other: tuple[float, float]) -> tuple[float, float]:
    if one is None or math.isnan(one[0]):
        return other
    return one if math.isnan(other[0]) else (min(one[0], other[0]), max(one[1], other[1]))
