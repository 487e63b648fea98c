"""Answers before and after a change of one variant, from the lake: evidence levels C and D.

Different requests were answered, so nothing is paired; the segments that spans name are what is
known of the inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from nibai.conventions import BEFORE_AND_AFTER
from nibai.model import Change, Window
from nibai.predictions import EvidenceLevel, OutputRows, PredictionSample, UnpairedSample
from nibai.store.answers.counting import one_row
from nibai.store.answers.pairing import LIVE, rows_sql
from nibai.store.engine.columns import numbers
from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Engine

MAX_ROWS = 200_000
"""Answers per period that are looked at; of more, every so-many-th in order of time."""

MAX_CLASSES = 50
INVALID, OTHER = "(invalid)", "(other)"
UNKNOWN_INPUTS = "inputs are known by segment only"


def answer_periods(
    engine: Engine, change: Change, windows: tuple[Window, Window]
) -> PredictionSample | None:
    """Answers to live traffic in both windows, None where one has none.

    What was answered before the first window is the past for placebo points.
    """
    files = engine.answer_files()
    if not files:
        return None
    connection = connect()
    rows = f"SELECT * FROM ({rows_sql(files, change.endpoint)}) WHERE {_live(change)}"
    before, after = windows
    spans = (before, after, Window(0.0, before.start))
    with reading(engine.root):
        periods = [_period(connection, rows, span) for span in spans]
    if not (periods[0].num_rows and periods[1].num_rows):
        return None
    return _sample(periods)


def _live(change: Change) -> str:
    variant = change.baseline_variant
    named = "" if variant is None else f" AND variant = {literal(variant)}"
    return f"origin = {literal(LIVE)} AND repeat = 0{named}"


def _period(connection: Any, rows: str, span: Window) -> pa.Table:  # noqa: ANN401 - DuckDB's
    start, end = (round(edge * 1e6) for edge in (span.start, span.end))
    inside = f"FROM ({rows}) WHERE at_us >= {start} AND at_us < {end}"
    (count,) = one_row(connection, f"SELECT count(*) {inside}")
    step = max(-(-count // MAX_ROWS), 1)
    thinned = "" if step == 1 else f"QUALIFY (row_number() OVER (ORDER BY at_us) - 1) % {step} = 0"
    answer = f"CASE WHEN invalid <> '' OR label = '' THEN {literal(INVALID)} ELSE label END"
    return connection.sql(
        f"SELECT at_us / 1e6 AS t, {answer} AS y, segment {inside} {thinned} ORDER BY at_us"
    ).to_arrow_table()


def _sample(periods: list[pa.Table]) -> PredictionSample:
    whole = pa.concat_tables(periods)
    classes, codes = _classes(whole["y"])
    encoded = whole["segment"].combine_chunks().dictionary_encode()
    labels = tuple(encoded.dictionary.to_pylist())
    split = labels != ("",)
    rows = OutputRows(
        codes,
        np.zeros((len(codes), 0)),
        np.from_dlpack(encoded.indices).astype(np.int64) if split else None,
        numbers(whole["t"]),
    )
    ends = np.cumsum([period.num_rows for period in periods])
    before, after, past = (
        _slice(rows, slice(int(end) - period.num_rows, int(end)))
        for end, period in zip(ends, periods, strict=True)
    )
    found = UnpairedSample(
        classes, before, after, (), labels if split else (), past if past.n else None
    )
    return PredictionSample(
        level=EvidenceLevel.ADJUSTED if split else EvidenceLevel.OUTPUTS_ONLY,
        source=BEFORE_AND_AFTER,
        pairs={},
        notes=(UNKNOWN_INPUTS,) if split else (),
        unpaired=found,
    )


def _classes(answers: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the most frequent answers and the number of each; rare ones are one class."""
    encoded = answers.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    at = np.from_dlpack(encoded.indices).astype(np.int64)
    order = np.argsort(-np.bincount(at, minlength=len(names)), kind="stable").tolist()
    frequent = [i for i in order if names[i] != INVALID][:MAX_CLASSES]
    kept = sorted(names[i] for i in frequent)
    classes = [*kept, OTHER, INVALID]
    number = {name: i for i, name in enumerate(classes)}
    place = np.array([number.get(name, number[OTHER]) for name in names], dtype=np.int64)
    used, codes = np.unique(place[at], return_inverse=True)
    return tuple(classes[i] for i in used.tolist()), codes.astype(np.int64)


def _slice(rows: OutputRows, part: slice) -> OutputRows:
    return OutputRows(
        rows.codes[part],
        rows.features[part],
        None if rows.segments is None else rows.segments[part],
        None if rows.times is None else rows.times[part],
    )
