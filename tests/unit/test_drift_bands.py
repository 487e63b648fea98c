"""Null bands of distances, tests of two samples, and tables for other tools' reports."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.drift_bands import described, sampled, shuffles, values_of
from analyzers.drift_tables import evidence_tables, measured_shares
from nibai.answer_rows import AnswerColumn, AnswerRows, RowKind
from nibai.stats.column_tests import contingency_p, dependent_ks, independent_values
from tests.support.answer_rows import answer_rows, finding


def test_pairs_swap_and_stay_pairs():
    rows = answer_rows(n=50)
    sides = values_of(rows.columns[1])
    old, new = next(iter(shuffles(rows, sides, 1, np.random.default_rng(1))))
    pairs = np.sort(np.stack([old, new]), axis=0)
    assert (pairs == np.sort(np.stack(sides), axis=0)).all()
    assert not (old == sides[0]).all()


def test_windows_exchange_whole_blocks():
    blocks = np.repeat(np.arange(6), 10), np.repeat(np.arange(4), 10)
    values = blocks[0] * 1.0, blocks[1] + 100.0
    column = AnswerColumn("score", RowKind.NUMBER, *values)
    rows = AnswerRows((column,), paired=False, blocks=blocks)
    seen = set()
    for old, new in shuffles(rows, values, 20, np.random.default_rng(2)):
        assert (len(old), len(new)) == (60, 40)
        for side in (old, new):
            assert (side.reshape(-1, 10) == side.reshape(-1, 10)[:, :1]).all()
        assert sorted([*old, *new]) == sorted([*values[0], *values[1]])
        seen.add(tuple(old[::10]))
    assert len(seen) > 10


def test_windows_without_blocks_exchange_rows():
    column = AnswerColumn("score", RowKind.NUMBER, np.arange(5.0), np.arange(5.0, 8.0))
    rows = AnswerRows((column,), paired=False)
    ((old, new),) = shuffles(rows, values_of(column), 1, np.random.default_rng(3))
    assert (len(old), len(new)) == (5, 3)
    assert sorted([*old, *new]) == list(range(8))


def test_samples_keep_pairs_together_and_blocks_beside_their_rows():
    rows = sampled(answer_rows(n=100, flips=0), 30, np.random.default_rng(4))
    assert rows.columns[0].baseline == rows.columns[0].candidate
    assert len(rows.columns[0].baseline) == 30
    column = AnswerColumn("x", RowKind.NUMBER, np.arange(50.0), np.arange(40.0))
    windows = AnswerRows((column,), paired=False, blocks=(np.arange(50), np.arange(40)))
    few = sampled(windows, 10, np.random.default_rng(5))
    assert (few.columns[0].baseline == few.blocks[0]).all()
    assert (len(few.blocks[0]), len(few.blocks[1])) == (10, 10)
    assert sampled(windows, 50, np.random.default_rng(5)) is windows


def test_a_band_is_said_in_words():
    rows = answer_rows(n=5)
    assert described("x", 0.5, [0.0, 1.0], rows).said.startswith("as without any change")
    assert described("x", 2.0, [0.0, 1.0], rows).said == (
        "more than without any change (95% of 2 swapped pairs)"
    )


# -- tests of two samples -------------------------------------------------------------------


def test_contingency_of_known_tables():
    # The p-values of chi2_contingency in scipy.stats.
    assert contingency_p([120, 90, 90], [90, 110, 100]) == pytest.approx(0.0331731, abs=1e-6)
    assert contingency_p([50, 50], [50, 50]) == 1.0
    assert contingency_p([100], [90]) == 1.0
    assert contingency_p([0, 0], [50, 50]) == 1.0
    assert contingency_p([500, 500], [400, 600]) < 1e-4


def test_rare_classes_count_as_one():
    table = [1000, *[1] * 40], [1000, *[2] * 40]
    assert contingency_p(*table) == contingency_p([1000, 40], [1000, 80])


def test_a_series_counts_as_its_independent_values():
    rng = np.random.default_rng(6)
    assert independent_values(rng.normal(size=2000)) > 1500
    slow = np.repeat(rng.normal(size=100), 20)
    assert 50 < independent_values(slow) < 200
    assert independent_values(np.ones(7)) == 7


def test_ks_sees_a_shift_and_takes_no_wave_for_one():
    rng = np.random.default_rng(7)
    assert dependent_ks(rng.normal(size=500), rng.normal(0.5, size=500))[1] < 1e-6
    assert dependent_ks([1.0], [2.0, 3.0]) == (0.0, 1.0)
    waves = [np.repeat(rng.normal(size=12), 30) for _ in range(2)]
    assert dependent_ks(*waves)[1] > 0.01


# -- tables ---------------------------------------------------------------------------------


def test_tables_hold_what_was_measured_and_say_what_was_not():
    tables = evidence_tables(finding(segment="<b>"))
    assert tables["Gates"][1] == ["excess flips‹b›", "failed", "10.4% [9.43, 11.5]", "2%", "3500"]
    assert tables["Noise floor"][1:] == [
        ["baseline", "0% [0, 0.1]", "3500"],
        ["candidate", "not measured", "0"],
    ]
    assert tables["Flips by the margin of the old answer"][1] == ["0 to 0.25", "900", "324", "36%"]
    assert [name for name, *_ in measured_shares(finding())] == [
        "changed answers",
        "self-flips of the baseline",
        "excess flips",
    ]
