"""Minutes that the lake does not hold yet as rows, all at once.

The same rows as `nibai.store.pulled.observations` makes against nothing: one per bucket, and one
per minute for what no bucket holds. Column by column, because a backfill has millions of minutes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nibai.histogram import OVERFLOW_BUCKET, ZERO_BUCKET
from nibai.model import Observation
from nibai.store.engine.columns import column, text_column
from nibai.store.lake.rows import WAL_SCHEMA

KEY = ("endpoint", "variant", "replica", "segment", "metric")


def new_rows(observed: Sequence[Observation]) -> pa.RecordBatch:
    """Rows of the log; at least one observation."""
    sizes = np.array([len(one.buckets) for one in observed])
    # The buckets of a minute, then its own row, where those of the next one begin.
    owner = np.repeat(np.arange(len(observed)), sizes + 1)
    ends = np.cumsum(sizes + 1) - 1
    is_bucket = np.ones(len(owner), dtype=bool)
    is_bucket[ends] = False
    per_minute = _per_minute(observed)
    columns = {
        "minute": per_minute["minute"][owner],
        "scale": per_minute["scale"][owner],
        "bucket": np.full(len(owner), ZERO_BUCKET),
        "count": np.zeros(len(owner), dtype=np.int64),
        "value": np.zeros(len(owner)),
    }
    columns["bucket"][is_bucket] = np.concatenate([one.buckets for one in observed])
    columns["count"][is_bucket] = np.concatenate([one.bucket_counts for one in observed])
    # A row of one request states its value (`nibai.store.wal.fold`): one inside the minute's range.
    single = is_bucket & (columns["count"] == 1) & (columns["bucket"] != OVERFLOW_BUCKET)
    middle = np.exp2((columns["bucket"][single] + 0.5) / 2.0 ** columns["scale"][single])
    middle[columns["bucket"][single] == ZERO_BUCKET] = 0.0
    of = owner[single]
    columns["value"][single] = np.clip(middle, per_minute["min"][of], per_minute["max"][of])
    counted, told = (
        np.bincount(owner, weights=columns[name], minlength=len(observed))
        for name in ("count", "value")
    )
    columns["count"][ends] = per_minute["count"] - counted.astype(np.int64)
    columns["value"][ends] = per_minute["sum"] - told
    for name, nothing in (("min", np.nan), ("max", np.nan), ("errors", 0), ("timeouts", 0)):
        columns[name] = np.full(len(owner), nothing)
        columns[name][ends] = per_minute[name]
    texts = _texts(observed)
    arrays = [
        _text(texts[field.name], owner)
        if field.name in texts
        else column(columns[field.name], field.type)
        for field in WAL_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=WAL_SCHEMA)


def _per_minute(observed: Sequence[Observation]) -> dict[str, np.ndarray]:
    names = ("minute", "scale", "count", "sum", "min", "max", "errors", "timeouts")
    return {name: np.array([getattr(one, name) for one in observed]) for name in names}


def _texts(observed: Sequence[Observation]) -> dict[str, list[str]]:
    found = {name: [getattr(one.key, name) for one in observed] for name in KEY}
    return {**found, "provenance": [one.provenance.value for one in observed]}


def _text(values: Sequence[str], owner: np.ndarray) -> pa.Array:
    names = list(dict.fromkeys(values))
    number = {name: i for i, name in enumerate(names)}
    codes = np.array([number[value] for value in values], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(column(codes[owner], pa.int32()), text_column(names))
