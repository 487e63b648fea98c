"""Slots: which moments they are, who runs them, and what happens to those that were missed."""

import random
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from nibai.errors import StoreError
from nibai.schedule import (
    CatchUp,
    Every,
    Job,
    Moments,
    SlotState,
    Turns,
    Wake,
    Waker,
    cron,
    pause_of,
)
from nibai.schedule.slots import MOST_ATTEMPTS, RETRY_SECONDS
from nibai.store.state.database import open_state
from nibai.store.state.slots import Slots
from nibai.store.state.tables import AUDIT_SLOTS

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def texts(slots):
    return [datetime.fromtimestamp(slot, UTC).strftime("%m-%d %H:%M") for slot in slots]


# -- which moments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "night", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"], ids=lambda night: night
)
def test_a_night_in_which_clocks_change_has_every_slot_once(night):
    since = at(night)
    half_hours = list(Every(30 * MINUTE).slots(since, since + DAY))
    assert len(half_hours) == 48
    assert {round(b - a) for a, b in pairwise(half_hours)} == {1800}
    # 02:30 does not exist in New York in March, and 01:30 comes twice in November.
    for line in ("30 1 * * *", "30 2 * * *"):
        assert len(list(cron(line).slots(since, since + DAY))) == 1


def test_leap_days_and_leap_seconds_move_no_slot():
    february = at("2028-02-28T00:00")
    daily = list(cron("0 6 * * *").slots(february, february + 3 * DAY))
    assert texts(daily) == ["02-28 06:00", "02-29 06:00", "03-01 06:00"]
    # The second 23:59:60 of 2016 is none of Unix time.
    new_year = at("2016-12-31T23:59:00")
    assert texts(Every(MINUTE).slots(new_year, new_year + 120)) == ["01-01 00:00", "01-01 00:01"]


def test_a_cron_line_is_utc_and_names_its_days():
    weekly = cron("0 6 * * mon")
    assert texts(weekly.slots(at("2026-11-01"), at("2026-11-20"))) == [
        "11-02 06:00", "11-09 06:00", "11-16 06:00",
    ]  # fmt: skip
    assert weekly.newest(at("2026-11-09T06:00")) == at("2026-11-09T06:00")
    assert cron("0 0 1 jun *").newest(at("2027-05-31")) == at("2026-06-01")
    assert Moments(()).newest(NOON) is None
    assert list(weekly.slots(at("2026-11-02T06:00"), at("2026-11-02T06:00:30"))) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 6 * * 1", "'0 6 * * 1': write days of the week by name, such as mon or mon-fri"),
        ("0 6 * *", "'0 6 * *' has 4 fields, not minute, hour, day, month and day of the week"),
        ("0 66 * * mon", "'0 66 * * mon' is no cron line: "),
        ("0 6 31 feb *", "'0 6 31 feb *' never comes: there is no such day"),
    ],
)
def test_a_wrong_cron_line_says_why(line, says):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is looked at
        cron(line)
    assert str(error.value).startswith(says)


# -- who runs them ---------------------------------------------------------------------------


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def state(tmp_path):
    opened = open_state(tmp_path / "state.sqlite")
    yield opened
    opened.close()


class Office:
    """A scheduler's turns with what they ran and counted."""

    def __init__(self, state, clock, owner="one", **job):
        self.clock, self.ran, self.counted = clock, [], {}
        self.turns = Turns(Slots(state, MOST_ATTEMPTS), owner, clock, self.count)
        given = {"trigger": Every(5 * MINUTE), "run": self.ran.append, **job}
        self.job = Job("look", **given)

    def count(self, job, state, number):
        assert job == "look"
        self.counted[str(state)] = self.counted.get(str(state), 0) + number

    def take(self, **options):
        return self.turns.take(self.job, **options)


NOON = at("2026-11-02T12:00")


def test_a_slot_is_run_once_however_often_one_wakes(state):
    office = Office(state, Clock(NOON + 1))
    assert office.take() == 0, "a new job begins with the next slot"
    office.clock.now = NOON + 300
    assert [office.take() for _ in range(3)] == [1, 0, 0]
    assert office.ran == [NOON + 300]
    office.clock.now = NOON + 200
    assert office.take() == 0
    office.clock.now = NOON + 601
    assert office.take() == 1
    assert office.counted == {"done": 2}


def test_a_job_may_begin_with_the_slot_that_is_running(state):
    office = Office(state, Clock(NOON + 100), at_once=True)
    assert office.take() == 1
    assert office.ran == [NOON]


@pytest.mark.parametrize(
    ("policy", "run", "counted"),
    [
        (CatchUp.SKIP, [], {}),
        (CatchUp.LAST, [3600], {"skipped": 11, "done": 1}),
        (CatchUp.ALL, list(range(300, 3601, 300)), {"done": 12}),
    ],
)
def test_what_passed_while_nobody_ran_is_caught_up_by_policy(state, policy, run, counted):
    before = Office(state, Clock(NOON), catch_up=policy, at_once=True)
    before.take()
    after = Office(state, Clock(NOON + HOUR + 20), "after the restart", catch_up=policy)
    after.take()
    assert [slot - NOON for slot in after.ran] == run
    assert after.counted == counted
    after.clock.now += 300
    assert after.take() == 1, "the next slot comes as ever"


def test_a_clock_that_jumped_ahead_and_back_loses_no_slot(state):
    office = Office(state, Clock(NOON), at_once=True)
    office.take()
    office.clock.now = NOON + DAY
    office.take()
    office.clock.now = NOON + 300
    assert office.take() == 1
    assert office.ran == [NOON, NOON + DAY, NOON + 300]


def test_a_slot_waits_for_its_data(state):
    final = Clock(NOON)
    office = Office(state, Clock(NOON), at_once=True, ready=lambda slot, _now: slot <= final.now)
    office.take()
    office.clock.now = NOON + 320
    assert office.take() == 0
    final.now = NOON + 300
    assert office.take() == 1
    assert office.ran[-1] == NOON + 300


def test_a_failed_slot_is_tried_again_and_then_given_up(state, caplog):
    def fail(slot):
        office.ran.append(slot)
        raise StoreError("the disk is full")

    office = Office(state, Clock(NOON), at_once=True)
    office.job = Job("look", Every(HOUR), fail, at_once=True)
    for _ in range(6):
        office.take()
        office.take()
        office.clock.now += RETRY_SECONDS + 1
    assert office.ran == [NOON] * MOST_ATTEMPTS
    assert office.counted == {"failed": 3, "taken_over": 2}
    assert "look: attempt 1 failed: the disk is full" in caplog.text


def test_the_lease_of_the_dead_is_taken_over_and_theirs_alone(state):
    def die(slot):
        raise KeyboardInterrupt(slot)

    dead = Office(state, Clock(NOON), "dead", at_once=True, run=die)
    with pytest.raises(KeyboardInterrupt):
        dead.take()
    heir = Office(state, Clock(NOON + 60), "heir", at_once=True)
    assert heir.take() == 0, "the lease still runs"
    heir.clock.now = NOON + heir.job.lease_seconds
    assert heir.take() == 1
    assert heir.ran == [NOON + 900], "what came since is looked at, the dead one's slot given up"
    assert heir.counted == {"skipped": 3, "done": 1}


def test_who_was_overtaken_does_not_count(state, caplog):
    slow = Office(state, Clock(NOON), "slow", at_once=True)

    def overtaken(slot):
        slow.clock.now += slow.job.lease_seconds
        quick = Office(state, slow.clock, "quick", catch_up=CatchUp.ALL, at_once=True)
        quick.job = Job("look", Every(HOUR), quick.ran.append, CatchUp.ALL, at_once=True)
        assert quick.take() == 1
        assert quick.ran == [slot]
        assert quick.counted == {"taken_over": 1, "done": 1}

    slow.job = Job("look", Every(HOUR), overtaken, at_once=True)
    assert slow.take() == 0
    assert slow.counted == {}
    assert "was taken over by another process" in caplog.text


def test_moments_are_slots_of_their_own(state):
    office = Office(state, Clock(NOON + 2 * DAY), at_once=True)
    office.job = Job(
        "look", Moments((NOON, NOON + DAY, NOON + 7 * DAY)), office.ran.append, at_once=True
    )
    office.take()
    assert office.ran == [NOON + DAY]
    assert office.counted == {"done": 1}


def test_stopping_leaves_what_was_not_begun(state):
    office = Office(state, Clock(NOON), at_once=True, catch_up=CatchUp.ALL)
    office.take()
    office.clock.now += HOUR
    assert office.take(stopping=lambda: len(office.ran) >= 3) == 2


# -- two schedulers on one database ----------------------------------------------------------


class Killed(BaseException):
    """As a kill -9 in the middle of a slot: nothing after it is run."""


@pytest.mark.parametrize("slots", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_schedulers_that_are_killed_at_random_leave_one_result_per_slot(tmp_path, slots):
    chance = random.Random(20261127)
    clock = Clock(NOON)
    states = [open_state(tmp_path / "state.sqlite") for _ in range(2)]
    stored = {}  # as audits: the first one of a name stays
    begun = 0

    def run(slot):
        nonlocal begun
        begun += 1
        moment = chance.random()
        if moment < 0.1:
            raise Killed  # before anything was stored
        stored.setdefault(slot, begun)
        if moment < 0.2:
            raise Killed  # after the result, before the slot ended

    expected = [NOON + i * MINUTE for i in range(slots)]
    job = Job("look", Moments(tuple(expected)), run, CatchUp.ALL, at_once=True, lease_seconds=90.0)
    replicas, generation = [None, None], 0
    last = NOON + slots * MINUTE
    while clock.now < last + 5 * HOUR:
        for number in chance.sample((0, 1), 2):
            if replicas[number] is None:
                generation += 1
                replicas[number] = Turns(Slots(states[number], 10), f"{number}-{generation}", clock)
            try:
                replicas[number].take(job)
            except Killed:
                replicas[number] = None
        clock.now += chance.uniform(5, 600)
    for state in states:
        state.close()
    assert sorted(stored) == expected
    assert generation > slots / 10, "many were killed"
    assert begun > slots, "some slots were begun again"


def test_threads_that_claim_at_once_share_slots_without_overlap(tmp_path):
    won, lock = [], threading.Lock()

    def claim(owner):
        own = open_state(tmp_path / "state.sqlite")
        ledger = Slots(own, MOST_ATTEMPTS)
        for slot in range(20):
            if ledger.claim("look", float(slot), owner, 0.0, 100.0):
                with lock:
                    won.append(slot)
        own.close()

    open_state(tmp_path / "state.sqlite").close()
    threads = [threading.Thread(target=claim, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(20))


# -- the table, the waker --------------------------------------------------------------------


def test_old_slots_go_and_never_the_newest(state):
    ledger = Slots(state, MOST_ATTEMPTS)
    for slot in (0.0, 40 * DAY, 50 * DAY):
        ledger.claim("look", slot, "one", slot, slot + 10)
        ledger.finish("look", slot, "one", SlotState.DONE, slot)
    with state.begin() as connection:
        assert connection.execute(AUDIT_SLOTS.select()).rowcount != 0
        rows = [row.slot for row in connection.execute(AUDIT_SLOTS.select())]
    assert sorted(rows) == [40 * DAY, 50 * DAY]
    assert ledger.newest("look", 1e12) == 50 * DAY
    assert ledger.newest("other", 1e12) is None


def test_a_state_with_the_first_table_of_slots_is_brought_up_to_date(tmp_path):
    path = tmp_path / "state.sqlite"
    opened = open_state(path)
    with opened.begin() as connection:
        connection.exec_driver_sql("DROP TABLE audit_slots")
        connection.exec_driver_sql("CREATE TABLE audit_slots (job TEXT, slot FLOAT, state TEXT)")
        connection.exec_driver_sql("UPDATE schema_version SET version = 4")
    opened.close()
    again = open_state(path)
    assert Slots(again, 3).claim("look", 0.0, "one", 0.0, 10.0) == 1
    again.close()


def test_the_waker_wakes_at_once_and_stops_when_asked():
    woken, asked = threading.Event(), []

    def call(stopping):
        asked.append(stopping())
        woken.set()

    waker = Waker([Wake("look", 1000.0, call)])
    waker.start()
    assert woken.wait(5)
    waker.stop()
    waker.stop()
    assert asked == [False]
    assert pause_of(Every(10.0)) == 10.0
    assert pause_of(cron("0 6 * * mon")) == timedelta(seconds=30).total_seconds()
