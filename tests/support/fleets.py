"""Lakes of many endpoints with known truth, written as the fold would leave them."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from nibai.histogram import bucket_index
from nibai.store.lake.rows import TABLES

DAY = 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10


def fill(
    lake, factors, *, moved=MONDAY + DAY, days=2, step=10, per_step=40, seed=1, segments=("",)
):
    """Each endpoint's values are `factors[name]` times as long after `moved`; returns its names.

    One file per day and table; a minute of traffic every `step` minutes, levels that wander.
    """
    rng = np.random.default_rng(seed)
    minutes = np.arange(0, 1440, step)
    for day in range(days):
        start = MONDAY + day * DAY
        rows = [
            _minutes(rng, name, segment, start, minutes, per_step, factor if start >= moved else 1)
            for name, factor in factors.items()
            for segment in segments
        ]
        for i, table in enumerate(("hist", "cell")):
            lake.commit(table, pa.concat_tables([r[i] for r in rows]), "test", day + 1)


def _minutes(rng, endpoint, segment, start, minutes, n, factor):  # noqa: PLR0917
    level = np.exp(rng.normal(0, 0.03, len(minutes)))
    values = factor * 0.1 * level[:, None] * rng.lognormal(0, 0.4, (len(minutes), n))
    cell = np.repeat(np.arange(len(minutes)), n)
    key, counts = np.unique(
        cell * 65536 + bucket_index(values.ravel()).astype(np.int64) + 32768, return_counts=True
    )
    first = int(start // 60)
    common = {
        "day": datetime.fromtimestamp(start, UTC).date(), "endpoint": endpoint, "variant": "prod",
        "replica": "r1", "segment": segment, "metric": "latency", "provenance": "exact",
    }  # fmt: skip
    hist = {
        "minute": first + minutes[key // 65536], "scale": 5, "bucket": key % 65536 - 32768,
        "count": counts,
    }  # fmt: skip
    cells = {
        "minute": first + minutes, "count": n, "sum": values.sum(1), "min": values.min(1),
        "max": values.max(1), "errors": 0, "timeouts": 0,
    }  # fmt: skip
    return [
        _table(TABLES[name], {**common, **columns}, rows)
        for name, columns, rows in (("hist", hist, len(key)), ("cell", cells, len(minutes)))
    ]


def _table(schema, columns, rows):
    return pa.table(
        {
            field.name: pa.array(columns[field.name]).cast(field.type)
            if isinstance(columns[field.name], np.ndarray)
            else pa.array([columns[field.name]] * rows, field.type)
            for field in schema
        }
    )
