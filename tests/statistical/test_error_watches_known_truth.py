"""Claims about errors, watched: after how many blocks they are decided, and how often wrongly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nibai.stats.block_values import BlockReading
from nibai.stats.following import FollowPlan, new_track
from nibai.stats.sequential_rates import Trials, fixed_requests

pytestmark = pytest.mark.slow

STREAM, REPETITIONS, UNCHANGED = 5, 60, 200
PAST_BLOCKS = 14 * 48


def decided_after(rng, requests, shares, *, allowed, past, most):
    """The block that decided, infinite when none did."""
    track = new_track(
        FollowPlan(
            0.0, 0.0, 1800.0, side_by_side=False, phi=0.0, placebos=6, threshold=-allowed,
            shares=True, past=past,
        )
    )  # fmt: skip
    for number in range(most):
        b, c = (Trials(int(rng.binomial(requests, share)), requests) for share in shares)
        track = track.look(number, BlockReading(b.share - c.share, b, c))
        if track.verdict is not None:
            return number + 1
    return math.inf


@pytest.mark.parametrize(
    ("requests", "shares", "allowed"),
    [
        (1800, (0.01, 0.019), 0.005),
        (6000, (0.01, 0.019), 0.005),
        (600, (0.01, 0.019), 0.0),
        (600, (0.02, 0.02), 0.009),
    ],
)
def test_the_past_saves_blocks(figure, requests, shares, allowed):
    found = []
    for known in (True, False):
        rng = np.random.default_rng(STREAM)
        n = PAST_BLOCKS * requests if known else 0
        past = Trials(round(n * shares[0]), n)
        days = [
            decided_after(rng, requests, shares, allowed=allowed, past=past, most=96)
            for _ in range(REPETITIONS)
        ]
        found.append(float(np.quantile(days, 0.5, method="higher")))
    once = fixed_requests(shares, allowed, 0.95) / requests
    figure(
        f"errors {shares[0]:.1%} -> {shares[1]:.1%} against {allowed:.1%}, {requests} requests a "
        f"block, R={REPETITIONS}: half decided after {found[0]:.0f} blocks, without the past "
        f"{found[1]:.0f}, at one time {once:.1f}"
    )
    assert found[0] <= found[1]
    assert found[0] <= 20


@pytest.mark.parametrize(("share", "before"), [(0.01, 0.01), (0.03, 0.005), (0.002, 0.02)])
def test_exactly_true_claims_are_rarely_decided(figure, share, before):
    rng = np.random.default_rng(STREAM + 1)
    past = Trials(round(PAST_BLOCKS * 600 * before), PAST_BLOCKS * 600)
    days = [
        decided_after(rng, 600, (share, share + 0.005), allowed=0.005, past=past, most=48)
        for _ in range(UNCHANGED)
    ]
    wrong = sum(math.isfinite(day) for day in days) / UNCHANGED
    figure(
        f"errors up by exactly the claim, {share:.1%} where the past had {before:.1%}, "
        f"R={UNCHANGED}: ever decided {wrong:.1%}"
    )
    assert wrong <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / UNCHANGED)
