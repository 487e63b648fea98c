"""False alarms in 30 days of answers that only wander, and how soon a moved share is found."""

import numpy as np
import pytest
from support.output_hours import label_table
from support.rates import Rate, at_most

from nibai.stats.output_watch import BUDGET_HOURS, HOURS_PER_WEEK, LEARNED_WEEKS, follow

pytestmark = pytest.mark.slow

R = 60
LEARNED = LEARNED_WEEKS * HOURS_PER_WEEK


@pytest.mark.parametrize(
    ("noise", "phi", "limit"),
    [(0.0, 0.5, 0.05), (0.1, 0.5, 0.05), (0.1, 0.8, 0.05), (0.3, 0.8, 0.10)],
)
def test_false_alarms_in_thirty_days(noise, phi, limit, figure):
    """The last case wanders by a third within hours: three weeks tell its slow part badly."""
    hours = LEARNED + BUDGET_HOURS
    alarms = sum(
        bool(follow([label_table(r, hours, noise=noise, phi=phi, volume=noise)]).moved)
        for r in range(R)
    )
    rate = Rate(alarms, R)
    figure(f"answers that wander (sd {noise}, phi {phi}), R = {R}: false alarms in 30 d {rate} %")
    at_most(rate, limit, "false alarms in 30 days")


def test_a_moved_share_is_found_within_the_week(figure):
    at = LEARNED + 200
    delays = []
    for r in range(R):
        table = label_table(500 + r, at + 168, noise=0.05, moved=0.06, at=at)
        moved = follow([table]).moved
        delays.append(moved[0].at - at if moved and moved[0].at >= at else np.inf)
    found = Rate(int(np.isfinite(delays).sum()), R)
    figure(f"6 pp moved, 400 answers an hour, R = {R}: found within a week {found} %, "
           f"median after {np.median(delays):.0f} h")  # fmt: skip
    assert found.value >= 0.8
