"""The dead man's switch of a push collector: usual rests are quiet, a lasting silence is not."""

import pytest

from nibai.app.onwatch.silence import Arrivals
from nibai.app.onwatch.standing import Board, Reading
from nibai.config import Config
from nibai.store.silences import silences_of
from nibai.store.state import open_state

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 19_002 * DAY
SENT_EVERY = 3600.0


@pytest.fixture
def state():
    found = open_state("sqlite://")
    yield found
    found.close()


def awake(now, *, weekends):
    """Senders sleep from 20:00 to 06:00, and at weekends where they have them."""
    hour = now % DAY / HOUR
    return 6 <= hour < 20 and (not weekends or (now - MONDAY) % (7 * DAY) < 5 * DAY)


def live(arrivals, begin, end, *, weekends, alarms=None):
    """Time passes; the moments at which the switch would fire."""
    found = [] if alarms is None else alarms
    now, last = begin, None
    while now < end:
        if awake(now, weekends=weekends):
            last = now
        arrivals.saw(last)
        silence, limit = arrivals.silence_seconds(now), arrivals.limit_seconds
        if silence is not None and limit is not None and silence > limit:
            found.append(now)
        now += SENT_EVERY
    return found


@pytest.mark.parametrize("weekends", [False, True])
def test_nights_and_weekends_are_no_alarm_and_a_lasting_silence_is(state, weekends):
    arrivals = Arrivals(state, "main", MONDAY)
    assert live(arrivals, MONDAY, MONDAY + 40 * DAY, weekends=weekends) == []
    usual = (59 if weekends else 11) * HOUR  # from the last hour of a day to the next first
    assert arrivals.limit_seconds == pytest.approx(1.5 * usual, rel=1e-9)
    last = arrivals.last_at
    silent = last + arrivals.limit_seconds
    assert arrivals.silence_seconds(silent + 1) > arrivals.limit_seconds
    assert arrivals.silence_seconds(silent - 60) < arrivals.limit_seconds


def test_nobody_ever_sent_is_no_silence_and_never_means_never(state):
    arrivals = Arrivals(state, "main", MONDAY)
    arrivals.saw(None)
    assert (arrivals.silence_seconds(MONDAY + 9 * DAY), arrivals.limit_seconds) == (None, None)
    never = Arrivals(state, "main", MONDAY, "never")
    never.saw(MONDAY + 60)
    assert never.limit_seconds is None
    fixed = Arrivals(state, "main", MONDAY, 7200.0)
    assert fixed.limit_seconds == 7200.0


def test_an_outage_teaches_nothing(state):
    arrivals = Arrivals(state, "main", MONDAY)
    live(arrivals, MONDAY, MONDAY + 20 * DAY, weekends=False)
    before = arrivals.limit_seconds
    arrivals.saw(arrivals.last_at + 4 * DAY)
    assert arrivals.limit_seconds == before


def test_time_in_which_nibai_was_down_is_no_silence(state):
    first = Arrivals(state, "main", MONDAY)
    live(first, MONDAY, MONDAY + 20 * DAY, weekends=False)
    back = MONDAY + 25 * DAY
    again = Arrivals(state, "main", back)
    assert again.last_at == first.last_at
    assert again.silence_seconds(back + 60) == 60
    again.saw(back + HOUR)
    days = dict(silences_of(state, "main").longest)
    assert days[int((back + HOUR) // DAY)] == HOUR


def test_days_are_forgotten_after_four_weeks_and_collectors_are_apart(state):
    arrivals = Arrivals(state, "main", MONDAY)
    for day in range(40):
        arrivals.saw(MONDAY + day * DAY + 60)
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
