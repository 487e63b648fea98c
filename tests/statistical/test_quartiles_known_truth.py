"""How far a fit through quartiles and p99 is off: the margins of `quartile_fit`."""

import numpy as np
import pytest

from nibai.histogram import BlockHistograms
from nibai.stats.percentile_fit import rebuilt_counts
from nibai.stats.recorded import QUARTILE_MARGINS

NODES = (0.01, 0.25, 0.5, 0.75, 0.99)
PS = (0.5, 0.75, 0.9, 0.95, 0.99)
REPORTS, SEEDS = 240, 12


def error(seed, executions, slow_share):
    """Relative error of each quantile of all reports together."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 0.02, REPORTS))
    values, edges, counts = [], [], []
    for level in drift:
        one = rng.lognormal(-2 + level, 0.35, executions)
        one[rng.random(executions) < slow_share] *= 6
        values.append(one)
        nodes = dict(zip(NODES, np.quantile(one, NODES), strict=True))
        bucket, n = rebuilt_counts(executions, nodes, one.min(), one.max())
        edges.append(bucket)
        counts.append(n)
    bucket, n = np.concatenate(edges), np.concatenate(counts)
    merged = BlockHistograms.from_rows(np.zeros(len(bucket), np.int64), bucket, n, blocks=1)
    fitted = merged.quantile(PS)
    return np.abs(fitted / np.quantile(np.concatenate(values), PS) - 1)


@pytest.mark.slow
def test_quartiles_hold_their_margins_and_nothing_above_p75(figure):
    found = np.array([
        error(seed, executions, share)
        for seed in range(SEEDS) for executions in (20, 100, 500) for share in (0.0, 0.03, 0.1)
    ])  # fmt: skip
    worst = dict(zip(PS, found.max(axis=0), strict=True))
    figure(
        "quartiles and p99 fitted, worst error at "
        + ", ".join(f"p{100 * p:g} {100 * off:.1f} %" for p, off in worst.items())
    )
    for upto, margin in QUARTILE_MARGINS:
        assert worst[upto] <= margin, upto
    assert worst[0.9] > 0.2, "a claim at p90 would rest on a guess"
