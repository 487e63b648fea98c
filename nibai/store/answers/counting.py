"""Pairs of answers counted into sketches.

They stream out of DuckDB in order of first sight and are counted as they come, so memory does not
grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nibai.paired.build import SketchBuilder
from nibai.paired.columns import Floats, PairColumns
from nibai.predictions import PairedSketch, SameInputs
from nibai.store.answers.pairing import Pairing
from nibai.store.engine.columns import column, numbers
from nibai.store.engine.sql import literal

MAX_CLASSES = 1000
"""With more labels than this they are digests of texts and not quoted."""

BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of all answers before pairs are read: kinds of invalid ones, and so on.

    `classes`: labels are few and may be quoted. `width`: the most probabilities of an answer.
    """

    kinds: tuple[str, ...]
    classes: bool
    width: int


def facts_of(connection: Any, rows: str) -> Facts:  # noqa: ANN401 - DuckDB's
    """The facts of some answers."""
    kinds, labels, width = one_row(
        connection,
        "SELECT list(DISTINCT invalid), count(DISTINCT label), "
        f"coalesce(max(len(probabilities)), 0) FROM ({rows})",
    )
    return Facts(tuple(sorted(set(kinds or ()) - {""})), labels <= MAX_CLASSES, width)


@dataclass(frozen=True, slots=True)
class Counted:
    """A sketch per segment of `matched` pairs, and the median time between partners."""

    sketches: dict[str, PairedSketch]
    matched: int
    skew_seconds: float | None

    @property
    def inputs(self) -> int:
        """Distinct inputs of all segments."""
        return sum(sketch.pairs for sketch in self.sketches.values())


def count(connection: Any, pairing: Pairing, facts: Facts) -> Counted:  # noqa: ANN401 - DuckDB's
    """All pairs of a pairing, counted as they stream by; 8 bytes of each are kept for the skew."""
    builder = SketchBuilder()
    skews = []
    for batch in _batches(connection, pairing.select(_columns(facts)) + _ORDER):
        builder.add(_pair_columns(batch, facts))
        skews.append(numbers(batch["skew_us"]))
    apart = np.concatenate(skews) if skews else np.zeros(0)
    return Counted(
        builder.sketches, len(apart), float(np.median(apart)) / 1e6 if len(apart) else None
    )


def count_alone(
    connection: Any,  # noqa: ANN401 - DuckDB's connection
    pairing: Pairing,
) -> tuple[dict[str, int], dict[str, int]]:
    """Answers of both sides without a partner, by segment."""
    left, right = (
        {
            str(segment): int(n)
            for segment, n in connection.execute(pairing.alone(left=side)).fetchall()
        }
        for side in (True, False)
    )
    return left, right


def with_missing(
    found: dict[str, PairedSketch], alone: tuple[dict[str, int], dict[str, int]]
) -> dict[str, PairedSketch]:
    """Sketches that know of the answers without a partner: the other side's is missing."""
    whole = dict(found)
    for segment in dict.fromkeys([*alone[0], *alone[1]]):
        missing = PairedSketch(
            missing_baseline=alone[1].get(segment, 0), missing_candidate=alone[0].get(segment, 0)
        )
        whole[segment] = whole.get(segment, PairedSketch()) + missing
    return whole


def same_inputs(
    connection: Any,  # noqa: ANN401 - DuckDB's connection
    pairs: Pairing,
    floor: Pairing,
) -> SameInputs | None:
    """Flips of the inputs that were answered by both variants and twice by the old one."""
    flip = "a.input AS input, a.code <> b.code AS flip"
    once = "QUALIFY row_number() OVER (PARTITION BY a.input ORDER BY a.repeat, a.at_us) = 1"
    ab, aa = (f"{one.select(flip)} {once}" for one in (pairs, floor))
    n, only_ab, only_aa = one_row(
        connection,
        "SELECT count(*), count(*) FILTER (ab.flip AND NOT aa.flip), "
        f"count(*) FILTER (aa.flip AND NOT ab.flip) FROM ({ab}) ab JOIN ({aa}) aa USING (input)",
    )
    return SameInputs(int(n), int(only_ab), int(only_aa)) if n else None


_ORDER = " ORDER BY a.repeat, a.at_us, a.request_id"
_NAN = "'nan'::DOUBLE"


def _columns(facts: Facts) -> str:
    kinds = "[" + ", ".join(literal(kind) for kind in facts.kinds) + "]::VARCHAR[]"
    truth = "coalesce(a.truth, b.truth)"
    chosen = [
        "CASE WHEN a.input <> '' THEN hash(a.input) ELSE 0 END::UBIGINT AS key",
        "a.segment AS segment",
        "b.at_us - a.at_us AS skew_us",
        "CASE WHEN a.request_id <> '' THEN a.request_id ELSE b.request_id END AS request_id",
        "CASE WHEN a.input_hash <> '' THEN a.input_hash ELSE b.input_hash END AS input_hash",
        f"coalesce(a.margin, {_NAN}) AS margin",
    ]
    for side in "ab":
        right = f"({side}.invalid = '' AND {side}.label = {truth})::INTEGER"
        chosen += [
            f"{side}.code::UBIGINT AS code_{side}",
            f"{side}.label AS label_{side}",
            f"coalesce({side}.score, {_NAN}) AS score_{side}",
            f"coalesce(list_position({kinds}, {side}.invalid), 0)::BIGINT AS invalid_{side}",
            f"(CASE WHEN {truth} IS NULL THEN -1 ELSE {right} END)::TINYINT AS correct_{side}",
        ]
        if facts.width:
            chosen.append(f"{side}.probabilities AS probabilities_{side}")
    return ", ".join(chosen)


def _batches(connection: Any, sql: str) -> Iterator[pa.Table]:  # noqa: ANN401 - DuckDB's
    for batch in connection.sql(sql).to_arrow_reader(BATCH_ROWS):
        if batch.num_rows:
            yield pa.Table.from_batches([batch])


def _pair_columns(rows: pa.Table, facts: Facts) -> PairColumns:
    segment = rows["segment"].combine_chunks().dictionary_encode()

    def texts(name: str) -> Any:  # noqa: ANN401 - a function of rows
        return lambda at: rows[name].take(column(at, pa.int64())).to_pylist()

    sides: dict[str, Any] = {}
    for side, name in (("a", "baseline"), ("b", "candidate")):
        sides[name] = numbers(rows[f"code_{side}"])
        sides[f"{name}_label"] = texts(f"label_{side}") if facts.classes else None
        sides[f"{name}_score"] = numbers(rows[f"score_{side}"])
        sides[f"{name}_invalid"] = numbers(rows[f"invalid_{side}"])
        sides[f"{name}_correct"] = numbers(rows[f"correct_{side}"])
        if facts.width:
            sides[f"{name}_probabilities"] = _padded(rows[f"probabilities_{side}"], facts.width)
    return PairColumns(
        **sides,
        key=numbers(rows["key"]),
        segment=np.from_dlpack(segment.indices).astype(np.int64),
        segments=tuple(segment.dictionary.to_pylist()),
        request_id=texts("request_id"),
        input_hash=texts("input_hash"),
        margin=numbers(rows["margin"]),
        invalid_kinds=facts.kinds,
    )


def _padded(lists: pa.ChunkedArray, width: int) -> Floats:
    """Lists as rows of one length; NaN where there is no list."""
    found = np.full((len(lists), width), np.nan)
    whole = lists.combine_chunks()
    offsets = np.from_dlpack(whole.offsets)
    values = np.from_dlpack(whole.values)
    lengths = np.diff(offsets)
    row = np.repeat(np.arange(len(lengths)), lengths)
    found[lengths > 0] = 0.0
    found[row, np.arange(len(row)) - np.repeat(offsets[:-1] - offsets[0], lengths)] = values[
        offsets[0] : offsets[-1]
    ]
    return found


def one_row(connection: Any, sql: str) -> tuple[Any, ...]:  # noqa: ANN401 - DuckDB's
    """The one row of a query; all is fetched, so that the connection is free again."""
    (row,) = connection.execute(sql).fetchall()
    found: tuple[Any, ...] = row
    return found
