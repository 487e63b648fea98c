"""The demo's closing sentences say what the audit document says, one batch profile at a time."""

import pytest

from demo.sentences import joint_sentences


def claim(sentence, promise, *, quantile=None, segment=None, estimate=None, predictions=None):
    return {
        "sentence": sentence, "promise": promise, "quantile": quantile, "segment": segment,
        "estimate": estimate, "evidence": {"predictions": predictions},
    }  # fmt: skip


def bounds(value, low, high):
    return {"value": value, "low": low, "high": high}


def test_speed_and_answers_are_one_sentence_and_another_batch_its_own():
    floors = {"floor_old": {"n": 100, "hits": 0}, "floor_new": {"n": 100, "hits": 5}}
    document = {
        "sentences": [
            {"text": "2x faster, same predictions", "verdict": "refuted"},
            {"text": "2x faster for tokens=short", "verdict": "confirmed"},
            {"text": "same predictions for batch=8", "verdict": "inconclusive"},
        ],
        "claims": [
            claim(0, "faster", quantile=0.5, estimate=bounds(2.5, 2.4, 2.6)),
            claim(0, "faster", quantile=0.99, estimate=bounds(1.7, 1.4, 2.0)),
            claim(0, "faster", quantile=0.9, estimate=bounds(1.1, None, None)),
            claim(
                0, "same_predictions",
                predictions={"flips": bounds(0.103, 0.073, 0.138), "floor_old": None,
                             "floor_new": None},
            ),
            claim(1, "faster", quantile=0.5, estimate=bounds(9.0, 8.0, 10.0)),
            claim(
                2, "same_predictions", segment="batch=8",
                predictions={"flips": bounds(0.2, 0.1, 0.3), **floors},
            ),
        ],
    }  # fmt: skip
    together, batched = joint_sentences(document)
    assert together == (
        "1.70x faster at p99 [1.40, 2.00]; 10.3% of answers changed [7.3, 13.8]; "
        "“2x faster, same predictions”: REFUTED"
    )
    assert batched == (
        "at batch 8 20.0% of answers changed [10.0, 30.0]; the new variant disagrees with itself "
        "on 5.0% of answers (the old on 0.0%); “same predictions for batch=8”: INCONCLUSIVE"
    )


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        ((0.8, 0.5, 0.9), "1.25x slower at p50 [1.11, 2.00]"),
        ((0.8, 0.5, 1.25), "1.25x slower at p50 [2.00x slower to 1.25x faster]"),
    ],
)
def test_slower_is_said_as_slower(estimate, said):
    document = {
        "sentences": [{"text": "both", "verdict": "refuted"}],
        "claims": [
            claim(0, "faster", quantile=0.5, estimate=bounds(*estimate)),
            claim(0, "same_predictions"),
        ],
    }
    assert joint_sentences(document) == [f"{said}; “both”: REFUTED"]


def test_what_was_not_measured_is_not_said():
    document = {
        "sentences": [{"text": "same predictions", "verdict": "not_comparable"}],
        "claims": [claim(0, "same_predictions")],
    }
    assert joint_sentences(document) == ["“same predictions”: NOT COMPARABLE"]
