"""Answers as rows: records to a batch of the log, a batch of the log to rows of the lake.

Every answer is kept for some days, so that partners may come late and pairs are a query. What live
traffic was answered is counted per minute besides, for ever: labels, kinds of invalid, scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nibai.conventions import (
    LIVE_SOURCES,
    PREDICTION_INVALID,
    PREDICTION_LABELS,
    PREDICTION_SCORES,
)
from nibai.histogram import SCALE, bucket_index
from nibai.predictions import PredictionRecord
from nibai.store.engine.columns import column, no_rows, numbers
from nibai.store.engine.connection import connect
from nibai.store.lake.rows import PREDICTION_SCHEMA, TABLES, WAL_SCHEMA

MAX_LABELS = 50
"""Labels of one variant counted by name in one fold; rarer ones are joined as "other"."""

MAX_TEXT = 128
"""A longer label or id is stored as its digest: it may be a payload."""

_MICROSECONDS = 1e6
_MINUTE_US = 60_000_000


def to_batch(records: Sequence[PredictionRecord]) -> pa.RecordBatch:
    """Records as rows of the log; texts longer than 128 characters as digests.

    >>> to_batch([PredictionRecord("r1", "", 60.0, label="cat", score=0.9)]).num_rows
    1
    """
    if not records:
        # Most parts of most sources bring none; `pa.array` would import pandas (0.5 s, 30 MiB).
        none = [pa.nulls(0, one.type) for one in PREDICTION_SCHEMA]
        return pa.RecordBatch.from_arrays(none, schema=PREDICTION_SCHEMA)
    rows = [_bounded(record) for record in records]
    arrays = []
    for one in PREDICTION_SCHEMA:
        if one.name == "at_us":
            values: list[object] = [round(row.at * _MICROSECONDS) for row in rows]
        elif one.name == "probabilities":
            values = [list(row.probabilities) or None for row in rows]
        else:
            values = [getattr(row, one.name) for row in rows]
        if pa.types.is_dictionary(one.type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(values, one.type))
    return pa.RecordBatch.from_arrays(arrays, schema=PREDICTION_SCHEMA)


def _bounded(record: PredictionRecord) -> PredictionRecord:
    texts = (record.label, record.request_id, record.input_hash, record.truth or "")
    if max(map(len, texts)) <= MAX_TEXT:
        return record
    return replace(
        record,
        label=_short(record.label),
        request_id=_short(record.request_id),
        input_hash=_short(record.input_hash),
        truth=None if record.truth is None else _short(record.truth),
    )


def _short(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class FoldedPredictions:
    """Rows per lake table (absent: none), and scores as additive rows of the log."""

    tables: dict[str, pa.Table]
    scores: pa.Table


def fold_predictions(answers: pa.Table) -> FoldedPredictions:
    """Answers of one segment as rows of the lake."""
    if answers.num_rows == 0:
        return FoldedPredictions({}, no_rows(WAL_SCHEMA))
    connection = connect()
    connection.register("answers", answers)
    tables = {
        "predictions": connection.sql(_ANSWERS).to_arrow_table(),
        "category": connection.sql(_COUNTS).to_arrow_table(),
    }
    return FoldedPredictions(
        {name: rows.cast(TABLES[name]) for name, rows in tables.items() if rows.num_rows},
        _scores(answers),
    )


_MINUTE = f"(at_us // {_MINUTE_US})::INTEGER AS minute"
_ANSWERS = (
    f"SELECT (DATE '1970-01-01' + (at_us // {1440 * _MINUTE_US})::INTEGER) AS day, {_MINUTE}, "
    "* REPLACE (endpoint::VARCHAR AS endpoint, variant::VARCHAR AS variant, "
    "replica::VARCHAR AS replica, segment::VARCHAR AS segment, label::VARCHAR AS label, "
    "truth::VARCHAR AS truth, invalid::VARCHAR AS invalid, source::VARCHAR AS source) "
    "FROM answers ORDER BY endpoint, variant, minute, input_hash, request_id, repeat"
)
_LIVE = "repeat = 0 AND source IN ('" + "', '".join(LIVE_SOURCES) + "')"
_COUNTS = (
    "WITH live AS (SELECT endpoint::VARCHAR AS endpoint, variant::VARCHAR AS variant, "
    "replica::VARCHAR AS replica, segment::VARCHAR AS segment, "
    f"CASE WHEN invalid::VARCHAR = '' THEN '{PREDICTION_LABELS}' "
    f"ELSE '{PREDICTION_INVALID}' END AS metric, "
    "CASE WHEN invalid::VARCHAR = '' THEN label::VARCHAR ELSE invalid::VARCHAR END AS key, "
    f"{_MINUTE} FROM answers WHERE {_LIVE}), "
    "named AS (SELECT endpoint, variant, metric, key FROM live "
    "GROUP BY endpoint, variant, metric, key QUALIFY row_number() OVER "
    f"(PARTITION BY endpoint, variant, metric ORDER BY count(*) DESC, key) <= {MAX_LABELS}) "
    "SELECT (DATE '1970-01-01' + (minute // 1440)::INTEGER) AS day, live.endpoint, live.variant, "
    "replica, segment, live.metric, minute, 'exact' AS provenance, "
    "CASE WHEN named.key IS NULL THEN 'other' ELSE live.key END AS key, count(*)::BIGINT AS count "
    "FROM live LEFT JOIN named ON live.endpoint = named.endpoint AND live.variant = named.variant "
    "AND live.metric = named.metric AND live.key = named.key "
    "GROUP BY ALL ORDER BY ALL"
)


def _scores(answers: pa.Table) -> pa.Table:
    """Finite scores of live traffic as rows of one request each."""
    live = pc.and_(
        pc.and_(pc.equal(answers["repeat"], 0), pc.is_valid(answers["score"])),
        pc.is_in(answers["source"].cast(pa.string()), pa.array(LIVE_SOURCES)),
    )
    kept = answers.filter(live)
    scores = numbers(kept["score"])
    n = len(scores)
    none = column(np.zeros(n), pa.int64())
    columns = {
        "metric": _constant(PREDICTION_SCORES, n),
        "minute": column(numbers(kept["at_us"]) // _MINUTE_US, pa.int32()),
        "scale": column(np.full(n, SCALE), pa.int8()),
        "bucket": column(bucket_index(np.abs(scores)), pa.int16()),
        "count": column(np.ones(n), pa.int64()),
        "value": column(scores, pa.float64()),
        "min": column(np.full(n, np.nan), pa.float64()),
        "max": column(np.full(n, np.nan), pa.float64()),
        "errors": none,
        "timeouts": none,
        "provenance": _constant("exact", n),
    }
    return pa.table(
        [columns[name] if name in columns else kept[name] for name in WAL_SCHEMA.names],
        schema=WAL_SCHEMA,
    )


def _constant(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(column(np.zeros(n), pa.int32()), pa.array([text]))
