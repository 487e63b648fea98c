"""Two processes on one PostgreSQL tell each message once."""

import threading
from collections import Counter

import pytest
from support import postgres
from support.listeners import Listener
from support.standings import HOUR, START, change, seen, standing, superseded

from alerts.book import Book
from alerts.rules.ruleset import RuleSet
from nibai.app.alerting.delivery import Courier, Telling
from nibai.app.alerting.engine import Engine
from nibai.model import Verdict
from nibai.store.state.database import open_state

RULES = RuleSet.model_validate(
    {
        "apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet",
        "groups": [{"name": "g", "rules": [{"claim": "declared"}]}],
    }
)  # fmt: skip


pytestmark = pytest.mark.e2e


class Channel(Listener):
    """One channel that several processes write to."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def notify(self, notice):
        with self.lock:
            return super().notify(notice)


def replica(address, channel, rounds, start):
    state = open_state(address)
    now = [START]
    receiver = Telling("r", "test", channel)
    courier = Courier(state, [receiver], lambda _alert: ["r"], lambda _n, _r: None)
    engine = Engine(Book(RULES), state, courier, lambda: now[0])
    start.wait()
    for round_ in rounds:
        now[0] = round_.at
        engine(round_)
    state.close()


def test_two_replicas_on_one_postgresql_tell_each_message_once():
    programs = postgres.programs()
    if programs is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    refuted = [standing(change(n), verdict=Verdict.REFUTED) for n in range(15)]
    over = [superseded(one) for one in refuted]
    rounds = [seen(START + HOUR + 60 * n, *(refuted if n < 3 else over)) for n in range(6)]
    channel, start = Channel(), threading.Barrier(2)
    with postgres.server(programs) as server:
        address = postgres.new_database(server)
        open_state(address).close()
        replicas = [
            threading.Thread(target=replica, args=(address, channel, rounds, start))
            for _ in range(2)
        ]
        for one in replicas:
            one.start()
        for one in replicas:
            one.join(120)
    told = Counter((key, state) for key, news in channel.told for _, state in news)
    assert set(told.values()) == {1}
    assert len(told) == 30
