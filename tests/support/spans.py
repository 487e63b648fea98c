"""Batches for the write-ahead log, made from plain values."""

import numpy as np
import pyarrow as pa

from nibai.histogram import OVERFLOW_BUCKET, bucket_index
from nibai.store.lake.rows import WAL_SCHEMA

_TEXT = ("endpoint", "variant", "replica", "segment", "metric", "provenance")


def batch(
    values,
    *,
    minute=28_000_000,
    endpoint="onprem/tokyo/ocr",
    variant="fp32",
    replica="r1",
    segment="",
    metric="latency",
    scale=5,
    provenance="exact",
):
    """One row per value; infinite values are errors."""
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    buckets = bucket_index(values, scale)
    failed = buckets == OVERFLOW_BUCKET
    finite = np.where(failed, np.nan, values)
    columns = {
        "endpoint": endpoint, "variant": variant, "replica": replica, "segment": segment,
        "metric": metric, "provenance": provenance,
        "minute": np.broadcast_to(minute, n).astype(np.int32), "scale": np.full(n, scale, np.int8),
        "bucket": buckets.astype(np.int16), "count": np.ones(n, np.int64),
        "value": np.nan_to_num(finite), "min": finite, "max": finite,
        "errors": failed.astype(np.int64), "timeouts": np.zeros(n, np.int64),
    }  # fmt: skip
    arrays = []
    for field in WAL_SCHEMA:
        column = columns[field.name]
        if field.name in _TEXT:
            texts = [column] * n if isinstance(column, str) else list(column)
            array = pa.array(texts, pa.string()).dictionary_encode()
            arrays.append(array.cast(field.type))
        else:
            arrays.append(pa.array(column, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=WAL_SCHEMA)


def lake_counts(lake, table="hist"):
    """Total count in a table, and its rows as a dictionary of key -> count."""
    found = lake.open(table)
    if found is None:
        return 0, {}
    rows = found.to_pyarrow_table().to_pylist()
    by_key = {}
    for row in rows:
        key = (row["variant"], row["replica"], row["segment"], row["minute"], row.get("bucket"))
        by_key[key] = by_key.get(key, 0) + row["count"]
    return sum(row["count"] for row in rows), by_key
