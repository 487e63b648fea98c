"""Answers followed without a change: moved outputs, moved traffic, each told once."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
import time_machine
from support.alarms import alarms_since
from support.output_hours import label_table

from nibai import cli
from nibai.model import Moved
from nibai.stats.output_watch import HourlyCounts, follow
from nibai.store.lake.delta import Lake
from nibai.store.lake.rows import TABLES
from nibai.store.state.database import open_state

LEARNED = 4 * 168
END = 456_000  # an hour in January 2022
ENDPOINT = "onprem/tokyo/ocr"


def test_nothing_is_watched_before_four_weeks():
    found = follow([label_table(1, LEARNED)])
    assert found.watched_from is None
    assert found.streams == 4  # three labels and the volume


def test_a_share_that_moves_is_found_in_hours_and_said_against_last_week():
    at = LEARNED + 100
    found = follow([label_table(2, LEARNED + 300, moved=0.1, at=at)], volume=False)
    first = found.moved[0]
    assert (first.name, first.key) in {("label", "a"), ("label", "b")}
    assert at - 6 <= first.start <= first.at < at + 48
    assert abs(first.after - first.before) == pytest.approx(0.1, abs=0.05)


def test_rhythms_of_day_and_week_are_no_change():
    assert not follow([label_table(3, LEARNED + 400, noise=0.0)]).moved


def test_volume_alone_is_traffic():
    rng = np.random.default_rng(4)
    rate = np.where(np.arange(LEARNED + 200) >= LEARNED + 60, 700, 400)
    counts = np.column_stack([rng.poisson(0.3 * rate), rng.poisson(0.7 * rate)])
    (first,) = follow([HourlyCounts("label", ("a", "b"), 0, counts)]).moved
    assert first.name == "volume"
    assert (first.before, first.after) == pytest.approx((400, 700), abs=40)


def test_rare_labels_are_followed_together():
    counts = np.column_stack([label_table(5, LEARNED + 10).counts, np.ones((LEARNED + 10, 4), int)])
    classes = ("a", "b", "c", "r1", "r2", "r3", "r4")
    assert follow([HourlyCounts("label", classes, 0, counts)]).streams == 5  # and the volume


# -- the command ----------------------------------------------------------------------------------


def answers(folder, endpoint=ENDPOINT, first=0, last=5 * 168, sequence=1):
    """Of five weeks of answers to `END` some hours; the last 60 give label a 15 points more."""
    hours = 5 * 168
    table = label_table(6, hours, moved=0.15, at=hours - 60)
    rows = [
        {"endpoint": endpoint, "variant": "v1", "replica": "", "segment": "", "key": key,
         "metric": "prediction", "provenance": "exact", "minute": (END - hours + hour) * 60 + 7,
         "day": datetime.fromtimestamp((END - hours + hour) * 3600, UTC).date(), "count": int(n)}
        for hour, row in enumerate(table.counts)
        if first <= hour < last
        for key, n in zip(table.classes, row, strict=True)
    ]  # fmt: skip
    schema = TABLES["category"]
    rows_ = pa.Table.from_pylist(rows, schema)
    Lake(folder / "lake").commit("category", rows_, "test", sequence)


@pytest.fixture
def lake(tmp_path):
    answers(tmp_path)
    return tmp_path


def look(folder, capsys, *words, at=END):
    with time_machine.travel(at * 3600 + 400, tick=False):
        code = cli.invoke(["changes", "watch", "--predictions", *words, "--data", str(folder)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_each_alarm_is_told_once_and_learned_anew(lake, capsys):
    code, out, err = look(lake, capsys, at=END - 70)
    assert (code, out) == (0, "")
    assert "0 new alarms; answers of 1 of 1 series watched up to " in err
    code, out, err = look(lake, capsys)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{ENDPOINT}  v1"
    assert "outputs moved: label “" in lines[1]
    assert lines[1].endswith(" of answers")
    assert lines[-2] == (
        "    no verdict: only the same inputs through both variants show changed answers"
    )
    assert "1 learning until " in err
    assert err.endswith("a false alarm of all in 30 days has a chance of at most 5 %\n")
    assert look(lake, capsys)[1] == ""
    state = open_state(lake / "state.sqlite")
    (alarm,) = alarms_since(state, 0.0)
    state.close()
    assert (alarm.endpoint, alarm.moved) == (ENDPOINT, Moved.ANSWERS)
    assert alarm.text.startswith("v1: outputs moved: label “")
    assert alarm.tolerated == "a chance of at most 5% for one of all series in 30 days"
    assert "--baseline-variant v1 --candidate-variant v1" in alarm.declare


def test_answers_that_arrive_for_hours_are_waited_for_and_their_alarm_is_not_lost(tmp_path, capsys):
    """An hour of captures is there three hours later; what moved shows 56 hours before the end."""
    endpoint, hours = "sagemaker/123456789012.eu-west-1/chat", 5 * 168
    source, place = "data_capture-123456789012-eu-west-1-chat", "s3://bucket/chat/v1/"
    first, said = 0, []
    for sequence, back in enumerate((57, 20), 1):
        answers(tmp_path, endpoint, first, hours - back, sequence)
        state = open_state(tmp_path / "state.sqlite")
        state.set_read_until(source, {place: (END - back) * 3600.0})
        state.close()
        said.append(look(tmp_path, capsys, at=END - back + 3)[1])
        first = hours - back
    assert said[0] == ""
    assert "outputs moved: label “" in said[1]


def test_a_look_as_json(lake, capsys):
    document = json.loads(look(lake, capsys, "--format", "json")[1])
    assert document["schema"] == "nibai.watched-outputs/1"
    alarm = document["alarms"][0]
    assert (alarm["endpoint"], alarm["moved"], alarm["of"]) == (ENDPOINT, "outputs", "label")
    assert alarm["started"] < alarm["raised_at"]
    assert abs(alarm["after"] - alarm["before"]) > 0.05


def test_a_lake_without_answers_is_said(tmp_path, capsys):
    assert look(tmp_path, capsys)[2] == (
        "nothing to look at: the lake has no answers (see nibai lake info)\n"
    )


def test_watching_latency_leaves_the_answers_state_alone(lake, capsys):
    look(lake, capsys)
    assert cli.invoke(["changes", "watch", "--block", "1h", "--data", str(lake)]) == 0
    assert "nothing to look at" in capsys.readouterr().err
