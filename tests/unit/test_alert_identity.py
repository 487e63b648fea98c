"""A rule file that gives a claim another severity or name goes on with the alert that there is."""

import json
from dataclasses import replace

import pytest
from support import notices, slack_stub
from support.listeners import Listener
from support.replay_server import Reply, serve
from support.standings import HOUR, START, change, seen, standing, superseded

from alerts import alertmanager, pagerduty, sns, webhook
from alerts.book import Book
from alerts.lifecycle import advance
from alerts.rules.ruleset import ClaimRule, RuleSet
from nibai import plugins
from nibai.app.alerting.delivery import Courier, Telling
from nibai.app.alerting.engine import Engine
from nibai.model import AlertState, Notice, Severity, Verdict
from nibai.protocols import Surroundings
from nibai.store.state import alerts as table
from nibai.store.state.database import open_state

CLAIM = "2x faster at p50"
LOUD = {"claim": CLAIM, "name": "fast", "alert": {"refuted": {"severity": "critical"}}}
QUIET = {**LOUD, "alert": {"refuted": {"severity": "warning"}}}
RENAMED = {**LOUD, "name": "twice-as-fast"}
REFUTED = standing(change(), CLAIM, Verdict.REFUTED)


def look(known, *rules, at=HOUR, standings=(REFUTED,)):
    """Alerts after a look by these rules; and those that it changed."""
    parsed = [ClaimRule.model_validate(rule) for rule in rules]
    changed = advance(parsed, None, known, seen(START + at, *standings))
    kept = {alert.fingerprint: alert for alert in known}
    return list((kept | {alert.fingerprint: alert for alert in changed}).values()), changed


@pytest.mark.parametrize(
    ("other", "labels"),
    [(QUIET, {"severity": "warning"}), (RENAMED, {"claim": "twice-as-fast"}),
     ({**QUIET, "name": "other"}, {"severity": "warning", "claim": "other"})],
)  # fmt: skip
def test_the_alert_stays_and_has_the_labels_of_now(other, labels):
    (first,), _ = look([], LOUD)
    (now,), changed = look([first], other, at=HOUR + 60)
    assert changed == [now], "no second alert"
    assert now.fingerprint == first.fingerprint
    assert now.labels == {**first.labels, **labels}
    assert (now.severity, now.state) == (Severity(now.labels["severity"]), AlertState.FIRING)
    assert (now.fired_at, now.annotations) == (first.fired_at, first.annotations)
    assert look([now], other, at=3 * HOUR)[1] == [], "nothing is withdrawn an hour later"
    (back,), _ = look([now], LOUD, at=3 * HOUR)
    assert (back.fingerprint, back.labels) == (first.fingerprint, first.labels)
    (over,), _ = look([now], other, at=3 * HOUR, standings=[superseded(REFUTED)])
    assert (over.state, over.labels, over.fingerprint) == (
        AlertState.RESOLVED, now.labels, first.fingerprint,
    )  # fmt: skip


def test_another_claim_of_the_same_change_is_another_alert():
    (first,), _ = look([], LOUD)
    other = {**LOUD, "claim": "3x faster at p50", "name": "thrice"}
    both, changed = look(
        [first], other, standings=[standing(change(), "3x faster at p50", Verdict.REFUTED)]
    )
    assert {one.labels["claim"] for one in both} == {"fast", "thrice"}
    assert [one.labels["claim"] for one in changed if one.missing_since is None] == ["thrice"]


def test_a_name_that_is_free_again_is_another_alert():
    (first,), _ = look([], LOUD)
    (renamed,), _ = look([first], RENAMED)
    other = {**LOUD, "claim": "3x faster at p50"}
    more = standing(change(), "3x faster at p50", Verdict.REFUTED)
    both, _ = look([renamed], RENAMED, other, standings=[REFUTED, more])
    assert len({one.fingerprint for one in both}) == len({one.digest for one in both}) == 2
    assert look(both, RENAMED, other, standings=[REFUTED, more])[1] == []


def rounds(listener, state, *steps):
    """Looks, each by a rule file of its own; what the listener was told."""
    for at, rule, one in steps:
        book = RuleSet.model_validate(
            {"apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet",
             "groups": [{"name": "g", "rules": [rule]}]}
        )  # fmt: skip
        courier = Courier(
            state, [Telling("oncall.test", "test", listener)], lambda _alert: ["oncall.test"],
            lambda _notifier, _result: None,
        )  # fmt: skip
        Engine(Book(book), state, courier, lambda at=at: START + at)(seen(START + at, one))


@pytest.fixture
def state():
    opened = open_state("sqlite://")
    yield opened
    opened.close()


class Hearing(Listener):
    """Keeps the severities, too."""

    def notify(self, notice):
        self.heard = [*getattr(self, "heard", []), [a.severity.value for a in notice.news]]
        return super().notify(notice)


def test_a_receiver_is_told_another_severity_once_in_the_same_message(state):
    listener = Hearing()
    rounds(
        listener, state, (HOUR, LOUD, REFUTED), (HOUR + 60, QUIET, REFUTED),
        (HOUR + 120, QUIET, REFUTED), (3 * HOUR, RENAMED, REFUTED),
        (3 * HOUR + 60, RENAMED, REFUTED), (4 * HOUR, RENAMED, superseded(REFUTED)),
    )  # fmt: skip
    fired, over = [("NibaiClaimRefuted", "firing")], [("NibaiClaimRefuted", "resolved")]
    assert listener.told == [("m1", fired), ("m1", fired), ("m1", fired), ("m1", over)]
    assert listener.heard == [["critical"], ["warning"], ["critical"], ["critical"]]


def test_another_name_is_told_to_nobody(state):
    listener = Hearing()
    rounds(listener, state, (HOUR, LOUD, REFUTED), (HOUR + 60, RENAMED, REFUTED))
    assert len(listener.told) == 1
    (kept,) = table.alerts(state)
    assert kept.labels["claim"] == "twice-as-fast"


def test_what_was_told_by_a_nibai_before_this_is_not_told_again(state):
    listener = Hearing()
    rounds(listener, state, (HOUR, LOUD, REFUTED))
    ((key, known),) = table.deliveries(state).items()
    table.put_delivery(state, replace(known, told_as={}))
    rounds(listener, state, (HOUR + 60, LOUD, REFUTED))
    assert (key[1], len(listener.told)) == ("oncall.test", 1)


def louder():
    """A notice of an alert that was told as critical and is a warning now."""
    notice = notices.firing()
    (alert,) = notice.alerts
    labels = {**alert.labels, "severity": "warning"}
    now = replace(alert, labels=labels, severity=Severity.WARNING, began_as=alert.fingerprint)
    told = {alert.fingerprint: AlertState.FIRING}
    as_ = {alert.fingerprint: Severity.CRITICAL}
    return alert, Notice(notice.group, (now,), told, "C0123/1764028800.000001", as_)


def test_slack_updates_the_message_and_says_it_in_the_thread():
    with slack_stub.serve() as workspace:
        around = Surroundings({"SLACK_BOT_TOKEN": "xoxb-right"}, lambda _audit: b"", lambda: 0.0)
        options = {"channel": "C0123", "api": f"{workspace.url}/api/", "surroundings": around}
        teller = plugins.load("nibai.notifiers", "slack", options)
        before, notice = louder()
        where = teller.notify(Notice(notice.group, (before,)))
        workspace.calls.clear()
        assert teller.notify(replace(notice, message_id=where)) == where
        assert workspace.calls == ["chat.update", "chat.postMessage"]
        *_, reply = workspace.messages.values()
        assert next(iter(workspace.messages.values()))["text"].startswith("✘ WARNING: ")
        assert reply["text"].endswith("(was critical: the rule file says so now)")
        assert reply["reply_broadcast"] is False, "quieter than before wakes nobody"


def test_pagerduty_hears_another_severity_of_the_same_incident():
    before, notice = louder()
    (now,) = notice.news
    event = pagerduty.event(now)
    assert event["dedup_key"] == pagerduty.event(before)["dedup_key"]
    assert (event["event_action"], event["payload"]["severity"]) == ("trigger", "warning")


def test_alertmanager_hears_the_end_of_the_one_with_the_old_labels():
    bodies = []
    with serve(lambda request: bodies.append(request.body) or Reply(body={})) as one:
        around = Surroundings({}, lambda _audit: None, lambda: START + 5 * HOUR)
        alertmanager.build({"urls": [one.url], "surroundings": around}).notify(louder()[1])
    ((now, before),) = [json.loads(b) if isinstance(b, bytes | str) else b for b in bodies]
    assert (now["labels"]["severity"], before["labels"]["severity"]) == ("warning", "critical")
    assert before["endsAt"] == alertmanager.timestamp(START + 5 * HOUR) < now["endsAt"]
    assert {k: v for k, v in now["labels"].items() if k != "severity"} == {
        k: v for k, v in before["labels"].items() if k != "severity"
    }


def test_an_event_of_another_severity_is_another_event():
    before, notice = louder()
    (now,) = notice.news
    assert webhook.cloud_event(now)["id"] != webhook.cloud_event(before)["id"]
    first = sns.message(Notice(notice.group, (before,)), "arn:aws:sns:r:1:t.fifo")
    second = sns.message(notice, "arn:aws:sns:r:1:t.fifo")
    assert first["MessageDeduplicationId"] != second["MessageDeduplicationId"]
