"""The answers of a replay as pairs: old against new, and each variant against itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nibai.protocols import ReplayInput
from nibai.replaying.plan import VARIANTS, Call, Profile

Output = Mapping[str, Any]
Answers = dict[tuple[str, int], list[Output | None]]
"""Outputs by (variant, repeat) and position of the input; None where no answer is known."""

SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("input_hash", pa.string()),
        ("segment", pa.string()),
        ("label", pa.string()),
        ("baseline", pa.string()),
        ("candidate", pa.string()),
        ("margin", pa.float64()),
        ("baseline_score", pa.float64()),
        ("candidate_score", pa.float64()),
        ("baseline_invalid", pa.string()),
        ("candidate_invalid", pa.string()),
        ("repeat", pa.int32()),
    ]
)
"""Columns of a pairs file; `margin` is the baseline's, `label` the known right answer."""


@dataclass(frozen=True, slots=True)
class Tables:
    """`pairs` old against new; `noise` a variant against itself, with a column `variant`."""

    pairs: pa.Table
    noise: pa.Table
    missing: int


def gather(
    calls: Iterable[Call],
    outputs: Iterable[tuple[int, Sequence[Output]]],
    n_inputs: int,
    profile: Profile,
) -> Answers:
    """The outputs of the journal, in their places."""
    found: Answers = {
        (variant, repeat): [None] * n_inputs
        for variant in VARIANTS
        for repeat in range(profile.repeats)
    }
    places = {call.number: call for call in calls}
    for number, given in outputs:
        call = places[number]
        side = found[call.variant, call.repeat]
        for place, output in zip(call.inputs, given, strict=True):
            side[place] = output
    return found


def tables(inputs: Sequence[ReplayInput], answers: Answers, profile: Profile) -> Tables:
    """Pairs of answers that are both known; an invalid answer is known."""
    baseline, candidate = VARIANTS
    pairs = [_rows(inputs, answers, (baseline, r), (candidate, r)) for r in range(profile.repeats)]
    noise = []
    for variant in VARIANTS:
        for repeat in range(1, profile.repeats):
            table = _rows(inputs, answers, (variant, repeat - 1), (variant, repeat))
            noise.append(
                table.append_column("variant", _column([variant] * len(table), pa.string()))
            )
    missing = sum(output is None for side in answers.values() for output in side)
    return Tables(pa.concat_tables(pairs), pa.concat_tables(noise), missing)


def _rows(
    inputs: Sequence[ReplayInput], answers: Answers, old: tuple[str, int], new: tuple[str, int]
) -> pa.Table:
    rows = [
        _row(one, before, after, old[1])
        for one, before, after in zip(inputs, answers[old], answers[new], strict=True)
        if before is not None and after is not None
    ]
    columns = [_column([row[one.name] for row in rows], one.type) for one in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _row(one: ReplayInput, old: Output, new: Output, repeat: int) -> dict[str, Any]:
    return {
        "request_id": one.request_id,
        "input_hash": one.input_hash,
        "segment": one.segment or None,
        "label": one.truth,
        "baseline": old.get("label"),
        "candidate": new.get("label"),
        "margin": old.get("margin"),
        "baseline_score": old.get("score"),
        "candidate_score": new.get("score"),
        "baseline_invalid": old.get("invalid") or None,
        "candidate_invalid": new.get("invalid") or None,
        "repeat": repeat,
    }


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values with gaps (None) as a column, from buffers: `pa.array` imports pandas (0.5 s)."""
    known = np.array([value is not None for value in values], np.uint8)
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    if kind != pa.string():
        dtype = np.dtype(kind.to_pandas_dtype())
        numbers = np.array([0 if value is None else value for value in values], dtype)
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)])
    texts = [("" if value is None else value).encode("utf-8", "replace") for value in values]
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    long = pa.Array.from_buffers(
        pa.large_string(), len(values), [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    )
    return long.cast(kind)
