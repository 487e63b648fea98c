"""What receivers take at most, by their documentation: nothing is refused for its length."""

import email
import json
from dataclasses import replace
from email import policy

import pytest
from support import notices, replay_server, slack_stub, smtp_stub
from support.replay_server import Reply
from support.slack_stub import blocks_problem

from alerts import email as mail
from alerts import http, pagerduty, slack_blocks, sns, webhook, words
from nibai.errors import NotifyError
from nibai.model import Alert, AlertState, Notice, Severity
from nibai.protocols import Surroundings

LONG = "ö𝕏“" * 4_000
AROUND = Surroundings({}, lambda _audit: None, lambda: 0.0)


def long(alerts=1, text=LONG, **labels):
    """Alerts whose every text is far too long."""
    said = dict.fromkeys(("title", "figures", "reason", "rests_on", "todo", "sentence"), text)
    found = [
        Alert({"alertname": "X", "change": "c", "claim": str(n), **labels}, AlertState.FIRING,
              Severity.CRITICAL, 0.0, 0.0, said, fired_at=0.0)
        for n in range(alerts)
    ]  # fmt: skip
    return Notice("change:c", tuple(found))


# -- Slack -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        *(lambda n=n: long(n) for n in (1, 2, 3, 4, 10, 40)),
        notices.many, notices.several, notices.unannounced, notices.firing,
    ],
)  # fmt: skip
def test_a_slack_message_is_within_all_limits_at_once(make):
    """50 blocks, 3000 characters of a section, 10 fields of 2000, 13,200 in all."""
    notice = make()
    assert blocks_problem(slack_blocks.message(notice)) is None
    assert all(blocks_problem(slack_blocks.evidence(one)) is None for one in notice.alerts)


def test_a_message_with_room_is_not_cut():
    (block,) = [b for b in slack_blocks.message(notices.firing()) if "fields" in b]
    said = dict(words.parts(notices.firing().alerts[0]))
    assert block["fields"][0]["text"] == f"Measured\n{said['Measured']}"


def test_the_stub_of_slack_counts_every_text():
    text = {"type": "plain_text", "text": "x" * 3000, "emoji": False}
    blocks = [{"type": "section", "text": text}] * 5
    assert blocks_problem(blocks) == slack_stub.blocks_problem(blocks) == "msg_blocks_too_long"


# -- PagerDuty, SNS, e-mail, webhooks ----------------------------------------------------------


def test_an_event_of_pagerduty_is_within_its_limits():
    """Summary 1024 characters, dedup_key 255, an event 512 KB."""
    alert = long(endpoint=LONG).alerts[0]
    event = pagerduty.event(alert)
    assert len(event["payload"]["summary"]) == 1024
    assert event["payload"]["summary"].endswith("…")
    assert len(event["dedup_key"]) <= 255
    assert len(json.dumps(event, ensure_ascii=False).encode()) < 512 * 1024
    short = pagerduty.event(notices.firing().alerts[0])
    assert "…" not in short["payload"]["custom_details"]["figures"]


@pytest.mark.parametrize("notice", [long(), long(40), long(3, "x" * 30_000)])
def test_a_message_of_sns_fits_and_programs_still_get_json(notice):
    """256 KB in all; a subject of 100 ASCII characters without line breaks."""
    said = sns.message(notice, "arn:aws:sns:eu-west-1:123456789012:t.fifo")
    assert len(said["Message"].encode()) <= 256 * 1024
    forms = json.loads(said["Message"])
    body = json.loads(forms["sqs"])
    assert body["truncatedAlerts"] + len(body["alerts"]) == len(notice.alerts)
    assert set(forms) == {"default", "sqs", "lambda", "http", "https"}
    assert forms["default"].strip()
    assert said["Subject"].isascii()
    assert said["Subject"].isprintable()
    assert 0 < len(said["Subject"]) <= 100
    assert said["Subject"][0].isalnum()
    assert max(len(said["MessageGroupId"]), len(said["MessageDeduplicationId"])) <= 128


def test_labels_that_are_too_long_leave_the_headline():
    said = sns.message(long(endpoint=LONG * 4), "arn:aws:sns:eu-west-1:123456789012:t")
    assert len(said["Message"].encode()) <= 256 * 1024
    assert list(json.loads(said["Message"])) == ["default"]


def test_a_letter_has_no_line_that_a_server_would_refuse():
    with smtp_stub.serve() as post:
        options = {"host": "127.0.0.1", "port": post.port, "security": "none"}
        people = {"sender": "nibai@example.com", "to": ["a@example.com", "b@example.com"]}
        teller = mail.build({**options, **people, "surroundings": AROUND})
        teller.notify(long(2))
        teller.notify(long(1, "x" * 5000 + "\r\nBcc: e@vil.example\r\n\r\nbody"))
    for text in post.letters:
        letter = email.message_from_string(text, policy=policy.default)
        assert max(map(len, text.encode().split(b"\r\n"))) <= 998
        assert letter["Bcc"] is None
        assert len(letter["Subject"]) <= 200
    assert LONG[:100] in email.message_from_string(
        post.letters[0], policy=policy.default
    ).get_content()  # fmt: skip


def test_a_reader_who_is_refused_is_named_and_the_others_are_told(caplog):
    with smtp_stub.serve() as post:
        post.unknown = ("b@example.com",)
        options = {"host": "127.0.0.1", "port": post.port, "security": "none"}
        people = {"sender": "nibai@example.com", "to": ["a@example.com", "b@example.com"]}
        mail.build({**options, **people, "surroundings": AROUND}).notify(notices.firing())
        assert len(post.letters) == 1
        assert "does not take mail for b@example.com (550)" in caplog.text
        post.unknown = ("a@example.com", "b@example.com")
        with pytest.raises(NotifyError, match=r"refuses the message \(550\)"):
            mail.build({**options, **people, "surroundings": AROUND}).notify(notices.firing())


def test_a_cloud_event_has_no_empty_subject():
    bare = replace(notices.firing().alerts[0], labels={"alertname": "X"})
    assert "subject" not in webhook.cloud_event(bare)
    assert webhook.cloud_event(notices.unannounced().alerts[0])["type"].endswith("change.detected")


# -- patience ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "17"}, 17.0),
        (503, {"Retry-After": "120"}, 120.0),
        (503, {}, None),
        (429, {"Retry-After": "soon"}, None),
        (
            429,
            {
                "Retry-After": "Fri, 27 Nov 2026 04:01:00 GMT",
                "Date": "Fri, 27 Nov 2026 04:00:00 GMT",
            },
            60.0,
        ),
    ],
)
def test_the_patience_that_is_asked_for_is_kept(status, headers, wait):
    with (
        replay_server.serve(lambda _request: Reply(status, {}, headers)) as service,
        pytest.raises(NotifyError) as caught,
    ):
        http.post(service.url, {})
    if "Date" not in headers:
        assert caught.value.retry_after_seconds == wait
    assert http.retry_after(headers) == wait
    assert caught.value.retryable
