"""What the receivers beside Slack are told, word by word."""

import email
import json
from dataclasses import replace
from email import policy

import boto3
import pytest
from botocore.stub import Stubber
from support import notices, replay_server, smtp_stub
from support.replay_server import Reply

from alerts import alertmanager, pagerduty, sns, webhook, words
from alerts import email as mail
from nibai.errors import ConfigError, NotifyError
from nibai.protocols import Repeating, Surroundings

NOW = 1_764_050_000.0


def around(**environment):
    return Surroundings(environment, lambda _audit: None, lambda: NOW)


def shown(document):
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


NOTICES = {
    "refuted": notices.firing,
    "resolved": notices.resolved,
    "several": notices.several,
    "collector": notices.quiet_collector,
    "unsent": notices.nobody_sends,
    "unannounced": notices.unannounced,
    "hostile": lambda: notices.firing(notices.hostile()),
}


@pytest.mark.parametrize("name", NOTICES)
def test_the_words_that_all_share(name, golden):
    notice = NOTICES[name]()
    golden(f"alert_{name}.txt", words.headline(notice) + "\n\n" + words.text(notice))


@pytest.mark.parametrize("name", ["refuted", "resolved"])
def test_the_body_of_a_webhook(name, golden):
    notice = NOTICES[name]()
    golden(f"webhook_{name}.json", shown(webhook.alertmanager_body(notice, "nibai")))
    golden(f"cloudevent_{name}.json", shown(webhook.cloud_event(notice.alerts[0])))


@pytest.mark.parametrize("name", ["refuted", "resolved"])
def test_the_event_of_pagerduty(name, golden):
    golden(f"pagerduty_{name}.json", shown(pagerduty.event(NOTICES[name]().alerts[0])))


@pytest.mark.parametrize("name", ["refuted", "hostile"])
def test_an_e_mail(name, golden):
    letter = mail.letter(NOTICES[name](), "nibai@example.com", ("a@example.com",), NOW)
    golden(f"email_{name}.eml", letter.as_string())
    parsed = email.message_from_string(letter.as_string(), policy=policy.default)
    assert "Bcc" not in parsed
    assert len(parsed.get_all("Subject")) == 1


def test_alertmanager_hears_every_minute_that_it_fires_and_when_it_ended(golden):
    bodies = []
    with replay_server.serve(lambda request: bodies.append(request.body) or Reply(body={})) as one:
        cluster = alertmanager.build(
            {"urls": [one.url, f"{one.url}/second/"], "surroundings": around()}
        )
        assert isinstance(cluster, Repeating)
        assert cluster.repeat_seconds == 60.0
        cluster.notify(notices.firing())
        cluster.notify(notices.resolved())
        paths = [request.path for request in one.requests]
    assert paths == ["/api/v2/alerts", "/second/api/v2/alerts"] * 2
    assert bodies[0] == bodies[1]
    golden("alertmanager_refuted.json", shown(bodies[0]))
    assert bodies[0][0]["endsAt"] == "2025-11-25T06:08:20.000Z"
    assert bodies[2][0]["endsAt"] == "2025-11-25T05:00:00.000Z"


def test_one_member_that_is_down_keeps_no_alert_back(caplog):
    with replay_server.serve(lambda _request: Reply(body={})) as one:
        up = {"urls": [one.url, "http://127.0.0.1:9"], "surroundings": around()}
        assert alertmanager.build(up).notify(notices.firing()) is None
    assert "a member of the cluster was not told" in caplog.text
    down = {"urls": ["http://127.0.0.1:9"], "surroundings": around()}
    with pytest.raises(NotifyError) as caught:
        alertmanager.build(down).notify(notices.firing())
    assert caught.value.retryable


def test_tokens_and_passwords_go_into_headers_only():
    heard = []
    with replay_server.serve(
        lambda request: heard.append(request.headers) or Reply(body={})
    ) as one:
        near = around(T="tok", P="word")
        bearer = {"urls": [one.url], "token": "env:T", "surroundings": near}
        basic = {"urls": [one.url], "username": "me", "password": "env:P", "surroundings": near}
        events = {"url": one.url, "format": "cloudevents", "token": "env:T", "surroundings": near}
        alertmanager.build(bearer).notify(notices.firing())
        alertmanager.build(basic).notify(notices.firing())
        webhook.build(events).notify(notices.firing())
    sent = [one["Authorization"] for one in heard]
    assert sent == ["Bearer tok", "Basic bWU6d29yZA==", "Bearer tok"]
    assert heard[2]["Content-Type"] == "application/cloudevents+json"


def test_a_missing_secret_is_found_when_the_receiver_is_built():
    with pytest.raises(ConfigError, match="the secret env:NOPE is empty or missing: set it"):
        pagerduty.build({"routing_key": "env:NOPE", "surroundings": around()})


def test_letters_of_one_message_are_one_conversation():
    with smtp_stub.serve() as post:
        options = {"host": "127.0.0.1", "port": post.port, "security": "none"}
        people = {"sender": "nibai@example.com", "to": ["a@example.com", "b@example.com"]}
        sender = mail.build({**options, **people, "surroundings": around()})
        first = sender.notify(notices.firing())
        assert sender.notify(notices.resolved(message_id=first)) == first
    one, two = (email.message_from_string(text, policy=policy.default) for text in post.letters)
    assert one["Message-ID"] == first
    assert (two["In-Reply-To"], two["References"]) == (first, first)
    assert one["To"] == "a@example.com, b@example.com"


@pytest.fixture(scope="module")
def stubbed():
    client = boto3.client(
        "sns",
        region_name="eu-west-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",  # noqa: S106
    )
    return client, Stubber


@pytest.mark.parametrize("topic", ["alerts", "alerts.fifo"])
def test_sns_takes_what_is_published(stubbed, topic, golden):
    client, stubber = stubbed
    arn = f"arn:aws:sns:eu-west-1:123456789012:{topic}"
    with stubber(client) as stub:
        for notice in (notices.firing(), notices.many(), notices.firing(notices.hostile())):
            said = sns.message(notice, arn)
            assert len(said["Message"].encode()) < 256 * 1024
            assert said["Subject"].isascii()
            stub.add_response("publish", {"MessageId": "1"}, {"TopicArn": arn, **said})
            sns.Topic(client, arn).notify(notice)
    said = sns.message(notices.firing(), arn)
    golden(f"sns_{topic}.json", shown({**said, "Message": json.loads(said["Message"])}))


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [("Throttled", 400, True), ("AuthorizationError", 403, False), ("InternalError", 500, True)],
)
def test_sns_says_whether_trying_again_can_help(stubbed, code, status, retryable):
    client, stubber = stubbed
    with stubber(client) as stub:
        stub.add_client_error("publish", code, http_status_code=status)
        with pytest.raises(NotifyError) as caught:
            sns.Topic(client, "arn:aws:sns:eu-west-1:123456789012:t").notify(notices.firing())
    assert caught.value.retryable is retryable
    assert str(caught.value).startswith(f"sns: {code}: check the topic")


def test_pagerduty_is_told_each_alert_by_its_fingerprint():
    bodies = []
    with replay_server.serve(lambda request: bodies.append(request.body) or Reply(202, {})) as one:
        key = {"routing_key": "env:K", "url": one.url, "surroundings": around(K="R0")}
        pagerduty.build(key).notify(notices.several())
    assert {body["dedup_key"] for body in bodies} == {
        alert.fingerprint for alert in notices.several().alerts
    }
    assert {body["routing_key"] for body in bodies} == {"R0"}


def test_an_alert_without_a_title_still_has_a_line():
    bare = replace(notices.firing().alerts[0], annotations={})
    assert words.line(bare) == "✘ CRITICAL: NibaiClaimRefuted"
