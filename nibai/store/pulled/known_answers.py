"""Answers that the lake does not hold yet: a source read twice adds nothing twice."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nibai.model import Window
from nibai.store.engine.columns import column, numbers
from nibai.store.engine.connection import connect
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Engine

_TOLD_APART_BY = (
    "hash(endpoint::VARCHAR, variant::VARCHAR, request_id, input_hash, at_us, repeat, "
    "source::VARCHAR) AS told"
)


def unknown_answers(lake: Lake, answers: pa.RecordBatch) -> pa.RecordBatch:
    """The first of each answer that is not stored yet, in order.

    Answers are told apart by endpoint, variant, request, input, time, repeat and source: two
    requests under one id in different seconds are two answers.
    """
    if not answers.num_rows:
        return answers
    places = column(np.arange(answers.num_rows), pa.int64())
    numbered = pa.Table.from_batches([answers]).append_column("place", places)
    connection = connect()
    connection.register("answers", numbered)
    with reading(lake.root):
        kept = connection.sql(_query(lake, answers)).to_arrow_table()
    found: pa.Table = pa.Table.from_batches([answers]).take(
        column(numbers(kept["place"]), pa.int64())
    )
    return found.combine_chunks().to_batches()[0] if found.num_rows else answers.slice(0, 0)


def _query(lake: Lake, answers: pa.RecordBatch) -> str:
    at = np.from_dlpack(answers.column("at_us"))
    first, last = int(at.min()), int(at.max())
    files = Engine(lake).answer_files(Window(first / 1e6, last / 1e6 + 1.0))
    once = (
        f"SELECT place, {_TOLD_APART_BY} FROM answers "
        "QUALIFY row_number() OVER (PARTITION BY told ORDER BY place) = 1"
    )
    if not files:
        return f"SELECT place FROM ({once}) ORDER BY place"
    stored = f"SELECT {_TOLD_APART_BY} FROM {files} WHERE at_us BETWEEN {first} AND {last}"
    return f"SELECT place FROM ({once}) ANTI JOIN ({stored}) USING (told) ORDER BY place"
