"""A verdict about predictions, once reached, stays: whatever later answers say."""

import json
from dataclasses import replace

import pytest
from support.pairs import QUIET, Pairs, declared, sample

from analyzers.predictions import Predictions
from nibai.app.resting import resting
from nibai.model import Verdict, Window
from nibai.store.state.database import open_state


@pytest.fixture
def state(tmp_path):
    opened = open_state(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def look(state):
    """One look at a sample at a moment."""

    def ask(one, now=0.0, level=0.95, change=None):
        asked = change or declared("same predictions within 2%")
        (found,) = resting({"p": Predictions(level)}, state, level, now)["p"].analyze(
            asked, Pairs(one)
        )
        return found

    return ask


def test_what_was_refuted_stays_refuted_with_the_numbers_of_now(look):
    first = look(sample(3000, 150, **QUIET), now=1_750_000_000.0)
    assert first.verdict is Verdict.REFUTED
    later = look(sample(60_000, 700, **QUIET), now=1_750_086_400.0)
    assert later.verdict is Verdict.REFUTED
    assert later.reason == first.reason
    assert later.evidence.p_refute == first.evidence.p_refute
    assert later.estimate.value == pytest.approx(700 / 60_000)
    assert later.evidence.notes[-1] == (
        "decided with 3,000 pairs at 2025-06-15T15:06:40Z: final, however often one looks; numbers "
        "are those of now"
    )


def test_what_was_confirmed_stays_and_what_is_open_may_still_be_decided(look):
    assert look(sample(3000, 45, **QUIET)).verdict is Verdict.INCONCLUSIVE
    assert look(sample(5000, 40, **QUIET)).verdict is Verdict.CONFIRMED
    assert look(sample(6000, 300, **QUIET)).verdict is Verdict.CONFIRMED


@pytest.mark.parametrize(
    "other",
    [
        {"claim": "same predictions within 3%"}, {"source": "replay:again"}, {"batch": 8},
        {"level": 0.9}, {"window": Window(0.0, 60.0)}, {"id": "another"},
    ],
)  # fmt: skip
def test_another_question_is_judged_anew(look, other):
    assert look(sample(5000, 40, **QUIET)).verdict is Verdict.CONFIRMED
    level, window = other.pop("level", 0.95), other.pop("window", None)
    change = declared(other.pop("claim", "same predictions within 2%"))
    change = replace(change, id=other.pop("id", change.id), candidate_window=window)
    found = look(sample(5000, 900, **QUIET, **other), level=level, change=change)
    assert found.verdict is Verdict.REFUTED


def test_files_and_thin_data_leave_no_mark(look, state):
    look(sample(200, 0, **QUIET))
    assert look(sample(5000, 400, **QUIET)).verdict is Verdict.REFUTED
    assert json.dumps(state.watch("test", "nothing")) == "null"
