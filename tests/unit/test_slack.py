"""Slack against a workspace built from its documentation."""

import json

import pytest
from support import notices, slack_stub

from alerts import slack, slack_blocks
from nibai import plugins
from nibai.errors import ConfigError, NotifyError
from nibai.model import AlertState, Notice
from nibai.protocols import Surroundings

ENVIRONMENT = {"SLACK_BOT_TOKEN": "xoxb-right", "HOOK": "…"}
NO_CHANNEL = "channel_not_found: check the channel's id, and invite the bot where it is private"
PNG = b"\x89PNG drawn"


@pytest.fixture(scope="module")
def server():
    with slack_stub.serve() as found:
        yield found


@pytest.fixture
def workspace(server):
    url = server.url
    server.__init__()
    server.url = url
    return server


def bot(workspace, chart=lambda _audit: PNG, **more):
    around = Surroundings(ENVIRONMENT, chart, lambda: 0.0)
    options = {"channel": "C0123", "api": f"{workspace.url}/api/", **more}
    return plugins.load("nibai.notifiers", "slack", {**options, "surroundings": around})


def known(notice, message_id):
    told = {alert.fingerprint: AlertState.FIRING for alert in notice.alerts}
    return Notice(notice.group, notice.alerts, told, message_id)


def test_a_refuted_claim_is_a_message_with_evidence_and_chart_in_its_thread(workspace):
    where = bot(workspace).notify(notices.firing())
    assert where == "C0123/1764028800.000001"
    message, reply = workspace.messages.values()
    assert message["text"].startswith("✘ CRITICAL: “2x faster at p50, p90 and p99” is refuted")
    assert reply["thread_ts"] == "1764028800.000001"
    assert reply["reply_broadcast"] is False
    (drawn,) = workspace.files.values()
    assert drawn["thread_ts"] == "1764028800.000001"
    assert PNG in drawn["content"]
    assert drawn["alt_txt"].startswith("2x faster at p50, p90 and p99: ✔ p50: 2.31x [2.08, 2.54]")
    assert all(one["link_names"] is False and one["parse"] == "none" for one in (message, reply))


def test_when_it_is_over_the_message_is_updated_and_nobody_is_woken(workspace):
    teller = bot(workspace)
    where = teller.notify(notices.firing())
    workspace.calls.clear()
    assert teller.notify(notices.resolved(message_id=where)) == where
    assert workspace.calls == ["chat.update", "chat.postMessage"]
    message, _, reply = workspace.messages.values()
    assert message["text"].startswith("✔ RESOLVED (a newer change took its place): “2x faster")
    assert message["blocks"][0]["text"]["text"].startswith("✔ RESOLVED")
    assert reply["reply_broadcast"] is False


def test_news_in_an_open_message_are_shown_in_the_channel(workspace):
    teller = bot(workspace)
    where = teller.notify(notices.firing())
    first = notices.firing().alerts[0]
    both = notices.several()
    notice = Notice(both.group, both.alerts, {first.fingerprint: AlertState.FIRING}, where)
    teller.notify(notice)
    assert [one.get("reply_broadcast") for one in workspace.messages.values()] == [
        None, False, True,
    ]  # fmt: skip


def test_a_message_that_somebody_deleted_is_posted_again(workspace):
    notice = notices.resolved(message_id="C0123/1.000001")
    assert bot(workspace).notify(notice) == "C0123/1764028800.000001"


def test_without_update_and_thread_there_are_only_messages(workspace):
    teller = bot(workspace, update=False, thread=False)
    teller.notify(notices.firing())
    teller.notify(notices.resolved())
    assert workspace.calls == ["chat.postMessage", "chat.postMessage"]


def test_being_asked_for_patience_is_retryable_and_says_how_long(workspace):
    workspace.next = [(429, {"Retry-After": "30"}, {"ok": False, "error": "ratelimited"})]
    with pytest.raises(NotifyError) as caught:
        bot(workspace).notify(notices.firing())
    assert (caught.value.retryable, caught.value.retry_after_seconds) == (True, 30.0)
    assert (str(caught.value), caught.value.message_id) == ("slack asks for patience (429)", None)


def test_a_thread_that_fails_leaves_the_message_known(workspace):
    good = {"ok": True, "channel": "C0123", "ts": "1.5"}
    workspace.next = [(200, {}, good), (503, {}, "down")]
    with pytest.raises(NotifyError) as caught:
        bot(workspace).notify(notices.firing())
    assert (caught.value.retryable, caught.value.message_id) == (True, "C0123/1.5")


def test_a_missing_scope_for_files_costs_the_chart_only(workspace, caplog):
    workspace.scopes = {"chat:write"}
    assert bot(workspace).notify(notices.firing()) is not None
    assert len(workspace.messages) == 2
    assert "missing_scope: give the bot the scope files:write" in caplog.text


def test_a_chart_that_cannot_be_drawn_costs_the_chart_only(workspace, caplog):
    def broken(_audit):
        raise RuntimeError("secret of a library")

    assert bot(workspace, broken).notify(notices.firing()) is not None
    assert len(workspace.messages) == 2
    assert "is not drawn: RuntimeError" in caplog.text
    assert "secret of a library" not in caplog.text


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("scopes", set(), "missing_scope: give the bot the scope chat:write and install it again"),
        ("channels", set(), NO_CHANNEL),
        ("token", "xoxb-other", "invalid_auth: check the token"),
    ],
)  # fmt: skip
def test_a_refusal_names_its_remedy_and_is_not_retryable(workspace, setting, value, said):
    setattr(workspace, setting, value)
    with pytest.raises(NotifyError) as caught:
        bot(workspace).notify(notices.firing())
    assert (str(caught.value), caught.value.retryable) == (f"slack: {said}", False)
    assert "xoxb" not in str(caught.value)


def test_a_workspace_that_is_not_there_is_retryable():
    around = Surroundings(ENVIRONMENT, lambda _audit: None, lambda: 0.0)
    away = {"channel": "C0123", "api": "http://127.0.0.1:9/api/", "surroundings": around}
    with pytest.raises(NotifyError, match="slack: cannot be reached") as caught:
        slack.build(away).notify(notices.firing())
    assert caught.value.retryable


@pytest.mark.parametrize("make", [notices.many, notices.several, notices.quiet_collector])
def test_every_message_is_within_the_limits(workspace, make):
    assert bot(workspace).notify(make()) is not None
    assert known(make(), "C0123/1.0").message_id  # the same notice again is an update


def test_what_comes_from_outside_is_never_parsed(workspace):
    notice = notices.firing(notices.hostile())
    bot(workspace).notify(notice)
    for message in workspace.messages.values():
        for text in parsed(message["blocks"]):
            assert text == f"<{notices.LINK}|Open the audit>"
        assert "<" not in message["text"]
        assert ">" not in message["text"]
    assert "{{ 7*7 }}" in json.dumps(next(iter(workspace.messages.values()))["blocks"])


def parsed(blocks):
    """All texts in which Slack looks for mentions, links and markup."""
    for block in blocks:
        texts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        yield from (one["text"] for one in texts if one and one["type"] == "mrkdwn")


def test_a_webhook_is_told_everything_as_a_new_message(workspace):
    around = Surroundings(
        {"HOOK": f"{workspace.url}/services/T/B/secret"}, lambda _: None, lambda: 0.0
    )
    hook = slack.build({"webhook": "env:HOOK", "surroundings": around})
    assert hook.notify(notices.firing()) is None
    assert hook.notify(notices.resolved()) is None
    assert [one["text"][0] for one in workspace.webhooks] == ["✘", "✔"]
    workspace.next = [(404, {}, "no_service")]
    with pytest.raises(NotifyError) as caught:
        hook.notify(notices.firing())
    assert "secret" not in str(caught.value)
    assert not caught.value.retryable


def test_options_name_one_way(workspace):
    with pytest.raises(ConfigError, match="write either channel"):
        slack.build({})
    del workspace


def test_the_blocks_word_by_word(golden):
    for name, notice in {
        "refuted": notices.firing(),
        "resolved": notices.resolved(),
        "several": notices.several(),
        "collector": notices.quiet_collector(),
        "unannounced": notices.unannounced(),
        "hostile": notices.firing(notices.hostile()),
    }.items():
        document = {
            "message": slack_blocks.message(notice),
            "thread": [slack_blocks.evidence(alert) for alert in notice.news],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False)
        golden(f"slack_{name}.json", text + "\n")
