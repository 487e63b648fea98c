"""What the variants of a change answered, paired by queries over the kept answers.

Two variants are joined by request id, else by input hash; a variant is joined with itself by its
repeats. Pairs stream out of DuckDB in order of first sight and are counted as they come, so memory
does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nibai.conventions import LIVE_SOURCES
from nibai.model import Window
from nibai.paired.build import SketchBuilder
from nibai.paired.columns import Floats, PairColumns
from nibai.predictions import PairedSketch, SameInputs
from nibai.store.engine.columns import column, numbers
from nibai.store.engine.sql import literal

MAX_CLASSES = 1000
"""With more labels than this they are digests of texts and not quoted."""

BATCH_ROWS = 100_000

LIVE = ""
"""The origin of answers to live traffic; replays have their source's name."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Answers given under one batch size, live or replayed."""

    batch: int
    live: bool

    @property
    def where(self) -> str:
        """The condition of its rows."""
        return f"batch = {self.batch} AND origin {'=' if self.live else '<>'} {literal(LIVE)}"


@dataclass(frozen=True, slots=True)
class Party:
    """One side: a variant's answers, the live ones in a window (None: all that are kept)."""

    variant: str
    window: Window | None = None

    @property
    def where(self) -> str:
        """The condition of its rows."""
        where = f"variant = {literal(self.variant)}"
        if self.window is None:
            return where
        start, end = (round(edge * 1e6) for edge in (self.window.start, self.window.end))
        inside = f"at_us >= {start} AND at_us < {end}"
        return f"{where} AND (origin <> {literal(LIVE)} OR {inside})"


@dataclass(frozen=True, slots=True)
class Pairing:
    """SQL for pairs: two relations and how their rows meet."""

    left: str
    right: str
    on: str

    def select(self, columns: str) -> str:
        """A query over the pairs (a is the left row, b the right one)."""
        return f"SELECT {columns} FROM ({self.left}) a JOIN ({self.right}) b ON {self.on}"

    def alone(self, *, left: bool) -> str:
        """Answers of one side without a partner, by segment."""
        sides = [(self.left, "a"), (self.right, "b")]
        (kept, name), (partner, other) = sides if left else sides[::-1]
        return (
            f"SELECT segment, count(*) FROM (SELECT {name}.segment FROM ({kept}) {name} "
            f"ANTI JOIN ({partner}) {other} ON {self.on}) GROUP BY 1"
        )


def rows_sql(files: str, endpoint: str) -> str:
    """An endpoint's answers with what they are joined and compared by."""
    live = ", ".join(literal(source) for source in LIVE_SOURCES)
    return (
        "SELECT *, "
        f"CASE WHEN source IN ({live}) THEN {literal(LIVE)} ELSE source END AS origin, "
        "CASE WHEN input_hash <> '' THEN input_hash ELSE request_id END AS input, "
        # Equal codes are equal answers; of answers without a label the scores are compared.
        "CASE WHEN invalid <> '' THEN hash('invalid', invalid) "
        "WHEN label <> '' THEN hash('label', label) "
        "ELSE hash('score', coalesce(score, 'nan'::DOUBLE) + 0.0) END AS code "
        f"FROM {files} WHERE endpoint = {literal(endpoint)}"
    )


def side_sql(rows: str, party: Party, profile: Profile) -> str:
    """One side's answers in a profile, without second answers to one request."""
    return (
        f"SELECT * FROM ({rows}) WHERE {party.where} AND {profile.where} "
        "QUALIFY request_id = '' OR row_number() OVER "
        "(PARTITION BY hash(origin, request_id, input_hash, repeat) ORDER BY at_us, replica) = 1"
    )


def by_request(left: str, right: str) -> Pairing:
    """Answers to the same request."""
    return Pairing(
        left,
        right,
        "a.request_id = b.request_id AND a.repeat = b.repeat AND a.origin = b.origin "
        "AND a.request_id <> '' "
        "AND (a.input_hash = b.input_hash OR a.input_hash = '' OR b.input_hash = '')",
    )


def by_input(left: str, right: str) -> Pairing:
    """The i-th answers to the same input."""
    numbered = (
        "SELECT *, row_number() OVER (PARTITION BY origin, input_hash, repeat ORDER BY at_us) "
        "AS nth FROM ({}) WHERE input_hash <> ''"
    )
    return Pairing(
        numbered.format(left),
        numbered.format(right),
        "a.input_hash = b.input_hash AND a.repeat = b.repeat AND a.origin = b.origin "
        "AND a.nth = b.nth",
    )


def repeats(rows: str, party: Party, batch: int) -> Pairing:
    """First and second of the repeated answers of a variant to an input, live or replayed."""
    one = (
        f"SELECT * FROM ({rows}) WHERE {party.where} AND batch = {batch} AND input <> '' "
        "QUALIFY row_number() OVER (PARTITION BY origin, input, repeat ORDER BY at_us) = 1"
    )
    return _first_and_second(one, "repeat, at_us")


def sightings(rows: str, party: Party, batch: int) -> Pairing:
    """First and second answer of a variant to an input that came again as another request."""
    one = (
        f"SELECT * FROM ({rows}) WHERE {party.where} AND batch = {batch} AND input_hash <> '' "
        "AND repeat = 0"
    )
    return _first_and_second(one, "at_us, replica, request_id")


def _first_and_second(one: str, order: str) -> Pairing:
    numbered = (
        f"SELECT *, row_number() OVER (PARTITION BY origin, input ORDER BY {order}) AS nth "
        f"FROM ({one})"
    )
    return Pairing(
        f"SELECT * FROM ({numbered}) WHERE nth = 1",
        f"SELECT * FROM ({numbered}) WHERE nth = 2",
        "a.input = b.input AND a.origin = b.origin",
    )


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


# -- counting -----------------------------------------------------------------------------------


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
