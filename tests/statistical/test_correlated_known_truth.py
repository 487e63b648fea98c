"""Blocks that hang together strongly, as where load or neighbours drift over hours."""

import numpy as np
import pytest
from support.rates import Rate

from nibai.histogram import BlockHistograms
from nibai.stats.ratio import pbs_ar_many
from nibai.stats.variance import effective_freedom, variance_factor

pytestmark = pytest.mark.slow

PS = (0.5, 0.9)
REPETITIONS = 400


def wandering(rng, blocks, correlation, shape):
    """Normal AR(1) rows of variance 1, shape (rows, blocks)."""
    steps = rng.normal(size=(*shape, blocks))
    found = np.empty_like(steps)
    found[..., 0] = steps[..., 0]
    for i in range(1, blocks):
        found[..., i] = (
            correlation * found[..., i - 1] + np.sqrt(1 - correlation**2) * steps[..., i]
        )
    return found


@pytest.mark.parametrize(
    ("blocks", "correlation", "most"),
    [(24, 0.0, 5), (24, 0.6, 11), (24, 0.8, 15), (12, 0.0, 5), (12, 0.6, 15), (8, 0.0, 5)],
)
def test_intervals_of_means_of_correlated_blocks(blocks, correlation, most, figure):
    """R = 20,000, s.e. at most 0.25 points. Without: 18.0, not 14.5 % at 24 blocks and 0.8."""
    from scipy.special import stdtrit  # noqa: PLC0415 - as everywhere

    means = wandering(np.random.default_rng(20), blocks, correlation, (20_000,))
    factor = variance_factor(means)
    error = means.std(axis=1, ddof=1) / np.sqrt(blocks)
    freedom = np.array([effective_freedom(blocks - 1.0, float(f)) for f in factor])
    missed = np.abs(means.mean(axis=1)) > stdtrit(freedom, 0.975) * np.sqrt(factor) * error
    rate = 100 * float(missed.mean())
    figure(f"{blocks} blocks, correlation {correlation}: intervals of the mean miss {rate:.1f} %")
    assert rate <= most


def test_ratios_where_hours_wander(figure):
    """24 hours of 600 requests, hourly level AR(1) 0.8: nominal 5 %; 24.5 and 24.2 % before."""
    rng = np.random.default_rng(21)
    at = np.repeat(np.arange(24), 600)
    levels = 0.1 * wandering(rng, 24, 0.8, (REPETITIONS, 2))
    missed = np.zeros(len(PS), dtype=np.int64)
    for pair in levels:
        sides = [
            BlockHistograms.from_values(
                np.exp(level[at] + rng.normal(0, 0.5, len(at))), at, blocks=24
            )
            for level in pair
        ]
        for i, found in enumerate(pbs_ar_many(*sides, PS)):
            missed[i] += not found.low <= 0 <= found.high
    rates = [Rate(int(n), REPETITIONS) for n in missed]
    figure(f"24 h, hourly level AR(1) 0.8: misses {' '.join(map(str, rates))} %")
    for rate in rates:
        assert rate.value <= 0.24  # 22.2 and 22.5 % measured, s.e. 2.1
