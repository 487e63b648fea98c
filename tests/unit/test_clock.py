"""Windows of live traffic are paired by the clock, or refused with the way out."""

import pytest

from nibai.model import ReasonCode, Window
from nibai.stats.clock import plan_blocks

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10


def at(day, hour=0.0, days=0.0, hours=0.0):
    start = MONDAY + day * DAY + hour * HOUR
    return Window(start, start + days * DAY + hours * HOUR)


@pytest.mark.parametrize(
    ("baseline", "candidate", "blocks", "hours"),
    [
        (at(0, days=1), at(1, days=1), 24, 24.0),  # Monday and Tuesday
        (at(0, days=1), at(7, days=1), 24, 24.0),  # the same weekday
        (at(0, 9, hours=6), at(1, 9, hours=6), 12, 6.0),
        (at(0, 9, hours=3), at(2, 9, hours=3), 8, 3.0),
        (at(0, 9, hours=8), at(1, 11, hours=8), 12, 6.0),  # what both hold: 11 to 17
        (at(0, days=2), at(2, days=1), 24, 24.0),  # unequal lengths: whole days of the shorter
        (at(0, days=7), at(3, days=7), 28, 168.0),  # whole weeks, wherever they start
        (at(0, days=14), at(17, days=14), 56, 336.0),
        (at(0, days=9), at(10, days=9), 28, 168.0),  # nine days of other weekdays: one week
        (at(0, 22, hours=6), at(1, 22, hours=6), 12, 6.0),  # over midnight
        (at(5, days=1), at(6, days=1), 24, 24.0),  # Saturday and Sunday
    ],
)
def test_these_are_paired(baseline, candidate, blocks, hours):
    plan = plan_blocks(baseline, candidate)
    assert plan.gate is None
    assert plan.blocks == blocks
    assert plan.baseline.seconds == plan.candidate.seconds == hours * HOUR
    assert (plan.candidate.start - plan.baseline.start) % DAY == 0
    assert plan_blocks(candidate, baseline).gate is None


@pytest.mark.parametrize(
    ("baseline", "candidate", "what"),
    [
        (at(0, 0, hours=6), at(0, 6, hours=6), "hours of the day"),  # the following hours
        (at(0, 9, hours=6), at(1, 14, hours=6), "hours of the day"),
        (at(4, days=1), at(5, days=1), "days of the week"),  # Friday and Saturday
        (at(0, days=2), at(4, days=2), "days of the week"),  # Friday and Saturday are no two days
        (at(3, 20, hours=12), at(4, 20, hours=12), "days of the week"),  # into the weekend
        (at(0, 12, days=1), at(4, 12, days=1), "days of the week"),  # Friday noon on
        (at(0, days=6), at(2, days=6), "days of the week"),
    ],
)
def test_these_are_refused_with_the_way_out(baseline, candidate, what):
    for windows in ((baseline, candidate), (candidate, baseline)):
        gate = plan_blocks(*windows).gate
        assert gate.code is ReasonCode.UNMATCHED_CLOCK
        assert gate.text == (
            f"the two windows hold other {what}: traffic has a daily and weekly rhythm, so compare "
            "the same hours and kind of day, or whole weeks"
        )


def test_a_window_that_ends_with_its_last_request_is_still_a_day():
    plan = plan_blocks(at(0, hours=23.95), at(1, hours=24))
    assert (plan.blocks, plan.baseline.seconds) == (24, DAY)
