"""Alerting as `nibai run` has it: rules, receivers, charts and counters."""

import pytest
from support import audits, replay_server
from support.hooks import rules_to_hook
from support.replay_server import Reply
from support.standings import HOUR, START, change, seen, standing

from nibai.app.alerting.wiring import alerting_of, charts
from nibai.app.audit import Desk
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.document import to_document
from nibai.errors import ConfigError, NotifyError
from nibai.model import AlertState, Round, Verdict
from nibai.protocols import Alerting
from nibai.store.lake.delta import Lake
from nibai.store.state.alerts import Delivery, put_delivery
from nibai.store.state.database import open_state


@pytest.fixture
def desk(tmp_path):
    state = open_state("sqlite://")
    yield Desk(state, Lake(tmp_path), lambda: START + HOUR)
    state.close()


def rules(folder, url):
    return Config(rules=rules_to_hook(folder, url))


def test_without_a_rule_file_there_is_no_alerting(desk):
    assert alerting_of(Config(), desk, Tally(), {}) is None


def test_a_missing_secret_is_said_at_the_start(desk, tmp_path):
    with pytest.raises(ConfigError, match="the secret env:HOOK is empty or missing"):
        alerting_of(rules(tmp_path, "env:HOOK"), desk, Tally(), {})


def test_a_receiver_that_is_gone_from_the_rules_is_named_with_what_it_was_told(
    desk, tmp_path, caplog
):
    fires = {"a": AlertState.FIRING, "b": AlertState.RESOLVED, "c": AlertState.FIRING}
    put_delivery(desk.state, Delivery("g", "old.pagerduty", fires))
    put_delivery(desk.state, Delivery("g", "hook.webhook", fires))
    alerting_of(rules(tmp_path, "http://127.0.0.1:9/"), desk, Tally(), {})
    (said,) = caplog.messages
    assert said.startswith("receiver old.pagerduty, told of 2 alerts that fire, is no longer in ")


def test_messages_and_alerts_are_counted(desk, tmp_path):
    tally = Tally()
    round_ = seen(START + HOUR, standing(change(), verdict=Verdict.REFUTED))
    with replay_server.serve(lambda _request: Reply(503, {})) as service:
        alerting = alerting_of(rules(tmp_path, "env:HOOK"), desk, tally, {"HOOK": service.url})
        assert isinstance(alerting, Alerting)
        with pytest.raises(NotifyError, match=r"hook.webhook: 127.0.0.1 fails \(503\)"):
            alerting(round_)
    found = tally.numbers()
    assert found["nibai_notifications_total"] == {("webhook", "server_error"): 1.0}
    assert found["nibai_alerts"] == {("pending",): 0, ("firing",): 1, ("resolved",): 0}
    # A process whose look is not the newest counts what the others made of theirs.
    other = Tally()
    without = Round(START + HOUR, (), looked=False)
    alerting_of(rules(tmp_path, "env:HOOK"), desk, other, {"HOOK": service.url})(without)
    assert other.numbers()["nibai_alerts"] == found["nibai_alerts"]


def test_the_chart_of_a_stored_audit_is_a_picture(desk, monkeypatch):
    monkeypatch.setattr("dashboards.picture.png", lambda spec, _width: f"\\x89PNG {spec}".encode())
    audit = audits.mixed()
    desk.state.put_audit(to_document(audit), audit.created_at)
    picture = charts(desk)(audit.id)
    assert b"PNG" in picture
    assert charts(desk)("no such audit") is None
    assert charts(desk)("") is None
