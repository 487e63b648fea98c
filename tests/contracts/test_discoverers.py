"""What every registered discoverer owes: the protocol, a retryable failure, no secret."""

import pytest

from nibai import plugins
from nibai.errors import CollectError
from nibai.protocols import Discoverer

NAMES = [entry.name for entry in plugins.registered("nibai.discoverers")]
OPTIONS = {
    "account": "123456789012",
    "region": "eu-west-1",
    "endpoints": ("*",),
    "salt": "s",
    "endpoint_url": "http://127.0.0.1:9",
}
SECRET = "wJalrXUtnFEMIEXAMPLEKEY"  # noqa: S105 - not a real one


@pytest.fixture(params=NAMES)
def discoverer(request, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return plugins.load("nibai.discoverers", request.param, OPTIONS)


def test_it_is_a_discoverer_without_problems_before_its_first_look(discoverer):
    assert isinstance(discoverer, Discoverer)
    assert tuple(discoverer.problems) == ()


def test_nobody_answering_is_worth_another_try_and_tells_no_secret(discoverer):
    with pytest.raises(CollectError) as caught:
        list(discoverer.discover({}))
    assert caught.value.retryable
    assert SECRET not in str(caught.value)
