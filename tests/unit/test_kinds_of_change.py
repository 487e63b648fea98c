"""Changes of several kinds: discovered, dated, classified and judged as their requests were.

One account, one walk of a day, every request known; all kinds: `tests/statistical`.
"""

import pytest
from support.aws_world import World, scrubbed
from support.kinds_judged import FEW, check_discovered, check_judged, check_left_alone
from support.kinds_of_change import CASES, ROLLED_BACK, lived

NAMES = {"instance", "image", "parts"}
MAIN = tuple(case for case in CASES if case.name in NAMES)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = World(tmp_path_factory.mktemp("kinds"), monkeypatch, requests=80)
        yield lived(made, MAIN, (ROLLED_BACK,), detail="TC 55", quantiles="p50 and p90", every=5)


@pytest.mark.parametrize("case", MAIN, ids=lambda case: case.name)
def test_a_change_is_discovered_dated_classified_and_judged(world, case):
    check_discovered(world, case)
    check_judged(world, case, FEW)


def test_a_deployment_that_was_taken_back_is_no_change(world):
    check_left_alone(world, "undone", "the deployment of undone-2 did not stay")


def test_what_is_said_of_them(world, golden):
    """Every line a user sees of the last look and of the reading."""
    said = [*world.discovered[1:], world.collected[1]]
    golden("kinds_of_change.txt", scrubbed("\n".join(said)))
