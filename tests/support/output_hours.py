"""Hourly counts of answers with rhythms of day and week, and slow noise."""

import numpy as np

from nibai.stats.output_watch import HourlyCounts
from support.series import ar1_noise


def label_table(seed, hours, *, rate=400, noise=0.05, phi=0.5, moved=0.0, at=None, volume=0.05):
    """Labels a, b and c; from hour `at` on, `moved` of all answers went from b to a."""
    rng = np.random.default_rng([20_261_126, seed])
    hour = np.arange(hours)
    slow = ar1_noise(rng, 3, hours, phi)
    logits = np.stack([noise * slow[0], noise * slow[1], np.full(hours, -0.5)], axis=1)
    logits[:, 0] += 0.6 * np.sin(2 * np.pi * hour / 24) + 0.4 * (hour // 24 % 7 >= 5)
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    if at is not None:
        shares[at:, 0] += np.minimum(moved, shares[at:, 1])
        shares[at:, 1] -= np.minimum(moved, shares[at:, 1])
    mean = rate * (1 + 0.5 * np.sin(2 * np.pi * hour / 24)) * np.exp(volume * slow[2])
    counts = np.array(
        [rng.multinomial(n, p) for n, p in zip(rng.poisson(mean), shares, strict=True)]
    )
    return HourlyCounts("label", ("a", "b", "c"), 0, counts)
