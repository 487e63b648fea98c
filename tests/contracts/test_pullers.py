"""What every registered source that is pulled owes: a plan without asking, a retryable failure."""

import socket

import pytest

from nibai import plugins
from nibai.app.collect import PULLED_SECTIONS
from nibai.config import Config
from nibai.errors import CollectError
from nibai.protocols import Puller

NOBODY = "http://127.0.0.1:9"
SECRET = "wJalrXUtnFEMIEXAMPLEKEY"  # noqa: S105 - not a real one
AWS = {"account": "123456789012", "region": "eu-west-1", "endpoint_url": NOBODY}
SECTIONS = {
    "cloudwatch": AWS | {"endpoints": {"chat": ["blue"]}},
    "data_capture": AWS
    | {"endpoint": "chat", "destination": "s3://captures/prod", "variants": ["blue"]},
    "bedrock": AWS | {"endpoints": {"chat": ["m"]}, "logs": {"destination": "s3://logs"}},
    "neuron": {"endpoint": "onprem/tokyo/ocr", "url": f"{NOBODY}/metrics"},
    "spans": AWS | {"endpoint": "bedrock/123456789012.eu-west-1/chat", "source": "spans"},
    "prometheus": {"url": NOBODY, "endpoint": "onprem/tokyo/{job}", "metrics": {"latency": "x_s"}},
}

OTHER_PATHS = {"cloudwatch_promql": ("cloudwatch", SECTIONS["cloudwatch"] | {"path": "promql"})}
"""Plug-ins that a section names itself: the section, and what it says then."""


@pytest.fixture(params=[*SECTIONS, *OTHER_PATHS])
def puller(request, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("time.sleep", lambda _: None)
    name, section = OTHER_PATHS.get(request.param) or (request.param, SECTIONS[request.param])
    [chosen] = getattr(Config.model_validate({name: [section]}), name)
    return plugins.load("nibai.collectors", request.param, dict(chosen))


def test_every_section_that_is_read_is_here():
    assert set(SECTIONS) == set(PULLED_SECTIONS)


def test_it_plans_without_asking_anybody(puller, monkeypatch):
    def asked(*_):
        raise AssertionError("a preview asked somebody")

    monkeypatch.setattr(socket.socket, "connect", asked)
    assert isinstance(puller, Puller)
    assert len(set(puller.series)) == len(puller.series) > 0
    preview = puller.preview({})
    assert preview.said
    assert preview.calls > 0
    assert puller.preview(dict.fromkeys(puller.series, 0.0)).said


def test_nobody_answering_is_told_without_a_secret_and_takes_no_series_further(puller):
    problems, parts, retryable = [], [], True
    try:
        for part in puller.pull({}):
            parts.append(part)
            problems += [*part.problems, *part.notes]
    except CollectError as error:
        retryable = error.retryable
        problems.append(str(error))
    assert problems
    assert retryable
    assert SECRET not in repr(problems)
    assert not {name for part in parts for name in part.read_until} & set(puller.series)
