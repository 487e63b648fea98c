"""The shapes of rows, in the write-ahead log and in the lake: additive ones, and answers."""

from __future__ import annotations

import pyarrow as pa

from nibai.conventions import WAL_COLUMNS

_TEXT = pa.dictionary(pa.int32(), pa.string())

WAL_SCHEMA = pa.schema(
    [
        ("endpoint", _TEXT),
        ("variant", _TEXT),
        ("replica", _TEXT),
        ("segment", _TEXT),
        ("metric", _TEXT),
        ("minute", pa.int32()),
        ("scale", pa.int8()),
        ("bucket", pa.int16()),
        ("count", pa.int64()),
        ("value", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("errors", pa.int64()),
        ("timeouts", pa.int64()),
        ("provenance", _TEXT),
    ]
)
assert tuple(WAL_SCHEMA.names) == WAL_COLUMNS  # noqa: S101 - two spellings of one contract

PREDICTION_SCHEMA = pa.schema(
    [
        ("endpoint", _TEXT),
        ("variant", _TEXT),
        ("replica", _TEXT),
        ("segment", _TEXT),
        ("at_us", pa.int64()),
        ("request_id", pa.string()),
        ("input_hash", pa.string()),
        ("label", _TEXT),
        ("score", pa.float64()),
        ("margin", pa.float64()),
        ("probabilities", pa.list_(pa.float32())),
        ("truth", _TEXT),
        ("invalid", _TEXT),
        ("batch", pa.int32()),
        ("source", _TEXT),
        ("repeat", pa.int32()),
    ]
)
"""One answer a row (`nibai.predictions.PredictionRecord`), in the log and before it is folded."""

_KEY: list[tuple[str, pa.DataType]] = [
    ("day", pa.date32()),
    ("endpoint", pa.string()),
    ("variant", pa.string()),
    ("replica", pa.string()),
    ("segment", pa.string()),
    ("metric", pa.string()),
    ("minute", pa.int32()),
    ("provenance", pa.string()),
]

_HIST = [("scale", pa.int8()), ("bucket", pa.int16()), ("count", pa.int32())]
_CELL = [
    ("count", pa.int64()),
    ("sum", pa.float64()),
    ("min", pa.float64()),
    ("max", pa.float64()),
    ("errors", pa.int64()),
    ("timeouts", pa.int64()),
]
_CATEGORY = [("key", pa.string()), ("count", pa.int32())]


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


PREDICTIONS = "predictions"
# Answers are no sums: one row each, kept for days, paired by queries.
_PREDICTIONS = [
    ("day", pa.date32()),
    ("minute", pa.int32()),
    *((field.name, _plain(field.type)) for field in PREDICTION_SCHEMA),
]

# Delta has no unsigned types: everything is signed, and sums are made in BIGINT.
TABLES: dict[str, pa.Schema] = {
    "hist": pa.schema(_KEY + _HIST),
    "cell": pa.schema(_KEY + _CELL),
    "category": pa.schema(_KEY + _CATEGORY),
    "hist_hour": pa.schema(_KEY + _HIST),
    "cell_hour": pa.schema(_KEY + _CELL),
    "category_hour": pa.schema(_KEY + _CATEGORY),
    PREDICTIONS: pa.schema(_PREDICTIONS),
}
