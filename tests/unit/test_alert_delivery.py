"""Telling receivers: at least once, one open message a group, nothing lost, no flood."""

from collections import Counter
from types import SimpleNamespace

import pytest
from support.listeners import Listener, down, refused
from support.standings import DAY, HOUR, START, change, seen, standing, superseded

from alerts.book import Book
from alerts.rules.ruleset import RuleSet
from nibai.app.alerting.delivery import Courier, Telling
from nibai.app.alerting.engine import Engine
from nibai.errors import NotifyError
from nibai.model import AlertState, Silence, Verdict
from nibai.store.state import alerts as table
from nibai.store.state.database import open_state

REFUTED = Verdict.REFUTED
RULES = RuleSet.model_validate(
    {
        "apiVersion": "nibai.dev/v1alpha1",
        "kind": "RuleSet",
        "groups": [{"name": "g", "rules": [{"claim": "declared"}]}],
    }
)


@pytest.fixture
def state():
    opened = open_state("sqlite://")  # in memory: what is on disk is tested elsewhere
    yield opened
    opened.close()


class House:
    """An engine over a state with one receiver and a clock; made anew it has restarted."""

    def __init__(self, state, listener, now=START):
        self.state, self.listener, self.now = state, listener, now
        self.counts = Counter()
        receiver = Telling("oncall.test", "test", listener)

        def count(notifier, result):
            self.counts[notifier, result] += 1

        courier = Courier(state, [receiver], lambda _alert: ["oncall.test"], count)
        self.engine = Engine(Book(RULES), state, courier, lambda: self.now)

    def look(self, at, *standings):
        """A round at so many seconds; the problem that it raised, if any."""
        self.now = START + at
        try:
            self.engine(seen(self.now, *standings))
        except NotifyError as error:
            return str(error)
        return None


def test_an_alert_is_told_once_and_its_message_is_updated_when_it_is_over(state):
    house = House(state, Listener())
    one = standing(change(), verdict=REFUTED)
    for minute in range(5):
        assert house.look(HOUR + 60 * minute, one) is None
    house.look(2 * HOUR, superseded(one))
    house.look(2 * HOUR + 60, superseded(one))
    assert house.listener.told == [
        ("m1", [("NibaiClaimRefuted", "firing")]),
        ("m1", [("NibaiClaimRefuted", "resolved")]),
    ]
    assert house.counts == {("test", "ok"): 2}


def test_alerts_of_one_change_share_a_message_and_news_of_a_closed_one_begin_another(state):
    house = House(state, Listener())
    speed = standing(change(), verdict=REFUTED)
    answers = standing(change(), "same predictions within 2%", REFUTED)
    house.look(HOUR, speed)
    house.look(HOUR + 60, speed, answers)
    house.look(2 * HOUR)
    house.look(3 * HOUR)
    house.look(4 * HOUR, answers)
    assert [key for key, _ in house.listener.told] == ["m1", "m1", "m1", "m2"]
    both = house.listener.messages["m1"].alerts
    assert [alert.state for alert in both] == [AlertState.RESOLVED] * 2
    (last,) = house.listener.messages["m2"].alerts
    assert last.annotations["sentence"] == "same predictions within 2%"


def test_pending_is_told_to_nobody(state):
    house = House(state, Listener())
    house.look(HOUR, standing(change(), values=[1.4]))
    house.look(2 * HOUR, standing(change(), values=[2.4]))
    assert house.listener.told == []


def test_after_an_hour_of_outage_only_the_newest_state_is_told(state):
    house = House(state, Listener())
    house.listener.broken = down()
    over = standing(change(1), verdict=REFUTED)
    stays = standing(change(2), verdict=REFUTED)
    said = house.look(HOUR, over, stays)
    assert said == "oncall.test: slack: is not there (tried again in 30 s)"
    for minute in range(1, 60):
        house.look(HOUR + 60 * minute, superseded(over) if minute > 30 else over, stays)
    tries = house.counts["test", "unreachable"]
    assert 10 <= tries <= 20, "one message finds out whether it is back, ever more seldom"
    house.listener.broken = None
    house.look(2 * HOUR + 300, superseded(over), stays)
    assert sorted(state for _, news in house.listener.told for _, state in news) == [
        "firing",
        "resolved",
    ]
    house.look(2 * HOUR + 360, superseded(over), stays)
    assert len(house.listener.told) == 2


def test_a_receiver_that_forgets_is_told_everything_each_time(state):
    house = House(state, Listener(repeat_seconds=60.0))
    ones = [standing(change(n), verdict=REFUTED) for n in range(50)]
    house.look(HOUR, *ones)
    house.look(HOUR + 60, *ones)
    assert len(house.listener.told) == 100


def test_many_messages_are_told_in_turns_the_loudest_first(state):
    house = House(state, Listener())
    undecided = [standing(change(n)) for n in range(25)]
    refuted = [standing(change(n), verdict=REFUTED) for n in range(25, 27)]
    house.look(DAY, *undecided, *refuted)
    assert len(house.listener.told) == 20
    assert {news[0][0] for _, news in house.listener.told[:2]} == {"NibaiClaimRefuted"}
    house.look(DAY + 60, *undecided, *refuted)
    assert len(house.listener.told) == 27


def test_a_receiver_that_asks_for_patience_gets_it(state):
    house = House(state, Listener())
    house.listener.broken = down(retry_after_seconds=700.0)
    house.look(HOUR, standing(change(), verdict=REFUTED))
    house.listener.broken = None
    house.look(HOUR + 660, standing(change(), verdict=REFUTED))
    assert house.listener.told == []
    house.look(HOUR + 720, standing(change(), verdict=REFUTED))
    assert len(house.listener.told) == 1


def test_a_receiver_that_is_away_for_weeks_is_told_when_it_is_back(state):
    house = House(state, Listener())
    house.listener.broken = down()
    house.look(HOUR, standing(change(), verdict=REFUTED))
    house.engine.courier._failures["oncall.test"] = 5000  # 5 minutes each: 17 days
    assert "tried again in 300 s" in house.look(2 * HOUR, standing(change(), verdict=REFUTED))
    house.listener.broken = None
    assert house.look(3 * HOUR, standing(change(), verdict=REFUTED)) is None
    assert len(house.listener.told) == 1


def test_one_refused_message_does_not_keep_the_others_back(state):
    house = House(state, Listener())
    first = house.listener.notify
    bad = change(1)

    def notify(notice):
        if notice.group == f"change:{bad.id}":
            raise refused()
        return first(notice)

    house.listener.notify = notify
    both = [standing(bad, verdict=REFUTED), standing(change(2), verdict=REFUTED)]
    assert "invalid_blocks (tried again in 3600 s)" in house.look(HOUR, *both)
    assert len(house.listener.told) == 1
    house.listener.notify = first
    assert house.look(HOUR + 1800, *both) is None
    assert len(house.listener.told) == 1
    house.look(2 * HOUR + 60, *both)
    assert len(house.listener.told) == 2


def test_a_message_whose_thread_failed_is_updated_and_not_posted_again(state):
    house = House(state, Listener())
    house.listener.broken = down(message_id="m7")
    house.look(HOUR, standing(change(), verdict=REFUTED))
    house.listener.broken = None
    house.look(2 * HOUR, standing(change(), verdict=REFUTED))
    assert house.listener.told == [("m7", [("NibaiClaimRefuted", "firing")])]


def test_a_crash_between_post_and_record_repeats_one_message_and_loses_none(state):
    listener = Listener()
    house = House(state, listener)
    listener.dies = True
    one = standing(change(), verdict=REFUTED)
    with pytest.raises(KeyboardInterrupt):
        house.look(HOUR, one)
    listener.dies = False
    again = House(state, listener)
    again.look(HOUR + 60, one)
    assert len(listener.told) == 1, "the dead process's delivery is left to it for two minutes"
    again.look(HOUR + 180, one)
    again.look(HOUR + 240, one)
    assert [key for key, _ in listener.told] == ["m1", "m2"]


def test_a_crash_before_the_post_loses_nothing(state):
    listener = Listener()
    one = standing(change(), verdict=REFUTED)
    House(state, listener).engine.consider(seen(START + HOUR, one))
    House(state, listener).look(HOUR + 60, one)
    assert len(listener.told) == 1


def test_two_processes_on_one_state_tell_one_message(state):
    listener = Listener()
    first, second = House(state, listener), House(state, listener)
    ones = [standing(change(n), verdict=REFUTED) for n in range(5)]
    for minute in range(3):
        first.look(HOUR + 60 * minute, *ones)
        second.look(HOUR + 60 * minute, *ones)
    assert len(listener.told) == 5


def test_a_receiver_that_forgets_is_told_again_as_long_as_it_fires(state):
    house = House(state, Listener(repeat_seconds=60.0))
    one = standing(change(), verdict=REFUTED)
    for minute in range(4):
        house.look(HOUR + 60 * minute, one)
    house.look(2 * HOUR, superseded(one))
    house.look(3 * HOUR, superseded(one))
    assert [news for _, news in house.listener.told] == [
        [("NibaiClaimRefuted", "firing")],
        [],
        [],
        [],
        [("NibaiClaimRefuted", "resolved")],
    ]


def test_a_silence_is_over_at_its_end_and_what_began_and_ended_in_it_is_told_to_nobody(state):
    house = House(state, Listener())
    quiet = Silence("s1", {"endpoint": "sagemaker/**"}, START, START + 2 * HOUR, "maintenance")
    table.put_silence(state, quiet)
    over, stays = (standing(change(n), verdict=REFUTED) for n in (1, 2))
    house.look(HOUR, over, stays)
    house.look(HOUR + 60, superseded(over), stays)
    assert house.listener.told == []
    house.look(2 * HOUR, superseded(over), stays)
    ((_, news),) = house.listener.told
    assert news == [("NibaiClaimRefuted", "firing")]
    assert table.silences(state) == [quiet]


def test_the_end_of_what_was_told_is_told_in_a_silence_too(state):
    house = House(state, Listener())
    one = standing(change(), verdict=REFUTED)
    house.look(HOUR, one)
    table.put_silence(state, Silence("s1", {"change": "c1"}, START, START + DAY))
    house.look(2 * HOUR, superseded(one))
    assert [news[0][1] for _, news in house.listener.told] == ["firing", "resolved"]


def test_a_new_receiver_is_not_told_of_what_was_over_before(state):
    one = standing(change(1), verdict=REFUTED)
    House(state, Listener()).look(HOUR, one)
    other = Listener()
    house = House(state, other)
    house.engine.courier.receivers = [Telling("new.test", "test", other)]
    house.engine.courier.route = lambda _alert: ["new.test"]
    house.look(2 * HOUR, superseded(one))
    two = standing(change(2), verdict=REFUTED)
    house.look(2 * HOUR + 60, superseded(one), two)
    assert [news for _, news in other.told] == [[("NibaiClaimRefuted", "firing")]]


def test_a_broken_plug_in_is_named_without_what_it_said_and_tried_again(state):
    house = House(state, Listener())

    def notify(_notice):
        raise ValueError("https://hooks.example/secret-token")

    works, house.listener.notify = house.listener.notify, notify
    said = house.look(HOUR, standing(change(), verdict=REFUTED))
    assert "test: unexpected ValueError in notify (test_alert_delivery.py:" in said
    assert "secret-token" not in said
    house.listener.notify = works
    house.look(2 * HOUR, standing(change(), verdict=REFUTED))
    assert len(house.listener.told) == 1


def test_a_declared_rollback_resolves_as_rolled_back(state):
    house = House(state, Listener())
    one = standing(change(), verdict=REFUTED)
    house.look(HOUR, one)
    back = {"id": "c2", "endpoint": "e", "declared_at": 1.0, "evidence": {"rollback_of": "c1"}}
    state.put_change(back)
    house.look(2 * HOUR, one)
    (alert,) = table.alerts(state)
    assert (alert.state.value, alert.resolution.value) == ("resolved", "rolled_back")
    assert house.engine.counts() == {AlertState.RESOLVED: 1}


def test_what_is_forgotten_takes_its_deliveries_along(state):
    house = House(state, Listener())
    one = standing(change(), verdict=REFUTED)
    house.look(HOUR, one)
    house.look(2 * HOUR, superseded(one))
    house.look(20 * DAY)
    assert table.alerts(state) == []
    assert table.deliveries(state) == {}


def test_alerts_and_silences_come_back_as_they_were_put(state):
    house = House(state, Listener())
    house.look(HOUR, standing(change(), verdict=REFUTED))
    house.look(2 * HOUR)
    (alert,) = table.alerts(state)
    kept = SimpleNamespace(found=None)

    def step(known):
        kept.found = known
        return known, []

    table.step_alerts(state, step)
    assert kept.found == [alert] == table.alerts(state)


class Town:
    """Two receivers, and a rule file that says of each look who has the alerts."""

    def __init__(self, state):
        self.state, self.listeners = state, {"first": Listener(), "second": Listener()}

    def look(self, at, receiver, *standings):
        tellings = [Telling(name, "test", one) for name, one in self.listeners.items()]
        courier = Courier(self.state, tellings, lambda _alert: [receiver], lambda *_: None)
        Engine(Book(RULES), self.state, courier, lambda: START + at)(seen(START + at, *standings))

    def heard(self, name):
        return [state for _, news in self.listeners[name].told for _, state in news]


def test_who_was_told_the_beginning_is_told_the_end_wherever_alerts_go_now(state):
    town, one = Town(state), standing(change(), verdict=REFUTED)
    town.look(0, "first", one)
    town.look(60, "second", one)
    assert (town.heard("first"), town.heard("second")) == (["firing"], ["firing"])
    town.look(120, "second", superseded(one))
    assert town.heard("first") == town.heard("second") == ["firing", "resolved"]


def test_what_began_and_ended_elsewhere_is_no_news_to_who_has_such_alerts_now(state):
    town = Town(state)
    one, other = (standing(change(number), verdict=REFUTED) for number in (1, 2))
    town.look(0, "second", other)
    town.look(60, "first", one, other)
    town.look(120, "first", superseded(one), other)
    town.look(180, "second", superseded(one), other)
    assert town.heard("first") == ["firing", "firing", "resolved"]
    assert town.heard("second") == ["firing"]
