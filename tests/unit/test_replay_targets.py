"""What each kind of target puts on the wire, and what it takes from it."""

import json

import boto3
import pytest
from support.replay_server import Reply, serve

from collector.replay.bodies import Bodies
from nibai import plugins
from nibai.errors import AuthError, CollectError, ThrottledError, UsageError
from nibai.protocols import ReplayInput


def inputs(*payloads, kind=None):
    return [ReplayInput(f"r{i}", f"h{i}", p, "", None, kind) for i, p in enumerate(payloads)]


def build(kind, **options):
    return plugins.load("nibai.targets", kind, options)


# -- bodies -----------------------------------------------------------------------------------

SENT = [
    (Bodies(), inputs({"a": 1}), b'{"a":1}', "application/json"),
    (Bodies(2), inputs("a", "b"), b'["a","b"]', "application/json"),
    (Bodies(2), inputs("a"), b'["a"]', "application/json"),  # the last, smaller batch
    (Bodies(template={"x": ["$input"], "k": 3}), inputs("é"), '{"x":["é"],"k":3}'.encode(),
     "application/json"),
    (Bodies(2, {"instances": "$inputs"}), inputs(1, 2), b'{"instances":[1,2]}',
     "application/json"),
    (Bodies(), inputs("1,2", kind="text/csv"), b"1,2", "text/csv"),
    (Bodies(2), inputs("1,2\n", "3,4\n", kind="text/csv"), b"1,2\n3,4", "text/csv"),
    (Bodies(2, content_type="text/csv"), inputs([1, 2], [3, 4]), b"1,2\n3,4", "text/csv"),
    (Bodies(2, content_type="application/jsonlines"), inputs({"a": 1}, {"a": 2}),
     b'{"a":1}\n{"a":2}', "application/jsonlines"),
    (Bodies(), inputs(b"\x89PNG", kind="image/png"), b"\x89PNG", "image/png"),
    (Bodies(), inputs("<a/>", kind="application/xml"), b"<a/>", "application/xml"),
]  # fmt: skip


@pytest.mark.parametrize(("bodies", "given", "body", "kind"), SENT)
def test_what_is_sent(bodies, given, body, kind):
    assert bodies.encode(given) == (body, kind)


TAKEN = [
    (Bodies(), b'{"label":"a"}', "application/json", [{"label": "a"}]),
    (Bodies(answers="out[0]"), b'{"out":["a"]}', "application/json", ["a"]),
    (Bodies(2, answers="p"), b'{"p":["a","b"]}', "application/json; charset=utf-8", ["a", "b"]),
    (Bodies(2), b"0.1\n0.2\n", "text/csv; charset=utf-8", ["0.1", "0.2"]),
    (Bodies(2), b"0.1,0.2", "text/csv", ["0.1", "0.2"]),
    (Bodies(), b"spam\n", "text/plain", ["spam"]),
    (Bodies(), b'{"label":"a"}', "text/plain", [{"label": "a"}]),
    (Bodies(2, answers="s"), b'{"s":1}\n{"s":2}\n', "application/jsonlines", [1, 2]),
]


@pytest.mark.parametrize(("bodies", "body", "kind", "payloads"), TAKEN)
def test_what_comes_back(bodies, body, kind, payloads):
    found = bodies.decode(body, kind, len(payloads))
    assert [answer.payload for answer in found] == payloads
    assert not any(answer.invalid for answer in found)


BROKEN = [
    (Bodies(answers="p"), b"{}", "application/json", ["no answer"]),
    (Bodies(2, answers="p"), b'{"p":["a"]}', "application/json", ["no answer"] * 2),
    (Bodies(2), b'{"p":1}', "application/json", ["no answer"] * 2),
    (Bodies(2), b"<html>", "text/html", ["unparsable"] * 2),
    (Bodies(2), b"1\n2\n3\n", "text/csv", ["no answer"] * 2),
    (Bodies(), b"\xff", "text/csv", ["unparsable"]),
    (Bodies(2, answers="s"), b'{"s":1}\n{"s"\n', "application/jsonlines", ["", "unparsable"]),
]


@pytest.mark.parametrize(("bodies", "body", "kind", "invalid"), BROKEN)
def test_what_is_no_answer(bodies, body, kind, invalid):
    assert [answer.invalid for answer in bodies.decode(body, kind, len(invalid))] == invalid


def test_a_template_needs_a_place_for_the_input():
    with pytest.raises(UsageError, match="where the input belongs"):
        Bodies(template={"x": "input"})


# -- SageMaker --------------------------------------------------------------------------------


@pytest.fixture
def sagemaker(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    variant = {"x-Amzn-Invoked-Production-Variant": "A"}
    with serve(lambda _: Reply(body=["a"], headers=variant)) as service:

        def make(address, **options):
            known = {"endpoint_url": service.url, "region": "eu-west-1", "batch": 4}
            return build("sagemaker", address=address, **known | options)

        yield service, make


def test_a_variant_of_an_endpoint(sagemaker):
    service, make = sagemaker
    found = make("chat/int8", accept="text/csv").send(inputs({"text": "hi"}))
    assert [answer.payload for answer in found] == ["a"]
    request = service.requests[0]
    assert request.path == "/endpoints/chat/invocations"
    assert request.body == [{"text": "hi"}]
    assert request.headers["X-Amzn-SageMaker-Target-Variant"] == "int8"
    assert request.headers["Accept"] == "text/csv"
    assert request.headers["Content-Type"] == "application/json"


def test_an_inference_component_and_a_model_of_many(sagemaker):
    service, make = sagemaker
    make("chat/ic:llama-int8", target_model="m.tar.gz").send(inputs("x"))
    headers = service.requests[0].headers
    assert headers["X-Amzn-SageMaker-Inference-Component"] == "llama-int8"
    assert headers["X-Amzn-SageMaker-Target-Model"] == "m.tar.gz"
    assert "X-Amzn-SageMaker-Target-Variant" not in headers


def test_variants_that_answer_in_turn_are_no_variant(sagemaker):
    service, make = sagemaker
    target = make("chat")
    target.send(inputs("x"))
    service.behave = lambda _: Reply(body=["b"], headers={"x-Amzn-Invoked-Production-Variant": "B"})
    with pytest.raises(UsageError) as error:
        target.send(inputs("x"))
    assert str(error.value) == (
        "sagemaker:chat: A and B answered in turn: name one variant, sagemaker:chat/A"
    )


def failing(code, status, **more):
    headers = {"x-amzn-ErrorType": code}
    return lambda _: Reply(status, {"Message": "sorry", **more}, headers)


ERRORS = [
    (failing("ThrottlingException", 400), ThrottledError, True, "throttled"),
    (failing("ModelNotReadyException", 429), ThrottledError, True, "throttled"),
    (failing("ModelError", 424, OriginalStatusCode=500), CollectError, True, "model_500"),
    (failing("ModelError", 424, OriginalStatusCode=400), CollectError, False, "model_400"),
    (failing("ModelError", 424, OriginalStatusCode=429), ThrottledError, True, "throttled"),
    (failing("ServiceUnavailable", 503), CollectError, True, "http_503"),
    (failing("ValidationError", 400), CollectError, False, "http_400"),
    (failing("AccessDeniedException", 403), AuthError, False, "auth"),
]


def test_errors_of_sagemaker_in_our_words(sagemaker):
    service, make = sagemaker
    target = make("chat/A")
    for behave, kind, again, reason in ERRORS:
        service.behave = behave
        with pytest.raises(kind) as error:
            target.send(inputs("x"))
        assert (error.value.retryable, error.value.reason) == (again, reason)
        assert str(error.value).startswith("sagemaker:chat/A: ")


def test_no_credentials_and_no_region(sagemaker, monkeypatch, tmp_path):
    _, make = sagemaker
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which remembers credentials
    with pytest.raises(AuthError, match="no usable AWS credentials"):
        make("chat/A").send(inputs("x"))
    with pytest.raises(UsageError, match=r"You must specify a region. \(-o region=REGION\)"):
        make("chat/A", region=None, endpoint_url=None)


# -- OpenAI-compatible ------------------------------------------------------------------------

PROMPTS = [
    ("hi", {}, {"messages": [{"role": "user", "content": "hi"}], "temperature": 0}),
    ([{"role": "system", "content": "s"}], {},
     {"messages": [{"role": "system", "content": "s"}], "temperature": 0}),
    ({"messages": [], "temperature": 0.7, "stream": True, "n": 4, "user": "me", "tools": [1]},
     {"seed": 3}, {"messages": [], "temperature": 0.7, "tools": [1], "seed": 3}),
    ({"messages": [], "temperature": 0.7, "model": "old"},
     {"temperature": 0.0, "model": "new", "max_tokens": 9, "extra": {"top_p": 1}},
     {"messages": [], "temperature": 0.0, "model": "new", "max_tokens": 9, "top_p": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "options", "body"), PROMPTS)
def test_a_prompt_is_asked_as_a_chat(payload, options, body):
    answer = {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}
    with serve(lambda _: Reply(body=answer)) as service:
        found = build("openai", address=service.url + "/v1/", **options).send(inputs(payload))
    assert [one.payload for one in found] == [answer]
    assert service.requests[0].path == "/v1/chat/completions"
    assert service.requests[0].body == body


def test_completions():
    with serve(lambda _: Reply(body={"choices": [{"text": "b"}]})) as service:
        target = build("openai", address=service.url + "/v1", api="completions", model="m")
        target.send(inputs("a"))
    assert service.requests[0].path == "/v1/completions"
    assert service.requests[0].body == {"prompt": "a", "model": "m", "temperature": 0}


def test_requests_for_completions_are_single():
    with pytest.raises(UsageError, match="requests are single: --batch 1"):
        build("openai", address="http://localhost/v1", batch=2)


# -- functions --------------------------------------------------------------------------------


def test_a_function_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "my_variants.py").write_text("def old(xs):\n    return [x * 2 for x in xs]\n")
    monkeypatch.chdir(tmp_path)
    found = build("python", address="my_variants:old").send(inputs(1, 2))
    assert [answer.payload for answer in found] == [2, 4]


def test_a_function_that_fails_or_miscounts():
    def broken(_):
        raise ValueError("no weights")

    with pytest.raises(CollectError) as error:
        build("python", address=broken).send(inputs(1))
    assert str(error.value) == "the function raised ValueError: no weights"
    assert not error.value.retryable
    found = build("python", address=lambda _: [1]).send(inputs(1, 2))
    assert [answer.invalid for answer in found] == ["no answer"] * 2


@pytest.mark.parametrize("address", ["json", "json:nothing", "no_such_module:f", "json:__doc__"])
def test_a_function_that_is_not_there(address):
    with pytest.raises(UsageError, match="python:"):
        build("python", address=address)


def test_everything_json_can_hold_travels():
    payload = {"é": [None, True, 1.5, "\u2028", {"a": []}]}
    with serve(lambda request: Reply(body=request.body)) as service:
        found = build("http", address=service.url).send(inputs(payload))
    assert found[0].payload == payload
    json.dumps(found[0].payload)
