"""`nibai.compare` takes what a notebook holds, and says what it cannot take."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support import inputs

import nibai
from nibai.app import given
from nibai.errors import UsageError

VALUES = inputs.latencies(1, 300, 0.2)
SECONDS = VALUES.tolist()
KINDS = {
    "list": SECONDS,
    "list of numpy's": list(VALUES.astype(np.float32)),
    "list with a gap": [None, *SECONDS[1:]],
    "generator": (one for one in SECONDS),
    "series": pd.Series(VALUES),
    "named series": pd.Series(VALUES, name="value"),
    "chunked array": pa.chunked_array([VALUES]),
    "mapping": {"value": VALUES},
    "data frame": pd.DataFrame({"value": VALUES}),
    "milliseconds": (VALUES * 1e3).astype(np.int32) / 1e3,
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_arrive_whatever_holds_them(kind):
    (table,) = given.sources(KINDS[kind])
    (name,) = table.column_names
    assert name == "value"
    own = table.column(0).to_numpy(zero_copy_only=False).astype(float)
    assert own[1:] == pytest.approx(VALUES[1:], abs=1e-3)


@pytest.mark.parametrize(
    "durations",
    [
        (VALUES * 1e9).astype("timedelta64[ns]"),
        pd.Series(pd.to_timedelta(VALUES, unit="s")),
        pd.DataFrame({"value": pd.to_timedelta(VALUES, unit="s")}),
    ],
)
def test_durations_need_no_unit(durations):
    audit = nibai.compare(durations, pa.table({"value_ms": VALUES * 500}), "2x faster at p50")
    assert audit.findings[0].estimate.value == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (VALUES > 0, "it holds bool, not numbers"),
        (VALUES.astype("datetime64[s]"), "it holds datetime64"),
        (VALUES.astype(complex), "it holds complex128"),
        (set(SECONDS), "it has no order"),
        (np.ones((2, 2)), "one dimension, this one has 2"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names"),
        (b"before.csv", "the bytes given cannot be read"),
    ],
)
def test_what_is_no_measurement_is_refused(what, said):
    with pytest.raises(UsageError, match=said):
        nibai.compare(what, VALUES, unit="s")


@pytest.mark.parametrize(
    "at",
    [
        "2026-03-01T12:00Z",
        "2026-03-01T12:00",
        dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC),
        1772366400,
    ],
)
def test_a_cut_is_a_time_however_it_is_written(at):
    assert given.moment(at) == 1_772_366_400.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "sec"}, "unit='sec' is none: give s|ms|us|ns"),
        ({"unit": "s", "level": 95}, "level=95 is none"),
        ({"unit": "s", "at": "noon"}, "at='noon' is not a time"),
        ({"unit": "s", "segments": "model"}, "no column 'model'"),
        ({"unit": "s", "offered": 400}, "--offered is given 1 times for 2"),
    ],
)
def test_options_that_make_no_sense_are_said(options, said):
    with pytest.raises(UsageError, match=said):
        nibai.compare(VALUES, VALUES, **options)
