"""Unchanged traffic whose slowest requests arrive late: what a watch says that does not wait.

Each repetition is one day of 48 blocks of 60 requests against another one, nothing changed. The
slowest twentieth of the candidate's requests is not there when a block is read at once; it is when
the block's minutes are final.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from nibai.stats.block_values import BlockReading
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.sequential_rates import Trials

pytestmark = pytest.mark.slow

STREAM, REPETITIONS, BLOCKS, REQUESTS, LATE = 20261127, 400, 48, 60, 0.05
PS = (0.5, 0.9)


def watched(values: np.ndarray) -> Track:
    track = new_track(
        FollowPlan(0.0, 0.0, 1800.0, side_by_side=False, phi=0.0, placebos=6, threshold=0.0)
    )
    for number, value in enumerate(values.tolist()):
        track = track.look(number, BlockReading(value, Trials(), Trials()))
    return track


def ever_decided(*, final: bool) -> list[float]:
    """Share of repetitions in which "faster at all" was ever decided, by quantile."""
    rng = np.random.default_rng(STREAM)
    decided = np.zeros(len(PS))
    for _ in range(REPETITIONS):
        before, after = np.sort(rng.lognormal(0, 0.4, (2, BLOCKS, REQUESTS)))
        there = after if final else after[:, : round(REQUESTS * (1 - LATE))]
        for i, p in enumerate(PS):
            values = np.log2(np.quantile(before, p, axis=1) / np.quantile(there, p, axis=1))
            decided[i] += watched(values).verdict is not None
    return (decided / REPETITIONS).tolist()


def test_only_final_minutes_keep_the_promised_error_rate(figure):
    at_once, final = ever_decided(final=False), ever_decided(final=True)
    figure(
        f"late minutes, R={REPETITIONS}: unchanged traffic is decided in "
        f"{at_once[0]:.1%}/{at_once[1]:.1%} (p50/p90) read at once, {final[0]:.1%}/{final[1]:.1%} "
        "when final"
    )
    allowed = 0.05 + 2 * math.sqrt(0.05 * 0.95 / REPETITIONS)
    assert max(final) <= allowed
    assert at_once[1] > 0.5, "the slowest twentieth is enough"
