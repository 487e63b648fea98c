"""Ratio of lengths on known truth, and the margin of texts under speculative decoding."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.text_outputs import are_texts, length_ratio, text_rows
from nibai.claims import parse
from nibai.model import Change, ChangeKind
from nibai.prediction_evidence import Bounds, Distribution
from nibai.prediction_plans import judged_margins, plans_of
from nibai.predictions import Moments, PairedSketch
from nibai.texts.pairs import BASELINE_LENGTH, CANDIDATE_LENGTH, EDIT_DISTANCE, LENGTH_DIFFERENCE


def moments(values):
    return Moments(len(values), values.sum(), (values**2).sum(), values.min(), values.max())


def sketch(old, new):
    return PairedSketch(
        pairs=len(old),
        moments={
            BASELINE_LENGTH: moments(old),
            CANDIDATE_LENGTH: moments(new),
            LENGTH_DIFFERENCE: moments(new - old),
        },
    )


def test_the_ratio_of_mean_lengths_covers_the_truth():
    # True ratio 1.2; 400 repetitions of 200 pairs: the standard error of 95 % is 1.1 points.
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        old = rng.lognormal(4, 0.8, 200)
        new = old * 1.2 * rng.lognormal(-0.08, 0.4, 200)
        bounds = length_ratio(sketch(old, new), 0.05)
        covered += bounds.low <= 1.2 <= bounds.high
    assert 0.90 <= covered / 400 <= 0.985


def test_equal_lengths_are_a_ratio_of_one_without_doubt():
    lengths = np.arange(1.0, 50.0)
    found = length_ratio(sketch(lengths, lengths), 0.05)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("old", [[], [0.0, 0.0]])
def test_without_lengths_there_is_no_ratio(old):
    pairs = PairedSketch() if not old else sketch(np.array(old), np.array(old) + 1)
    assert length_ratio(pairs, 0.05) is None


def test_one_pair_has_no_interval():
    assert length_ratio(sketch(np.array([10.0]), np.array([20.0])), 0.05) == Bounds(2.0, None, None)


def test_the_rows_show_the_ratio_and_not_its_parts():
    rows = [
        Distribution(name, 49, Bounds(7.0, 6.0, 8.0), p99=3.0)
        for name in ("chrf", "length_ratio", BASELINE_LENGTH, CANDIDATE_LENGTH, LENGTH_DIFFERENCE)
    ]
    lengths = np.arange(1.0, 50.0)
    found = text_rows(rows, sketch(lengths, 2 * lengths), 0.05)
    assert [row.metric for row in found] == ["chrf", "length_ratio"]
    assert found[0].mean.value == 7.0
    assert found[1].mean.value == 2.0
    assert found[1].p99 == 3.0


def test_texts_are_told_by_their_edit_distance():
    assert not are_texts([PairedSketch()])
    assert are_texts([PairedSketch(), PairedSketch(moments={EDIT_DISTANCE: Moments(1, 0.5)})])


def test_speculative_decoding_holds_texts_to_half_a_percent_beyond_the_floor():
    sentence = parse("same predictions")
    claim = sentence.parts[0]
    change = Change("c", "e", (ChangeKind.SPECULATIVE_DECODING,), sentences=(sentence,))
    margins, fixed_at = judged_margins(change, claim, texts=True)
    assert (margins.flips, fixed_at) == (0.005, None)
    assert margins.source == "default for speculative_decoding of texts"
    assert judged_margins(change, claim)[0].flips == 0.001
    # Declared before anybody knew that the answers are texts: not an edited margin.
    declared = Change(
        "c", "e", change.kinds, sentences=(sentence,), declared_at=5.0, predictions=plans_of(change)
    )
    margins, fixed_at = judged_margins(declared, claim, texts=True)
    assert (margins.flips, fixed_at) == (0.005, 5.0)


def test_other_kinds_and_stated_margins_are_the_same_for_texts():
    stated = parse("same predictions within 3%").parts[0]
    change = Change("c", "e", (ChangeKind.SPECULATIVE_DECODING,))
    assert judged_margins(change, stated, texts=True)[0].flips == 0.03
    both = Change("c", "e", (ChangeKind.SPECULATIVE_DECODING, ChangeKind.DRIVER))
    assert judged_margins(both, parse("same predictions").parts[0], texts=True)[0].flips == 0.001
