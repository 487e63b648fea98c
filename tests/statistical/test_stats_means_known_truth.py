"""False alarms of ratios of means and of error differences on unchanged autocorrelated traffic."""

import numpy as np
import pytest
from support.simulator import DAY, SCENARIOS, Requests, simulate

from nibai.stats.means import BlockSums, MeanInterval, mean_ratio, share_difference

pytestmark = pytest.mark.slow

STREAM, PAIRS, BLOCKS = 20261124, 300, 24
NOMINAL = 0.05
LIMIT = NOMINAL + 0.03 + 2 * (0.08 * 0.92 / PAIRS) ** 0.5
"""The 8 % of PBS-AR and two standard errors of the simulation."""


def per_block(requests: Requests, worth: np.ndarray) -> BlockSums:
    block = (requests.minute * BLOCKS / requests.minutes).astype(np.int64)
    return BlockSums.of(
        np.bincount(block, weights=worth, minlength=BLOCKS), np.bincount(block, minlength=BLOCKS)
    )


def unchanged_days(scenario: str):
    for r in range(PAIRS):
        yield [
            simulate(
                np.random.default_rng([STREAM, 11, list(SCENARIOS).index(scenario), r, i]),
                SCENARIOS[scenario],
                minutes=DAY,
                rate=30,
            )
            for i in (0, 1)
        ]


def missed(found: MeanInterval) -> bool:
    return found.low > 0 or found.high < 0


@pytest.mark.parametrize("scenario", ["ar10", "burstq", "incid"])
def test_unchanged_means_and_error_shares_stay_quiet(scenario, figure):
    """Errors are the requests slower than 1, 2 and 4 s: from common to nearly none, in clumps."""
    flags: dict[str, int] = dict.fromkeys(("mean", "> 1 s", "> 2 s", "> 4 s"), 0)
    for sides in unchanged_days(scenario):
        flags["mean"] += missed(mean_ratio(*(per_block(s, s.seconds) for s in sides)))
        for limit in (1, 2, 4):
            shares = (per_block(s, (s.seconds > limit).astype(float)) for s in sides)
            flags[f"> {limit} s"] += missed(share_difference(*shares))
    rates = {name: count / PAIRS for name, count in flags.items()}
    text = ", ".join(f"{name} {100 * rate:.1f}" for name, rate in rates.items())
    figure(f"means and error shares, A/A {scenario} 24 h 30/min R={PAIRS}: miss {text} %")
    for name, rate in rates.items():
        assert rate <= LIMIT, f"{scenario} {name}: {100 * rate:.1f} %, limit {100 * LIMIT:.1f} %"
