"""The answers of a replay as pairs: old against new, and each variant against itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from nibai.protocols import ReplayInput
from nibai.replaying.plan import VARIANTS, Call, Profile

Output = Mapping[str, Any]
Answers = dict[tuple[str, int], list[Output | None]]
"""Outputs by (variant, repeat) and position of the input; None where nothing was sent yet."""

LOST: Output = MappingProxyType({})
"""The output of a call that was in flight when a run was killed."""

SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("input_hash", pa.string()),
        ("segment", pa.string()),
        ("label", pa.string()),
        ("batch", pa.int32()),
        ("baseline", pa.string()),
        ("candidate", pa.string()),
        ("margin", pa.float64()),
        ("baseline_score", pa.float64()),
        ("candidate_score", pa.float64()),
        ("baseline_invalid", pa.string()),
        ("candidate_invalid", pa.string()),
        ("baseline_finish", pa.string()),
        ("candidate_finish", pa.string()),
    ]
)
"""Columns of a pairs file; `margin` is the baseline's, `label` the known right answer."""


@dataclass(frozen=True, slots=True)
class Tables:
    """`pairs` old against new; `noise` a variant against itself, with a column `variant`."""

    pairs: pa.Table
    noise: pa.Table
    lost: int


def gather(
    calls: Iterable[Call],
    outputs: Iterable[tuple[int, Sequence[Output]]],
    lost: Collection[int],
    n_inputs: int,
    profile: Profile,
) -> Answers:
    """The outputs of the journal, in their places; `lost` are calls in flight at a kill."""
    found: Answers = {
        (variant, repeat): [None] * n_inputs
        for variant in VARIANTS
        for repeat in range(profile.repeats)
    }
    places = {call.number: call for call in calls}
    missing = ((number, [LOST] * len(places[number].inputs)) for number in lost)
    for number, given in chain(outputs, missing):
        call = places[number]
        side = found[call.variant, call.repeat]
        for place, output in zip(call.inputs, given, strict=True):
            side[place] = output
    return found


def tables(inputs: Sequence[ReplayInput], answers: Answers, profile: Profile) -> Tables:
    """A row per input and pair of neighbouring repeats; a side that was lost is empty.

    With two repeats that is one row an input. Rows of further repeats carry the number of the
    repeat behind the request id: for the judge, requests that happen to have the same input.
    """
    baseline, candidate = VARIANTS
    repeats = range(profile.repeats - 1)
    pairs = [
        _rows(inputs, answers, ((baseline, r), (candidate, r)), profile.batch) for r in repeats
    ]
    noise = []
    for variant in VARIANTS:
        for repeat in repeats:
            sides = ((variant, repeat), (variant, repeat + 1))
            table = _rows(inputs, answers, sides, profile.batch)
            names = _column([variant] * len(table), pa.string())
            noise.append(table.append_column("variant", names))
    lost = sum(output is LOST for side in answers.values() for output in side)
    return Tables(pa.concat_tables(pairs), pa.concat_tables(noise), lost)


def _rows(
    inputs: Sequence[ReplayInput],
    answers: Answers,
    sides: tuple[tuple[str, int], tuple[str, int]],
    batch: int,
) -> pa.Table:
    repeat = sides[0][1]
    old, new = (answers[side] for side in sides)
    rows = [
        {
            "request_id": one.request_id + (f"#{repeat + 1}" if repeat else ""),
            "input_hash": one.input_hash,
            "segment": one.segment or None,
            "label": one.truth,
            "batch": batch,
            **_row(before, after),
        }
        for one, before, after in zip(inputs, old, new, strict=True)
        if before is not None and after is not None
    ]
    columns = [_column([row[one.name] for row in rows], one.type) for one in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _row(old: Output, new: Output) -> dict[str, Any]:
    found = {"margin": old.get("margin")}
    for variant, output in zip(VARIANTS, (old, new), strict=True):
        found[variant] = output.get("answer")
        for name in ("score", "invalid", "finish"):
            found[f"{variant}_{name}"] = output.get(name)
    return found


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
