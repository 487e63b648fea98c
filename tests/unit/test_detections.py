"""From an alarm of a detector to a receiver: kept, told once, ended when a claim is about it."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from support.alarms import alarms_since
from support.hooks import hooked
from support.onwatch import CUT, SAME, declared, on_watch

from nibai.app.alarms import latency_alarm
from nibai.app.detections import unannounced
from nibai.app.outputs_watch import MovedOutputs, outputs_alarm
from nibai.history import Alarm, Movement, Suspect
from nibai.model import Estimate, Moved, Window
from nibai.stats.output_watch import Moved as MovedStream
from nibai.stats.placebo_points import PlaceboRank
from nibai.store.state.alerts import alerts as stored_alerts
from nibai.store.state.database import open_state
from nibai.store.state.detections import Alarmed, events_since, put_alarms
from nibai.store.state.migrations import STEPS, _events_of_detections
from nibai.store.state.tables import SCHEMA_VERSION

HOUR, DAY = 3600.0, 86_400.0


def alarmed(
    moved=Moved.WORSE, *, series="latency", raised_at=CUT + 2 * HOUR, endpoint=SAME, began_at=None
):
    began = raised_at - HOUR if began_at is None else began_at
    return Alarmed(
        endpoint, series, moved, began, raised_at, f"{series}: p50 slower", "one in 30 d"
    )


def keep(state, *alarms):
    with state.begin() as connection:
        put_alarms(connection, alarms)


def alarm(view="p50", size=0.5, metric="latency", suspect=None):
    movement = Movement(view, 0.5, 0.1, 0.2, Estimate(size, size, size, 0.95), True, "p50 moved")  # noqa: FBT003
    before = Window(CUT - 7 * DAY, CUT)
    return Alarm(
        SAME, "blue", metric, "", CUT, CUT + HOUR, before, movement, suspect, CUT + 7 * DAY
    )


@pytest.mark.parametrize(
    ("view", "size", "metric", "moved"),
    [
        ("p50", 0.5, "latency", Moved.WORSE),
        ("p99", 2.0, "latency", Moved.BETTER),
        ("p50", 2.0, "throughput", Moved.WORSE),
        ("p50", 0.5, "throughput", Moved.BETTER),
        ("errors", 0.1, "latency", Moved.WORSE),
        ("errors", -0.1, "latency", Moved.BETTER),
        ("p50", None, "latency", Moved.WORSE),
    ],
)
def test_what_moved_is_for_the_worse_unless_it_is_known_to_be_better(view, size, metric, moved):
    found = latency_alarm(alarm(view, size, metric), "key", 30 * DAY)
    assert found.moved is moved
    assert found.text == f"blue, {metric}: p50 moved"
    assert found.tolerated == "one of all series together in 30 days is tolerated"


def test_a_suspect_is_named():
    suspect = Suspect("c7", SAME, ("container",), "", CUT - HOUR, 3600.0, same_endpoint=True)
    found = latency_alarm(alarm(suspect=suspect), "key", 30 * DAY)
    assert found.suspect == "change c7 (container) at 2022-01-17T23:00:00Z"
    other = latency_alarm(alarm(suspect=replace(suspect, endpoint="a/b/c")), "key", 30 * DAY)
    assert " of a/b/c at " in other.suspect


def test_answers_and_traffic_are_told_apart():
    stream = MovedStream("label", "cat", 100, 104, 0.3, 0.4, PlaceboRank(20, 0))
    answers = outputs_alarm(MovedOutputs(SAME, "blue", stream), "key")
    assert (answers.moved, answers.began_at, answers.raised_at) == (
        Moved.ANSWERS, 100 * HOUR, 105 * HOUR,
    )  # fmt: skip
    assert answers.text == "blue: outputs moved: label “cat” 0.3 → 0.4 of answers"
    volume = replace(stream, name="volume", before=300.0, after=20.0)
    assert outputs_alarm(MovedOutputs(SAME, "", volume), "key").moved is Moved.TRAFFIC


def test_alarms_of_one_event_are_one_detection_and_others_are_not():
    state = open_state("sqlite://")
    several = [
        alarmed(raised_at=CUT),
        alarmed(series="ttft", raised_at=CUT + 3 * HOUR),
        alarmed(Moved.BETTER, series="errors", raised_at=CUT + 4 * HOUR),
        alarmed(endpoint="a/b/other", raised_at=CUT + 5 * HOUR),
        alarmed(raised_at=CUT + 2 * DAY, began_at=CUT),
    ]
    keep(state, *several)
    found = events_since(state, 0.0)
    assert [[one.series for one in event] for event in found.values()] == [
        ["latency", "ttft"], ["errors"], ["latency"], ["latency"],
    ]  # fmt: skip
    assert list(found) == [several[i].id for i in (0, 2, 3, 4)]
    state.close()


@pytest.mark.parametrize("back", [-0.5, -20.0])
def test_an_alarm_that_is_stored_later_renames_no_event(back):
    state = open_state("sqlite://")
    first = alarmed(raised_at=CUT)
    keep(state, first)
    late = alarmed(series="ttft", raised_at=CUT + back * HOUR)
    keep(state, replace(late, began_at=min(late.began_at, CUT - HOUR)))
    # It was raised earlier, and would have given the event its name.
    if back == -20.0:
        # Raised 19 hours before the first one began: something else.
        assert sorted(map(len, events_since(state, 0.0).values())) == [1, 1]
    else:
        assert {name: len(event) for name, event in events_since(state, 0.0).items()} == {
            first.id: 2
        }
    # Stored again (a look that is repeated), it stays where it was.
    keep(state, first)
    assert first.id in events_since(state, 0.0)
    state.close()


@pytest.mark.parametrize("backwards", [False, True])
def test_two_changes_of_a_day_in_one_direction_are_two_events(backwards):
    state = open_state("sqlite://")
    morning = [alarmed(raised_at=CUT), alarmed(series="ttft", raised_at=CUT + 2 * HOUR)]
    evening = [
        alarmed(series="green", raised_at=CUT + 7 * HOUR, began_at=CUT + 6 * HOUR),
        alarmed(series="green, p99", raised_at=CUT + 9 * HOUR, began_at=CUT + 7 * HOUR),
    ]
    for one in reversed([*morning, *evening]) if backwards else [*morning, *evening]:
        keep(state, one)
    assert list(events_since(state, 0.0).values()) == [morning, evening]
    state.close()


def test_events_of_an_older_state_keep_their_names(tmp_path):
    path = tmp_path / "state.sqlite"
    state = open_state(path)
    several = [
        alarmed(raised_at=CUT),
        alarmed(series="green", raised_at=CUT + 9 * HOUR),
        alarmed(raised_at=CUT + 2 * DAY),
    ]
    keep(state, *several)
    with state.begin() as connection:
        connection.execute(sa.text("DROP INDEX ix_detections_event"))
        connection.execute(sa.text("ALTER TABLE detections DROP COLUMN event"))
        before = SCHEMA_VERSION.update().values(version=STEPS.index(_events_of_detections))
        connection.execute(before)
    state.close()
    state = open_state(path)
    # As they were told: all of a day together.
    assert {name: len(event) for name, event in events_since(state, 0.0).items()} == {
        several[0].id: 2, several[2].id: 1,
    }  # fmt: skip
    state.close()


def test_alarms_are_kept_once_and_not_for_ever():
    state = open_state("sqlite://")
    keep(state, alarmed(raised_at=CUT), alarmed(series="ttft", raised_at=CUT))
    keep(state, alarmed(raised_at=CUT))
    assert len(alarms_since(state, CUT)) == 2
    assert alarms_since(state, CUT + 1) == []
    keep(state, alarmed(raised_at=CUT + 15 * DAY))
    assert [one.raised_at for one in alarms_since(state, 0.0)] == [CUT + 15 * DAY]
    state.close()


def test_an_alarm_reaches_the_receiver_once_and_its_end_does_too(tmp_path):
    with hooked(tmp_path) as (rules, told):
        watch = on_watch(tmp_path, tmp_path, CUT + 3 * HOUR, rules=str(rules))
        # The look that tells dies before it told anybody: the alarm is kept all the same.
        keep(watch.desk.state, alarmed(), alarmed(series="ttft", raised_at=CUT + 2.5 * HOUR))
        watch.folded(watch.clock.now)
        for _ in range(3):
            watch.office.tell()
            watch.clock.now += 60
        watch.folded(watch.clock.now)
        (first,) = told
        (alert,) = first["alerts"]
        assert (first["status"], alert["labels"]["alertname"]) == (
            "firing", "NibaiUnannouncedChange",
        )  # fmt: skip
        assert alert["annotations"]["figures"] == "latency: p50 slower\nttft: p50 slower"
        assert unannounced(watch.office.detections(watch.clock.now), watch.clock.now) == {
            (SAME, "worse"): 1
        }
        # A change that nothing is claimed of explains nothing; one with a claim is followed.
        declared(watch.desk, endpoint=SAME, effective_at=CUT + HOUR)
        watch.office.tell()
        declared(watch.desk, "2x faster", endpoint="a/b/other", effective_at=CUT + HOUR)
        watch.office.tell()
        assert len(told) == 1
        declared(watch.desk, "not slower", endpoint=SAME, effective_at=CUT + HOUR)
        watch.office.tell()
        watch.office.tell()
    assert [one["status"] for one in told] == ["firing", "resolved"]
    (kept,) = stored_alerts(watch.desk.state)
    assert kept.resolution.value == "followed"
    assert not unannounced(watch.office.detections(watch.clock.now), watch.clock.now)
    watch.desk.state.close()


def test_a_late_alarm_and_a_second_change_are_told_as_they_are(tmp_path):
    with hooked(tmp_path) as (rules, told):
        watch = on_watch(tmp_path, tmp_path, CUT + 3 * HOUR, rules=str(rules))
        keep(watch.desk.state, alarmed())
        watch.folded(watch.clock.now)
        watch.office.tell()
        # A slower look stores what it noticed an hour earlier.
        keep(watch.desk.state, alarmed(series="ttft", raised_at=CUT + HOUR))
        for _ in range(3):
            watch.clock.now += HOUR
            watch.folded(watch.clock.now)
            watch.office.tell()
        assert [one["status"] for one in told] == ["firing"]
        # Six hours after the first one another variant becomes slower too.
        keep(watch.desk.state, alarmed(series="green", raised_at=CUT + 8 * HOUR))
        watch.clock.now = CUT + 9 * HOUR
        watch.folded(watch.clock.now)
        watch.office.tell()
    assert [one["alerts"][0]["annotations"]["figures"] for one in told] == [
        "latency: p50 slower", "green: p50 slower",
    ]  # fmt: skip
    assert [one["status"] for one in told] == ["firing", "firing"]
    watch.desk.state.close()
