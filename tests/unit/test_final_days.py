"""A row that comes as its day passes the horizon is counted once, whatever happens when."""

import random
from datetime import date

import pytest
from support.spans import lake_counts
from support.upkeep import World

from nibai.store.lake.final_days import open_from
from nibai.store.lake.maintenance import purge

KINDS = ("hist", "cell")


class Killed(BaseException):
    pass


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def hours(world):
    """Requests in the hours, equal in both tables."""
    found = {lake_counts(world.lake, f"{kind}_hour")[0] for kind in KINDS}
    assert len(found) == 1
    return found.pop()


def minutes(world):
    return {kind: lake_counts(world.lake, kind)[0] for kind in KINDS}


def test_a_row_in_the_last_hour_before_the_horizon_reaches_the_hours(world):
    world.traffic(0)
    world.maintain(2, daily=False)
    world.maintain(30.9, daily=False)
    world.traffic(0, n=7)
    world.maintain(31.01, daily=False)
    assert hours(world) == 16 * 27
    assert minutes(world) == {"hist": 0, "cell": 0}


def test_a_row_of_a_final_day_is_added_in_the_next_round_and_only_then(world):
    world.traffic(0)
    world.maintain(40, daily=False)
    assert open_from(world.lake, "hist") == date(2022, 1, 9)
    world.traffic(0, n=5)
    for day in (40.1, 40.2, 41.3):
        world.maintain(day, daily=False)
        assert hours(world) == 16 * 25
    assert minutes(world) == {"hist": 0, "cell": 0}


def test_old_rows_that_come_before_the_first_upkeep_of_a_long_time_stay(world):
    world.traffic(0)
    world.now += 90 * 86_400
    world.traffic(0, n=3)
    world.maintain(90, daily=False)
    assert hours(world) == 16 * 23


@pytest.mark.parametrize("step", ["late hist", "final cell"])
def test_what_is_appended_while_a_day_is_moved_is_added_next(world, step):
    world.traffic(0)
    world.traffic(1)
    world.maintain(3, daily=False)

    appended = []

    def append(reached):
        if reached == step and not appended:
            appended.append(reached)
            world.traffic(0, n=3)

    world.maintain(32, daily=False, checkpoint=append)
    assert appended
    world.maintain(32.1, daily=False)
    assert hours(world) == 16 * 43
    assert minutes(world) == {"hist": 0, "cell": 0}


@pytest.mark.parametrize(
    ("step", "later"),
    [("late hist", 3), ("final hist", 3), ("final cell", 0)],
)
def test_killed_while_days_are_moved_the_next_round_finishes(world, step, later):
    world.traffic(0)
    world.traffic(1)
    world.maintain(31.5, daily=False)
    world.traffic(0, n=2)

    def kill(reached):
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        world.maintain(32.5, daily=False, checkpoint=kill)
    if later:
        world.traffic(0, n=later)
        world.traffic(1, n=later)
    for day in (32.6, 32.7):
        world.maintain(day, daily=False)
        assert hours(world) == 16 * (42 + 2 * later)
    assert minutes(world) == {"hist": 0, "cell": 0}


@pytest.mark.parametrize(
    ("seed", "rounds"), [(0, 5), *(pytest.param(i, 20, marks=pytest.mark.slow) for i in range(8))]
)
def test_rows_at_any_time_and_deaths_anywhere_lose_and_double_nothing(world, seed, rounds):
    dice = random.Random(seed)
    sent, now = 0, 0.0

    def kill(_reached):
        if dice.random() < 0.1:
            raise Killed

    for _ in range(rounds):
        now += dice.choice([0.1, 1.0, 9.0])
        for day in {int(now), max(int(now) - dice.choice([1, 29, 31]), 0)}:
            world.now = max(world.now, 19_000 * 86_400 + now * 86_400)
            world.traffic(day, minutes=range(0, 600, 300), n=3)
            sent += 6
        try:
            world.maintain(now, checkpoint=kill)
        except Killed:
            continue
    world.maintain(now + 50, daily=False)
    assert hours(world) == sent
    assert minutes(world) == {"hist": 0, "cell": 0}


def test_a_purge_moves_what_is_left_of_final_days_first(world):
    """It writes files anew, and moved minutes are told by their files' names."""
    world.traffic(0, segment=["a", "b"] * 160)

    def kill(reached):
        if reached == "final hist":
            raise Killed

    with pytest.raises(Killed):
        world.maintain(32, daily=False, checkpoint=kill)
    purge(world.lake, endpoint=None, segment="a", before=None, dry_run=False)
    world.maintain(32.1, daily=False)
    assert hours(world) == 160
