"""What every registered examiner owes: no section, nothing to do; its cost said; only facts."""

import pytest

from nibai import plugins
from nibai.config import Config
from nibai.protocols import Examiner

NAMES = [entry.name for entry in plugins.registered("nibai.examiners")]


@pytest.fixture(params=NAMES)
def examiner(request):
    options = {"config": Config().model_dump(mode="json"), "endpoint": None}
    return plugins.load("nibai.examiners", request.param, options)


def test_without_its_section_it_has_nothing_to_do(examiner):
    assert isinstance(examiner, Examiner)
    assert all(not one.reads for one in examiner.effort())
    assert list(examiner.examine()) == []
