"""The learned age through boto3, collect and watch, with as few hours as show it.

`make test-slow` walks weeks (`test_learned_age_end_to_end.py`).
"""

import pytest
from support.late_cloudwatch import ENDPOINT, SOURCE, LateCloudWatch

from nibai.app.collect import UNSETTLED, until_due, wanted_at
from nibai.stats import settling


@pytest.fixture
def world(tmp_path, monkeypatch):
    # Two quiet hours tell instead of 99.
    monkeypatch.setattr(settling, "MOST_SHARE", 0.9)
    made = LateCloudWatch(tmp_path, monkeypatch, past=0.0, detail="base statistics")
    yield made
    made.close()


def test_what_is_learned_by_reading_is_used_said_and_taken_back(world):
    world.hours(8)
    assert world.learned.age_seconds == 600.0
    [source] = world.sources
    assert wanted_at(source, world.state, world.now) == float("inf"), "no change is near"
    world.declare("model_latency 1.1x faster at p50")
    assert world.watch.counted_from() == (None, ""), "it has not looked yet"
    world.watch.look(world.now)
    assert world.watch.counted_from() == (600.0, SOURCE)
    # Ten minutes, and three until they are published, after the next half hour.
    assert wanted_at(source, world.state, world.now) == world.now + 780
    world.late_seconds = 1500.0
    world.hours(2)
    assert world.notes[UNSETTLED] > 0
    world.watch.look(world.now)
    assert world.watch.counted_from() > (600.0, SOURCE)
    assert world.learned.why.startswith("minutes of ")


def test_collect_comes_for_a_block_of_a_change_that_is_declared_while_it_sleeps(world):
    world.hours(1)
    [source] = world.sources
    began, regular = world.now, world.now + 3600
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        world.pass_time(world.now + seconds)
        if len(slept) == 2:
            world.desk.declare(world.change_at(world.now))

    due, read = {source.name: regular}, {source.name: began}
    ready = until_due(world.config, world.sources, due, read, clock=lambda: world.now, sleep=sleep)
    assert ready == [source]
    assert (world.now - 780) % 1800 < 2, "thirteen minutes after a half hour"
    assert world.now < regular
    assert max(slept) <= 300.1
    assert ENDPOINT in source.puller._changes
