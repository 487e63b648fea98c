"""The learned age from end to end: boto3, a CloudWatch whose minutes fill up late, collect, watch.

What `test_learned_age_known_truth.py` counts on arrays (R = 400), here once through every layer:
a week is read hourly, then a change is watched while the collector reads on by itself.
"""

import pytest
from support.late_cloudwatch import FIVE_MINUTES, LateCloudWatch

from nibai.app.collect import UNSETTLED
from nibai.model import Verdict

pytestmark = pytest.mark.slow
TAUGHT = 106
"""Hours: 99 tell an age, and the last five are still read again."""

FASTER = "model_latency 1.1x faster at p50 and p90"
NOT_SLOWER = "model_latency no more than 10% slower at p50 and p90"
FOLLOWED = 9


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as found:
        yield found


@pytest.fixture(scope="module")
def punctual(tmp_path_factory, patch):
    """A week of minutes that are whole at once."""
    made = LateCloudWatch(tmp_path_factory.mktemp("punctual"), patch, alert_every="5m")
    made.hours(TAUGHT)
    yield made
    made.close()


@pytest.fixture(scope="module")
def tardy(tmp_path_factory, patch):
    """A week whose slowest requests come up to 40 minutes late."""
    made = LateCloudWatch(tmp_path_factory.mktemp("tardy"), patch, alert_every="5m")
    made.late_seconds = 2400.0
    made.hours(TAUGHT)
    yield made
    made.close()


@pytest.fixture
def on_from(tmp_path):
    """What follows a week, in a folder of its own."""
    made = []

    def branch(before, seed, **section):
        made.append(before.branch(tmp_path, seed=seed, **section))
        return made[0]

    yield branch
    for one in made:
        one.close()


def test_a_regression_is_told_a_quarter_of_an_hour_after_its_block(punctual, on_from, figure):
    assert punctual.learned.age_seconds == 600.0
    world = on_from(punctual, 9)
    world.declare(NOT_SLOWER)
    world.factor = 1.3
    waited = world.follow(FOLLOWED, every=FIVE_MINUTES)
    figure(f"end to end, 1.3x slower: refuted {waited} minutes after the block, {world.values}")
    assert world.verdict is Verdict.REFUTED
    assert waited == 13.0
    assert all(1 / 1.4 < value < 1 / 1.2 for value in world.values)
    assert set(world.ages) == {600.0}


def test_it_is_told_as_early_without_alert_every(punctual, on_from, figure):
    """Two readings an hour, near the change only."""
    world = on_from(punctual, 9, alert_every=None)
    world.declare(NOT_SLOWER)
    world.factor = 1.3
    began = world.now
    waited, readings = world.follow_as_collect(FOLLOWED)
    hours = (world.now - began) / 3600
    figure(
        f"end to end, 1.3x slower, no alert_every: refuted {waited:.1f} minutes after the block, "
        f"{readings} readings in {hours:.1f} hours"
    )
    assert world.verdict is Verdict.REFUTED
    assert 13.0 <= waited < 13.1
    assert readings <= 3 * hours + 2


def test_unchanged_traffic_is_nothing_of_both(punctual, on_from, figure):
    world = on_from(punctual, 10)
    world.declare(FASTER)
    waited = world.follow(FOLLOWED)
    figure(f"end to end, unchanged, claimed {FASTER}: {world.verdict}, {waited} minutes")
    assert world.verdict is not Verdict.CONFIRMED
    assert set(world.ages) == {600.0}
    assert UNSETTLED not in world.notes


def test_minutes_that_are_always_late_are_waited_for(tardy, on_from, figure):
    """A young minute lacks its slow requests: an age of ten minutes would confirm the claim."""
    assert tardy.learned.age_seconds == 2700.0
    world = on_from(tardy, 11)
    world.declare(FASTER)
    world.follow(FOLLOWED)
    figure(f"end to end, unchanged, up to 40 minutes late: {world.verdict}, {world.values}")
    assert world.verdict is not Verdict.CONFIRMED
    assert set(world.ages) == {2700.0}
    assert all(0.9 < value < 1.1 for value in world.values)


def test_a_regression_behind_late_minutes_is_told_when_they_are_whole(tardy, on_from, figure):
    world = on_from(tardy, 12)
    world.declare(NOT_SLOWER)
    world.factor = 1.3
    waited = world.follow(FOLLOWED, every=FIVE_MINUTES)
    figure(f"end to end, 1.3x slower and 40 minutes late: {waited} minutes after the block")
    assert world.verdict is Verdict.REFUTED
    assert 45 <= waited <= 75


def test_minutes_that_are_suddenly_late_take_the_trust_away(punctual, on_from, figure):
    world = on_from(punctual, 13)
    world.declare(FASTER)
    world.late_seconds = 7200.0
    world.follow(FOLLOWED)
    figure(
        f"end to end, unchanged, suddenly 2 h late: {world.verdict}, {world.values}; "
        f"ages {list(dict.fromkeys(world.ages))}"
    )
    assert world.verdict is not Verdict.CONFIRMED
    assert world.ages[0] == 600.0
    assert world.ages[-1] in {7200.0, None}, "as old as the latest of them, or three hours"
    assert all(0.9 < value < 1.1 for value in world.values)
    assert world.notes[UNSETTLED] > 0, "and it was said"
