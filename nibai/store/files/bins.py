"""The query that counts a table's rows by block and bucket, and what makes a row unusable."""

from __future__ import annotations

from nibai.histogram import OVERFLOW_BUCKET, SCALE, ZERO_BUCKET, ZERO_THRESHOLD
from nibai.store.engine.sql import literal, text
from nibai.store.files.layout import Blocks, Layout, ReplicaSpan

BUCKETS = OVERFLOW_BUCKET - ZERO_BUCKET + 1


def bad(layout: Layout) -> str:
    """Rows that are neither failed nor usable: no value, NaN or negative, or no time."""
    value = f"({layout.value})"
    unusable = f"({value} IS NULL OR isnan({value}) OR {value} < 0)"
    no_time = f" OR ({layout.time}) IS NULL" if layout.time is not None else ""
    return f"(NOT ({layout.failed}) AND {unusable}){no_time}"


def bins_query(layout: Layout, source: str, blocks: Blocks, span: ReplicaSpan) -> str:
    """Rows per key `block * BUCKETS + bucket - ZERO_BUCKET` and segment, with their sum."""
    rows = _rows(layout, source, blocks, span)
    keys = "".join(f", s{i}" for i in range(len(layout.segments)))
    return f"SELECT k{keys}, count(*) AS n, sum(v) AS total FROM ({rows}) GROUP BY k{keys}"


def _rows(layout: Layout, source: str, blocks: Blocks, span: ReplicaSpan) -> str:
    block, inside = _block(layout, blocks, span)
    value = f"({layout.value})"
    regular = f"ceil(log2({value}) * {2**SCALE}) - 1"
    segments = "".join(f", {text(column)} AS s{i}" for i, column in enumerate(layout.segments))
    where = [f"NOT ({bad(layout)})", inside]
    own = []
    if layout.side is not None:
        own.append(f"{text(layout.side)} = {literal(span.side)}")
    if layout.replica is not None:
        own.append(f"{text(layout.replica)} = {literal(span.replica)}")
    if layout.time is None:
        # The rows of other replicas may stand between: only its own are cut into equal parts.
        mine = f" WHERE {' AND '.join(own)}" if own else ""
        source = f"(SELECT *, row_number() OVER () - 1 AS rowid_ FROM {source}{mine})"
    else:
        where += own
    bucket = (
        f"CASE WHEN {layout.failed} OR {value} = 'inf'::DOUBLE THEN {OVERFLOW_BUCKET} "
        f"WHEN {value} <= {ZERO_THRESHOLD!r} THEN {ZERO_BUCKET} ELSE ({regular}) END::INTEGER"
    )
    # Block and bucket share one integer: grouping by one column is a tenth faster than by two.
    return (
        f"SELECT ({block})::INTEGER * {BUCKETS} + {bucket} - ({ZERO_BUCKET}) AS k{segments}, "
        f"CASE WHEN {layout.failed} THEN 0.0 ELSE {value} END AS v "
        f"FROM {source} WHERE {' AND '.join(where)}"
    )


def _block(layout: Layout, blocks: Blocks, span: ReplicaSpan) -> tuple[str, str]:
    """(number of a row's block, condition that it has one)."""
    last = blocks.count - 1
    if layout.time is None:
        return f"least(rowid_ * {blocks.count} // {max(span.rows, 1)}, {last})", "true"
    time = f"({layout.time})"
    inside = f"{time} >= {blocks.start!r} AND {time} <= {blocks.end!r}"
    if blocks.seconds <= 0:
        return "0", inside
    if blocks.repeats > 1:
        since = f"({time} - {blocks.start!r})"
        within = f"({since} % {blocks.period!r})"
        first = f"{blocks.count} * floor({since} / {blocks.period!r})"
        part = f"least(floor({within} / {blocks.seconds!r}), {last})"
        return f"{first} + {part}", f"{inside} AND {within} < {blocks.stretch!r}"
    # The last moment of the window belongs to the last block.
    return f"least(floor(({time} - {blocks.start!r}) / {blocks.seconds!r}), {last})", inside
