"""Every notifier: refusals are not retried, trouble is, secrets stay in, ends are told."""

import sys
from types import SimpleNamespace

import pytest
from support import notices, replay_server, slack_stub, smtp_stub
from support.replay_server import Reply

from nibai import plugins
from nibai.errors import NotifyError, PluginError
from nibai.protocols import Notifier, Surroundings

SECRET = "s3cr3t-path"  # noqa: S105 - of the test
POSTING = ("alertmanager", "webhook", "pagerduty", "slack")
OTHERS = ("sns", "email", "apprise")


@pytest.fixture(scope="module")
def service():
    with replay_server.serve(lambda _request: Reply(body={})) as found:
        yield found


def posting(name, service):
    """A notifier that posts to the service."""
    url = f"{service.url}/{SECRET}"
    options = {
        "alertmanager": {"urls": ["env:URL"]},
        "webhook": {"url": "env:URL"},
        "pagerduty": {"routing_key": "env:KEY", "url": url},
        "slack": {"webhook": "env:URL"},
    }[name]
    around = Surroundings({"URL": url, "KEY": SECRET}, lambda _audit: None, lambda: 0.0)
    return plugins.load("nibai.notifiers", name, {**options, "surroundings": around})


def test_every_notifier_is_under_contract():
    names = {entry.name for entry in plugins.registered("nibai.notifiers")}
    assert names == {*POSTING, *OTHERS}


@pytest.mark.parametrize("name", POSTING)
@pytest.mark.parametrize(
    ("status", "retryable"), [(400, False), (403, False), (404, False), (429, True), (503, True)]
)
def test_refusals_are_not_retried_and_trouble_is(service, name, status, retryable):
    service.behave = lambda _request: Reply(
        status, body={"error": "no"}, headers={"Retry-After": "9"}
    )
    with pytest.raises(NotifyError) as caught:
        posting(name, service).notify(notices.firing())
    assert caught.value.retryable is retryable
    assert caught.value.retry_after_seconds == (9.0 if retryable else None)
    assert SECRET not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("name", POSTING)
def test_a_connection_that_breaks_is_retried(service, name):
    service.behave = lambda _request: Reply(0)
    with pytest.raises(NotifyError, match="cannot be reached") as caught:
        posting(name, service).notify(notices.firing())
    assert caught.value.retryable
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", POSTING)
def test_the_end_is_told(service, name):
    service.behave = lambda _request: Reply(body={})
    service.requests.clear()
    notifier = posting(name, service)
    assert isinstance(notifier, Notifier)
    notifier.notify(notices.resolved())
    assert "resol" in str(service.requests[-1].body).lower() or name == "alertmanager"


@pytest.mark.parametrize("name", POSTING)
def test_hostile_text_arrives_as_text(service, name):
    service.behave = lambda _request: Reply(body={})
    service.requests.clear()
    posting(name, service).notify(notices.firing(notices.hostile()))
    assert isinstance(service.requests[-1].body, dict | list), "still a JSON document"


@pytest.mark.parametrize(
    ("answer", "retryable"), [("451 later", True), ("550 no such sender", False)]
)
def test_mail_says_whether_trying_again_can_help(answer, retryable):
    with smtp_stub.serve() as post:
        post.refuse = answer
        mail = {"host": "127.0.0.1", "port": post.port, "security": "none"}
        options = {**mail, "sender": "nibai@example.com", "to": ["team@example.com"]}
        with pytest.raises(NotifyError) as caught:
            plugins.load("nibai.notifiers", "email", options).notify(notices.firing())
        assert caught.value.retryable is retryable
        post.refuse = None
        plugins.load("nibai.notifiers", "email", options).notify(notices.resolved())
        assert "RESOLVED" in post.letters[0]


def test_apprise_is_told_and_what_it_cannot_tell_is_tried_again(monkeypatch):
    calls = []

    class Apprise:
        works = True

        def add(self, url):
            return url.startswith("json://")

        def notify(self, *, body, title, notify_type, body_format):
            assert body
            calls.append((title[0], notify_type, body_format))
            return self.works

    monkeypatch.setitem(sys.modules, "apprise", SimpleNamespace(Apprise=Apprise))
    around = Surroundings({"A": f"json://{SECRET}"}, lambda _audit: None, lambda: 0.0)
    options = {"urls": ["env:A"], "surroundings": around}
    notifier = plugins.load("nibai.notifiers", "apprise", options)
    notifier.notify(notices.firing())
    notifier.notify(notices.resolved())
    assert calls == [("✘", "failure", "text"), ("✔", "success", "text")]
    Apprise.works = False
    with pytest.raises(NotifyError) as caught:
        notifier.notify(notices.firing())
    assert caught.value.retryable
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(PluginError, match=r"pip install 'nibai\[apprise\]'"):
        plugins.load("nibai.notifiers", "apprise", options)


def test_slack_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "slack_sdk", None)
    with pytest.raises(PluginError, match=r"pip install 'nibai\[slack\]'"):
        plugins.load("nibai.notifiers", "slack", {"channel": "C1"})
    assert slack_stub.blocks_problem([{"type": "header"}]) == "invalid_blocks"
