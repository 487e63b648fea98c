"""False discovery rate of watched fleets: e-BH after every block, and at the worst look."""

import numpy as np
import pytest
from support.watched_fleets import Q, looked_at, truth

pytestmark = pytest.mark.slow

STREAM = 20261127
FLEETS = 20


@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize(("edge", "moved"), [(90, 10), (40, 60)])
def test_false_discovery_rate_at_every_look(edge, moved, shared, figure):
    runs = np.array(
        [
            looked_at(np.random.default_rng([STREAM, edge, int(10 * shared), seed]),
                      truth(edge, moved), shared)
            for seed in range(FLEETS)
        ]
    )  # fmt: skip
    wrong, found = runs[..., :2], runs[..., 2:].mean(0)
    rates, errors = wrong.mean(0), wrong.std(0) / np.sqrt(FLEETS)
    worst = wrong.max(1).mean(0)
    figure(
        f"watched fleet of {2 * (edge + moved)} ({2 * edge} at the claim, shared noise {shared}): "
        f"wrong among confirmed/refuted at most {100 * rates.max(0).round(4)} % at a look, "
        f"{100 * worst.round(4)} % at the worst of 48; found after 12, 16, 24 blocks "
        f"{[np.round(100 * found[i]).tolist() for i in (11, 15, 23)]} % (R={FLEETS})"
    )
    assert np.all(rates <= Q + 2 * errors)
    assert np.all(found[-1] > 0.9)
