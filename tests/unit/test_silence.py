"""The dead man's switch of a push collector: usual rests are quiet, a lasting silence is not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from nibai.app.onwatch.keeper import Keeper
from nibai.app.onwatch.silence import Arrivals
from nibai.app.onwatch.standing import Board, Reading
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.errors import StoreError
from nibai.store.state.awaited import waited_for
from nibai.store.state.database import open_state
from nibai.store.state.silences import silences_of
from nibai.store.wal.ingest import IngestStats

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 19_002 * DAY


@pytest.fixture
def state():
    found = open_state("sqlite://")
    yield found
    found.close()


def live(arrivals, begin, days, *, weekends):
    """Senders send at 6:00, 13:00 and 20:00 UTC; the moments at which the switch would fire."""
    fired = []
    for day in range(days):
        if weekends and day % 7 >= 5:
            continue
        for hour in (6, 13, 20):
            now = begin + day * DAY + hour * HOUR
            silence, limit = arrivals.silence_seconds(now), arrivals.limit_seconds
            if silence is not None and silence > limit:
                fired.append(now)
            arrivals.saw(now, now)
    return fired


@pytest.mark.parametrize("weekends", [False, True])
def test_nights_and_weekends_are_no_alarm_and_a_lasting_silence_is(state, weekends):
    arrivals = Arrivals(state, "main", MONDAY)
    assert live(arrivals, MONDAY, 23, weekends=weekends) == []
    usual = (58 if weekends else 10) * HOUR
    assert arrivals.limit_seconds == pytest.approx(1.5 * usual, rel=1e-9)
    last = arrivals.last_at
    silent = last + arrivals.limit_seconds
    assert arrivals.silence_seconds(silent + 1) > arrivals.limit_seconds
    assert arrivals.silence_seconds(silent - 60) < arrivals.limit_seconds


def test_nobody_ever_sent_is_no_silence_and_never_means_never(state):
    arrivals = Arrivals(state, "main", MONDAY)
    arrivals.saw(None, MONDAY)
    assert (arrivals.silence_seconds(MONDAY + 9 * DAY), arrivals.limit_seconds) == (None, None)
    never = Arrivals(state, "main", MONDAY, "never")
    never.saw(MONDAY + 60, MONDAY + 60)
    assert never.limit_seconds is None
    fixed = Arrivals(state, "main", MONDAY, 7200.0)
    assert fixed.limit_seconds == 7200.0


def test_an_outage_teaches_nothing(state):
    arrivals = Arrivals(state, "main", MONDAY)
    live(arrivals, MONDAY, 16, weekends=False)
    before = arrivals.limit_seconds
    back = arrivals.last_at + 4 * DAY
    arrivals.saw(back, back)
    assert arrivals.limit_seconds == before


def test_time_in_which_nibai_was_down_is_no_silence(state):
    first = Arrivals(state, "main", MONDAY)
    live(first, MONDAY, 16, weekends=False)
    back = MONDAY + 25 * DAY
    again = Arrivals(state, "main", back)
    assert again.last_at == first.last_at
    assert again.silence_seconds(back + 60) == 60
    again.saw(back + HOUR, back + HOUR)
    days = dict(silences_of(state, "main").longest)
    assert days[int((back + HOUR) // DAY)] == HOUR


def test_a_restart_is_nobodys_data(state):
    first = Arrivals(state, "main", MONDAY, 2 * HOUR)
    first.saw(MONDAY + 60, MONDAY + 60)
    first.saw(MONDAY + 60, MONDAY + 60 + 3 * HOUR)
    back = MONDAY + 5 * HOUR
    again = Arrivals(state, "main", back, 2 * HOUR)
    again.saw(None, back + 5)
    assert again.silence_seconds(back + 5) == 3 * HOUR + 5, "the two hours between are not counted"
    again.saw(back + HOUR, back + HOUR)
    assert again.silence_seconds(back + HOUR) == 0
    days = dict(silences_of(state, "main").longest)
    assert days[int(MONDAY // DAY)] == 4 * HOUR
    # What has ended is not counted again.
    later = Arrivals(state, "main", back + 2 * HOUR, 2 * HOUR)
    assert later.silence_seconds(back + 2 * HOUR + 5) == 5


def test_who_is_restarted_every_day_hears_of_silence_all_the_same(state):
    Arrivals(state, "main", MONDAY).saw(MONDAY, MONDAY)
    fired = []
    for day in range(5):
        begin = MONDAY + day * DAY
        arrivals = Arrivals(state, "main", begin)
        for hour in range(1, 24):
            arrivals.saw(None, begin + hour * HOUR)
            if arrivals.silence_seconds(begin + hour * HOUR) > arrivals.limit_seconds:
                fired.append((day, hour))
    # 23 hours of each day were listened to; three days are the limit.
    assert fired[0] == (3, 4)
    assert fired[-1] == (4, 23)
    assert len(fired) == 20 + 23


def test_senders_that_moved_to_another_process_are_not_silent(state):
    one, two = Arrivals(state, "one", MONDAY), Arrivals(state, "two", MONDAY)
    one.saw(MONDAY + 60, MONDAY + 60)
    later = MONDAY + 5 * DAY
    two.saw(later, later)
    one.saw(MONDAY + 60, later + 30)
    assert one.silence_seconds(later + 30) == 30
    # What is configured is about this one alone.
    alone = Arrivals(state, "one", MONDAY, 3600.0)
    alone.saw(None, later + 30)
    assert alone.silence_seconds(later + 30) == 5 * DAY - 30


def test_the_keeper_says_how_long_nobody_sent(state, tmp_path):
    now = [MONDAY]
    stats = [IngestStats(1, 1, 0, 0, 0, MONDAY, MONDAY)]
    config = Config.model_validate({"data": str(tmp_path), "otlp": {"quiet_after": "2h"}})
    board = Board(900.0, MONDAY)
    ingest = SimpleNamespace(stats=lambda: stats[0], fold=lambda: 0)
    keeper = Keeper(
        config, ingest, state, SimpleNamespace(minutes=0), owner="o", board=board, tally=Tally(),
        clock=lambda: now[0],
    )  # fmt: skip
    keeper._round()
    now[0] += 3 * HOUR
    keeper._round()
    board.read("main", replace(keeper._reading(), read_until=now[0]))
    (standing,) = board.health(now[0]).collectors
    assert (standing.unsent_since, standing.usual_seconds) == (MONDAY, 2 * HOUR)
    stats[0] = replace(stats[0], last_batch_seconds=now[0])
    keeper._round()
    board.read("main", replace(keeper._reading(), read_until=now[0]))
    assert not board.health(now[0]).collectors[0].quiet


def test_a_fold_that_fails_after_a_restart_does_not_end_a_silence(state, tmp_path):
    before = Arrivals(state, "main", MONDAY, 2 * HOUR)
    before.saw(MONDAY, MONDAY)
    before.saw(MONDAY, MONDAY + 3 * HOUR)
    now = MONDAY + 4 * HOUR
    config = Config.model_validate({"data": str(tmp_path), "otlp": {"quiet_after": "2h"}})
    board = Board(900.0, now)

    def fold():
        raise StoreError("the disk is full")

    ingest = SimpleNamespace(stats=lambda: IngestStats(0, 0, 0, 0, 0, now, None), fold=fold)
    keeper = Keeper(
        config, ingest, state, SimpleNamespace(minutes=0), owner="o", board=board, tally=Tally(),
        clock=lambda: now,
    )  # fmt: skip
    with pytest.raises(StoreError):
        keeper._round()
    board.read("main", keeper._reading())
    assert board.health(now).collectors[0].unsent_since == MONDAY


@pytest.mark.parametrize("days", [0.2, 400])
def test_a_clock_that_was_ahead_silences_the_switch_no_longer_than_it_was(state, days):
    arrivals = Arrivals(state, "main", MONDAY)
    live(arrivals, MONDAY, 16, weekends=False)
    limit, now = arrivals.limit_seconds, MONDAY + 16 * DAY
    ahead = now + days * DAY
    arrivals.saw(ahead, ahead)
    # Set right; another process on the same state reads what the wrong clock wrote.
    for one in (arrivals, Arrivals(state, "main", now)):
        one.saw(ahead if one is arrivals else None, now + 60)
        assert one.silence_seconds(now + 60) == 0
        assert one.limit_seconds <= limit, "one arrival forgets no four weeks"
    arrivals.saw(ahead, now + 60 + limit)
    assert arrivals.silence_seconds(now + 61 + limit) > arrivals.limit_seconds
    other = Arrivals(state, "other", now, 3600.0)
    other.saw(now + 60, now + 60)
    other.saw(now + 60, now + 90 + limit)
    assert other.silence_seconds(now + 90 + limit) == limit + 30


def test_a_process_that_began_with_a_wrong_clock_counts_from_when_it_was_set_right(state):
    arrivals = Arrivals(state, "main", MONDAY + DAY, 3600.0)
    arrivals.saw(MONDAY + DAY + 60, MONDAY + DAY + 60)
    arrivals.saw(MONDAY + DAY + 60, MONDAY)
    assert arrivals.silence_seconds(MONDAY) == 0
    arrivals.saw(MONDAY + DAY + 60, MONDAY + 2 * HOUR)
    assert arrivals.silence_seconds(MONDAY + 2 * HOUR) == 2 * HOUR
    arrivals.saw(MONDAY + 3 * HOUR, MONDAY + 3 * HOUR)
    assert (arrivals.silence_seconds(MONDAY + 3 * HOUR), arrivals.last_at) == (0, MONDAY + 3 * HOUR)


def test_the_last_batch_before_a_stop_is_an_arrival(state, tmp_path):
    now = [MONDAY]
    stats = [IngestStats(0, 0, 0, 0, 0, MONDAY, None)]
    config = Config.model_validate({"data": str(tmp_path)})
    ingest = SimpleNamespace(stats=lambda: stats[0], fold=lambda: 0)
    keeper = Keeper(
        config, ingest, state, SimpleNamespace(minutes=0), owner="o", board=Board(900.0, MONDAY),
        tally=Tally(), clock=lambda: now[0],
    )  # fmt: skip
    keeper._round()
    assert silences_of(state, "main").last_at is None
    for later in (3, 4):
        stats[0] = replace(stats[0], last_batch_seconds=MONDAY + later)
        now[0] = MONDAY + later + 0.5
        keeper.stop()
        assert silences_of(state, "main").last_at == MONDAY + later


def test_a_fold_that_fails_over_restarts_does_not_return_with_each(state, tmp_path):
    config = Config.model_validate({"data": str(tmp_path)})
    now, broken, folded = [MONDAY], [True], [MONDAY - 600.0, None, None]

    def fold():
        if broken[0]:
            raise StoreError("the disk is full")
        return 0

    for last in folded:
        ingest = SimpleNamespace(stats=lambda: IngestStats(0, 0, 0, 0, 0, last, None), fold=fold)  # noqa: B023
        board = Board(900.0, now[0])
        keeper = Keeper(
            config, ingest, state, SimpleNamespace(minutes=0), owner="o", board=board,
            tally=Tally(), clock=lambda: now[0],
        )  # fmt: skip
        with pytest.raises(StoreError):
            keeper._round()
        now[0] += 1200
        board.read("main", keeper._reading())
        assert board.health(now[0]).collectors[0].quiet_since == MONDAY - 600
    broken[0] = False
    keeper._round()
    assert keeper._reading().awaited_since is None
    assert waited_for(state, "main") is None


def test_days_are_forgotten_after_four_weeks_and_collectors_are_apart(state):
    arrivals = Arrivals(state, "main", MONDAY)
    for day in range(40):
        arrivals.saw(MONDAY + day * DAY + 60, MONDAY + day * DAY + 60)
    assert len(silences_of(state, "main").longest) == 28
    assert silences_of(state, "other").longest == ()


def test_the_board_says_who_is_silent_and_what_is_usual():
    board = Board(900.0, since=0.0)
    board.read("main", Reading(1000.0, 60.0, None, 500.0, 7000.0, 3600.0))
    board.read("calm", Reading(1000.0, 60.0, None, 500.0, 3000.0, 3600.0))
    board.read("pulled", Reading(1000.0, 3600.0))
    found = {one.collector: one for one in board.health(1060.0).collectors}
    assert (found["main"].unsent_since, found["main"].usual_seconds) == (500.0, 3600.0)
    assert found["main"].quiet
    assert not found["calm"].quiet
    assert found["pulled"].unsent_since is None
    limits = {name: board.lag_limit_seconds(one) for name, one in board.readings().items()}
    assert limits == {"main": 1020.0, "calm": 1020.0, "pulled": 8100.0}


def test_patience_is_a_duration_or_a_word():
    read = [
        Config.model_validate({"otlp": {"quiet_after": text}}).otlp.quiet_after
        for text in ("learned", "never", "26h")
    ]
    assert read == ["learned", "never", 26 * HOUR]
    with pytest.raises(ValueError, match="a duration is written like"):
        Config.model_validate({"otlp": {"quiet_after": "long"}})
