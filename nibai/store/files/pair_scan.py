"""Pairs of answers in an opened table, read by DuckDB as batches of typed columns.

Answers, ids and input hashes become 64-bit hashes (DuckDB's own: comparable within a process, kept
nowhere), so that texts reach Python only where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import pyarrow as pa

from nibai.store.engine.sql import literal, quote
from nibai.store.files.scan import NUMERIC, Table, unreadable

BATCH_ROWS = 262_144
BATCH_VECTORS = 16_384
"""Fewer rows at a time where each is a list: 1,000 numbers are 8 kB."""

WHOLE = 9e15
"""Below this doubles are exact integers."""


_NO_COLUMNS = ("labels", "bad_bytes", "segments", "numeric", "keep_empty", "vectors")


@dataclass(frozen=True, slots=True)
class PairLayout:
    """Which columns hold what; "" where there is none.

    `numeric`: answers are scores. `labels`: the only valid ones; empty: all are. `bad_bytes` is a
    sign that marks text whose bytes were broken. `keep_empty`: an empty text is an answer.
    `vectors`: answers are lists of numbers, and wanted as such.
    """

    baseline: str
    candidate: str
    request_id: str = ""
    input_hash: str = ""
    truth: str = ""
    margin: str = ""
    baseline_score: str = ""
    candidate_score: str = ""
    baseline_invalid: str = ""
    candidate_invalid: str = ""
    baseline_probabilities: str = ""
    candidate_probabilities: str = ""
    baseline_finish_reason: str = ""
    candidate_finish_reason: str = ""
    baseline_tokens: str = ""
    candidate_tokens: str = ""
    baseline_logprob: str = ""
    candidate_logprob: str = ""
    batch: str = ""
    variant: str = ""
    repeat: str = ""
    segments: tuple[str, ...] = ()
    numeric: bool = False
    labels: tuple[str, ...] = ()
    bad_bytes: str = ""
    keep_empty: bool = False
    vectors: bool = False

    def present(self, columns: dict[str, str]) -> PairLayout:
        """The same without columns that a table lacks: there everything is unknown."""
        gone: dict[str, Any] = {
            one.name: ""
            for one in fields(self)
            if one.name not in _NO_COLUMNS and getattr(self, one.name) not in columns
        }
        return replace(self, **gone)


def values(table: Table, column: str, limit: int) -> list[str]:
    """The first values of a column as text (lists and structures as JSON), nulls left out."""
    name = quote(column)
    sql = (
        f"SELECT {text_sql(table, column)} FROM {table.source} WHERE {name} IS NOT NULL "
        f"LIMIT {limit}"
    )
    return [row[0] for row in table.rows(sql)]


def pair_batches(table: Table, layout: PairLayout) -> Iterator[pa.RecordBatch]:
    """Every row in its order; no column has nulls.

    `b` and `c` are answers as text, `bk` and `ck` their hashes; `bm` and `cm` 1 where one is
    missing; `bs` and `cs` scores; `bi` and `ci` kinds of invalid; `bt` and `ct` 1, 0 or -1 (right,
    wrong, unknown); `bp` and `cp` probabilities as JSON; `bv` and `cv` lists of numbers; `key` and
    `req` hashes, 0 where unknown; `bf` and `cf` finish reasons, `bl` and `cl` lengths in tokens,
    `bo` and `co` log-probabilities of the old answer under the old and the new model, all NaN where
    unknown; `truth`, `request_id`, `input_hash`, `segment`, `batch`, `variant` texts; `margin` a
    number.
    """
    sql = _query(table, layout)
    with unreadable(table.name):
        rows = BATCH_VECTORS if layout.vectors else BATCH_ROWS
        reader = table.connection.sql(sql).to_arrow_reader(rows)
        yield from reader


def _query(table: Table, layout: PairLayout) -> str:
    inner = [
        f"{answer_sql(table, layout, layout.baseline)} AS b",
        f"{answer_sql(table, layout, layout.candidate)} AS c",
        f"{_number(layout.baseline_score, layout.numeric and layout.baseline)} AS bs",
        f"{_number(layout.candidate_score, layout.numeric and layout.candidate)} AS cs",
        f"{_number(layout.margin)} AS margin",
        f"{_number(layout.baseline_tokens)} AS bl",
        f"{_number(layout.candidate_tokens)} AS cl",
        f"{_number(layout.baseline_logprob)} AS bo",
        f"{_number(layout.candidate_logprob)} AS co",
        *(
            f"{_text(column)} AS {name}"
            for column, name in (
                (layout.request_id, "request_id"),
                (layout.input_hash, "input_hash"),
                (layout.batch, "batch"),
                (layout.variant, "variant"),
                (layout.repeat, "repeat"),
                (layout.baseline_finish_reason, "bf"),
                (layout.candidate_finish_reason, "cf"),
            )
        ),
        f"{_vector(layout, layout.baseline)} AS bv",
        f"{_vector(layout, layout.candidate)} AS cv",
        f"{_probabilities(table, layout.baseline_probabilities)} AS bp",
        f"{_probabilities(table, layout.candidate_probabilities)} AS cp",
        f"{_said_invalid(layout.baseline_invalid)} AS bi",
        f"{_said_invalid(layout.candidate_invalid)} AS ci",
        f"{answer_sql(table, layout, layout.truth)} AS truth",
        f"{_segment(layout.segments)} AS segment",
    ]
    checked = (
        f"SELECT * REPLACE ({_invalid(layout, 'b', 'bs')} AS bi, {_invalid(layout, 'c', 'cs')} "
        f"AS ci) FROM (SELECT {', '.join(inner)} FROM {table.source})"
    )
    empty = "" if layout.keep_empty else " OR {side} = ''"
    b, c = (
        f"(({side} IS NULL{empty.format(side=side)}) AND {side}i = '')::TINYINT" for side in "bc"
    )
    return (
        f"SELECT coalesce(b, '') AS b, coalesce(c, '') AS c, hash(coalesce(b, '')) AS bk, "
        f"hash(coalesce(c, '')) AS ck, {b} AS bm, {c} AS cm, bs, cs, margin, bi, ci, "
        "bp, cp, bv, cv, bf, cf, bl, cl, bo, co, "
        f"{_right('b', 'bi')} AS bt, {_right('c', 'ci')} AS ct, "
        "CASE WHEN request_id = '' THEN 0::UBIGINT WHEN repeat IN ('', '0') THEN hash(request_id) "
        "ELSE hash(concat(repeat, '/', request_id)) END AS req, "
        f"CASE WHEN input_hash <> '' THEN hash(input_hash) ELSE {_hash('request_id')} END AS key, "
        f"coalesce(truth, '') AS truth, request_id, input_hash, segment, batch, variant "
        f"FROM ({checked})"
    )


def answer_sql(table: Table, layout: PairLayout, column: str) -> str:
    """An answer as text: 1 and 1.0 alike, white space around labels left out."""
    if not column:
        return "NULL::VARCHAR"
    name, kind = quote(column), table.columns[column]
    if layout.vectors and kind.endswith("]"):
        return f"CASE WHEN {name} IS NOT NULL THEN '[]' END"
    if kind in {"FLOAT", "DOUBLE"} or kind.startswith("DECIMAL"):
        number = f"{name}::DOUBLE"
        whole = f"isfinite({number}) AND {number} = trunc({number}) AND abs({number}) < {WHOLE!r}"
        return f"CASE WHEN {whole} THEN {number}::BIGINT::VARCHAR ELSE {number}::VARCHAR END"
    text = text_sql(table, column)
    return text if layout.keep_empty else f"trim({text})"


def text_sql(table: Table, column: str) -> str:
    """A column as text; lists and structures as JSON."""
    kind = table.columns[column]
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    return f"to_json({quote(column)})::VARCHAR" if nested else f"{quote(column)}::VARCHAR"


def _text(column: str) -> str:
    return f"coalesce({quote(column)}::VARCHAR, '')" if column else "''"


def _number(*columns: str | bool) -> str:
    column = next((one for one in columns if isinstance(one, str) and one), "")
    if not column:
        return "'nan'::DOUBLE"
    return f"coalesce(try_cast({quote(column)} AS DOUBLE), 'nan'::DOUBLE)"


def _probabilities(table: Table, column: str) -> str:
    return f"coalesce({text_sql(table, column)}, '')" if column else "''"


def _vector(layout: PairLayout, column: str) -> str:
    if not (layout.vectors and column):
        return "[]::DOUBLE[]"
    return f"coalesce({quote(column)}::DOUBLE[], [])"


def are_vectors(table: Table, *columns: str) -> bool:
    """Whether columns hold lists of numbers."""
    return all(
        table.columns[one].endswith("]")
        and table.columns[one].startswith(_NUMBERS)
        and table.columns[one].count("[") == 1
        for one in columns
    )


_NUMBERS = (*NUMERIC, "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


def _said_invalid(column: str) -> str:
    """Kinds that the file itself names; true and 1 are a kind without a name."""
    if not column:
        return "''"
    said = f"trim({_text(column)})"
    return (
        f"CASE WHEN lower({said}) IN ('', 'false', '0', 'none', 'null', 'ok', 'nan') THEN '' "
        f"WHEN lower({said}) IN ('true', '1') THEN 'unnamed' ELSE {said}[:60] END"
    )


def _invalid(layout: PairLayout, side: str, score: str) -> str:
    known = f"{side} IS NOT NULL AND {side} <> ''"
    cases = [f"WHEN {side}i <> '' THEN {side}i"]
    if layout.bad_bytes:
        cases.append(f"WHEN contains({side}, {literal(layout.bad_bytes)}) THEN 'wrong encoding'")
    if layout.numeric:
        cases.append(f"WHEN {known} AND isnan({score}) AND lower({side}) = 'nan' THEN 'NaN'")
        cases.append(f"WHEN {known} AND isnan({score}) THEN 'not a number'")
        cases.append(f"WHEN {known} AND isinf({score}) THEN 'infinite'")
    else:
        cases.append(f"WHEN lower({side}) = 'nan' THEN 'NaN'")
    if layout.labels:
        listed = ", ".join(literal(label) for label in layout.labels)
        cases.append(f"WHEN {known} AND {side} NOT IN ({listed}) THEN 'unknown label'")
    return f"CASE {' '.join(cases)} ELSE '' END"


def _right(side: str, invalid: str) -> str:
    return (
        f"(CASE WHEN truth IS NULL OR truth = '' THEN -1 WHEN {invalid} <> '' THEN 0 "
        f"ELSE coalesce({side} = truth, false)::TINYINT END)::TINYINT"
    )


def _hash(column: str) -> str:
    return f"CASE WHEN {column} <> '' THEN hash({column}) ELSE 0::UBIGINT END"


def _segment(columns: tuple[str, ...]) -> str:
    if not columns:
        return "''"
    parts = (f"concat({literal(one + '=')}, {_text(one)})" for one in columns)
    return f"concat_ws(',', {', '.join(parts)})"
