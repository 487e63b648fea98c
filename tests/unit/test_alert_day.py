"""A day in the life: exactly the right alerts, each once, each resolved."""

from collections import Counter

from support.life import HOUR, RESTART, START, Life

from nibai.model import AlertState
from nibai.store.state import alerts as table


def live(path):
    life = Life(path)
    while life.now < START + 24 * HOUR:
        if life.now == START + RESTART * HOUR:
            life.restart()
        life.look()
    return life


def test_a_day_with_two_outages_a_restart_and_a_night_that_lacks_an_hour(tmp_path, golden):
    life = live(tmp_path / "state.sqlite")
    golden("alert_day.txt", life.timeline())
    kept = table.alerts(life.state)
    assert {alert.state for alert in kept} == {AlertState.RESOLVED}
    for listener in (life.slack, life.alertmanager):
        told = Counter(
            (listener.messages[key].group, alert, state)
            for key, news in listener.told
            for alert, state in news
        )
        assert set(told.values()) == {1}, "each alert once, each end once"
        fired = {(group, name) for group, name, state in told if state == "firing"}
        assert {(group, name) for group, name, state in told if state == "resolved"} == fired
        assert sorted(name for _, name in fired) == [
            "NibaiClaimRefuted", "NibaiClaimRefuted", "NibaiClaimUndecided", "NibaiCollectorQuiet",
        ]  # fmt: skip
    life.state.close()
