"""What every registered target owes, whatever it speaks to."""

import json
from types import SimpleNamespace

import pytest
from support.replay_server import Reply, serve

from nibai import plugins
from nibai.errors import AuthError, CollectError, ThrottledError
from nibai.protocols import ReplayInput, Target

NAMES = [entry.name for entry in plugins.registered("nibai.targets")]
HIDDEN = "s3cr3t-value"

REMOTE = {
    "http": lambda url: {"address": url, "token": "env:NIBAI_TEST_SECRET"},
    "openai": lambda url: {"address": url, "token": "env:NIBAI_TEST_SECRET", "model": "m"},
    "sagemaker": lambda url: {"address": "chat/int8", "endpoint_url": url, "region": "eu-west-1"},
}
INPUTS = [ReplayInput("r1", "h1", "first")]


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("NIBAI_TEST_SECRET", HIDDEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", HIDDEN)


@pytest.fixture(params=NAMES)
def target(request):
    """(kind, service, target) of a service that answers as `service.behave` says."""
    with serve(lambda _: Reply(body={"label": "a"})) as service:
        if request.param in REMOTE:
            options = REMOTE[request.param](service.url) | {"timeout": "0.5s"}
        else:
            options = {"address": lambda payloads: [{"label": p} for p in payloads]}
        built = plugins.load("nibai.targets", request.param, options)
        yield SimpleNamespace(kind=request.param, service=service, send=built.send, built=built)


@pytest.fixture
def remote(target):
    if target.kind not in REMOTE:
        pytest.skip("no server behind it")
    return target


def test_it_is_a_target(target):
    assert isinstance(target.built, Target)


def test_it_gives_one_answer_to_each_input(target):
    answers = target.send(INPUTS)
    assert len(answers) == 1
    assert not answers[0].invalid
    assert "label" in answers[0].payload


def test_what_cannot_be_read_is_an_invalid_answer(remote):
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 100_000):
        remote.service.behave = lambda _, raw=raw: Reply(raw=raw)
        assert [answer.invalid for answer in remote.send(INPUTS)] == ["unparsable"]


def test_a_throttled_target_is_retryable(remote):
    remote.service.behave = lambda _: Reply(429, {"message": "slow down"}, {"Retry-After": "7"})
    with pytest.raises(ThrottledError) as error:
        remote.send(INPUTS)
    assert error.value.retryable
    assert error.value.retry_after_seconds == 7


@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_errors_are_retryable_and_named(remote, status):
    remote.service.behave = lambda _: Reply(status, {"message": "oops"})
    with pytest.raises(CollectError) as error:
        remote.send(INPUTS)
    assert error.value.retryable
    assert error.value.reason == f"http_{status}"


def test_a_refused_request_is_not_retryable(remote):
    remote.service.behave = lambda _: Reply(400, {"message": "bad"})
    with pytest.raises(CollectError) as error:
        remote.send(INPUTS)
    assert not error.value.retryable
    assert error.value.reason == "http_400"


def test_refused_credentials_say_so(remote):
    remote.service.behave = lambda _: Reply(401, {"message": "no"})
    with pytest.raises(AuthError):
        remote.send(INPUTS)


def test_a_dropped_connection_and_a_late_answer_are_retryable(remote):
    remote.service.behave = lambda _: Reply(0)
    with pytest.raises(CollectError) as error:
        remote.send(INPUTS)
    assert (error.value.retryable, error.value.reason) == (True, "connection")
    remote.service.behave = lambda _: Reply(delay=1.0, body={"label": "late"})
    with pytest.raises(CollectError) as error:
        remote.send(INPUTS)
    assert (error.value.retryable, error.value.reason) == (True, "timeout")


def test_it_never_sends_again_by_itself(remote):
    # The budget counts requests; a client that retries on its own would break it.
    headers = {"Location": remote.service.url + "/elsewhere"}
    for number, status in enumerate([500, 429, 0, 307], 1):
        reply = Reply(status, {}, headers)
        remote.service.behave = lambda _, reply=reply: reply
        with pytest.raises(CollectError):
            remote.send(INPUTS)
        assert len(remote.service.requests) == number


def test_no_secret_is_in_an_error(remote):
    for status in (400, 401, 403, 429, 500):
        remote.service.behave = lambda request, status=status: Reply(
            status, {"message": f"you sent {json.dumps(request.headers)}"}
        )
        with pytest.raises(CollectError) as error:
            remote.send(INPUTS)
        assert HIDDEN not in str(error.value)
