"""Recorded pasts made of lognormal requests, without a lake."""

from dataclasses import dataclass

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.history import SeriesHistory
from support.series import ar1_noise

START = 19_002 * 86_400.0  # Monday 2022-01-10
HOUR = 3600.0


@dataclass
class Past:
    """A history of given series."""

    given: list

    def series(self):
        return iter(self.given)


def hours(
    seed,
    *,
    blocks=240,
    per_block=300,
    change=None,
    at=None,
    rhythm=0.0,
    phi=0.5,
    **names,
):
    """One series in hours; from block `at` on, `change` is applied to its requests."""
    rng = np.random.default_rng([20261126, seed])
    level = 0.03 * ar1_noise(rng, 1, blocks, phi)[0]
    level += rhythm * np.sin(2 * np.pi * np.arange(blocks) / 24)
    block = np.repeat(np.arange(blocks), per_block)
    values = 0.1 * np.exp(0.3 * rng.normal(size=len(block)) + level[block])
    if at is not None:
        after = block >= at
        values[after] = change(values[after], rng)
    key = {
        "endpoint": f"onprem/tokyo/e{seed}", "variant": "v1", "metric": "latency", "segment": "",
    } | names  # fmt: skip
    histograms = BlockHistograms.from_values(values, block, blocks=blocks)
    return SeriesHistory(**key, start=START, block_seconds=HOUR, histograms=histograms)


def slower_tail(values, rng):
    """4 % of the requests take three times as long."""
    return values * np.where(rng.random(len(values)) < 0.04, 3.0, 1.0)
