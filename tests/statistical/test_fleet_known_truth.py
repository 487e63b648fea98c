"""False discovery rate of fleets on known truth, the far tail of p-values, cover of the shares.

Worst cases on purpose: endpoints exactly at the claim count as wrong whichever way they are
decided. Seeds belong to a stream that no development run has used.
"""

import numpy as np
import pytest
from scipy.special import stdtr
from support.fleet_truth import audit, found_shares, results, scores, truth, wrong_shares

from nibai.stats.block_tails import lifted, typical_correlation
from nibai.stats.multiplicity import e_bh
from nibai.stats.variance import t_statistic, variance_factor

pytestmark = pytest.mark.slow

STREAM = 20261126
ENDPOINTS, FLEETS = 1000, 40
Q = 0.05

SPARSE, HALF, NOTHING = (0.05, 0.90, 0.05), (0.4, 0.3, 0.3), (0.0, 1.0, 0.0)
WILD = (0.0, 0.0, 0.0, 0.6)
"""A quarter of the endpoints has blocks that correlate strongly: the rest hides them."""


@pytest.mark.parametrize("phi", [(0.0,), (0.2,), (0.4,), (0.1, 0.3), (0.0, 0.5), WILD], ids=str)
@pytest.mark.parametrize("shares", [SPARSE, HALF, NOTHING], ids=["sparse", "half", "nothing"])
def test_false_discovery_rate(shares, phi, figure):
    rng = np.random.default_rng([STREAM, int(100 * sum(phi)), int(100 * shares[1])])
    wrong, power, inside = [], [], []
    for _ in range(FLEETS):
        kind, shift = truth(rng, ENDPOINTS, shares, 1.5)
        decided = audit(results(rng, shift, rng.choice(phi, ENDPOINTS)), q=Q)
        wrong.append(wrong_shares(decided, kind))
        power.append(found_shares(decided, kind))
        low, high = decided.true_endpoints.low, decided.true_endpoints.high
        inside.append((low <= (kind == 0).mean(), high >= (kind != 2).mean()))
    wrong, covered = np.array(wrong), np.array(inside)
    rates, errors = wrong.mean(axis=0), wrong.std(axis=0) / np.sqrt(FLEETS)
    figure(
        f"fleet {shares} phi {phi}: wrong among confirmed {100 * rates[0]:.1f} %, refuted "
        f"{100 * rates[1]:.1f} %; found {np.round(100 * np.mean(power, axis=0))} %; bounds hold "
        f"{100 * covered.mean(axis=0)} % (R={FLEETS})"
    )
    target = Q + 2 * np.maximum(errors, np.sqrt(Q * (1 - Q) / FLEETS) * (shares is NOTHING))
    if phi is WILD and shares is NOTHING:
        return  # the known limit: one false alarm in about six fleets in which nothing is decided
    assert np.all(rates <= target)
    assert np.all(covered.mean(axis=0) >= 0.975 - 2 * np.sqrt(0.975 * 0.025 / FLEETS))


@pytest.mark.parametrize("blocks", [12, 24, 28, 48])
@pytest.mark.parametrize("phi", [0.0, 0.1, 0.2, 0.4, 0.6])
def test_the_far_tail_of_p_values(phi, blocks, figure):
    rng = np.random.default_rng([STREAM, blocks, int(100 * phi)])
    t, factor = [], []
    for _ in range(8):
        found = scores(rng, np.zeros((50_000, 1)), phi, blocks=blocks)[:, 0]
        factor.append(variance_factor(found))
        t.append(np.abs(t_statistic(found)) / np.sqrt(factor[-1]))
    p = stdtr(blocks - 1, -np.concatenate(t))
    raised = lifted(p, typical_correlation(np.concatenate(factor), blocks))
    levels = np.array([0.025, 5e-3, 1e-3, 1e-4])
    rate, after = ([float((x <= level).mean() / 2) for level in levels] for x in (p, raised))
    figure(
        f"tail G={blocks} phi={phi}: rate/nominal at {levels.tolist()}: raw "
        f"{np.round(rate / levels, 1)}, raised {np.round(after / levels, 1)} (R={2 * len(p)})"
    )
    errors = np.sqrt(levels / (2 * len(p)))
    assert np.all(after <= 1.15 * levels + 2 * errors)


def test_e_bh_while_watching(figure):
    """e-values that are mixtures of likelihood ratios, looked at after every block, 5 % true."""
    rng = np.random.default_rng(STREAM)
    slopes = np.array([0.3, 0.6, 1.2])
    wrong, power = [], []
    for _ in range(FLEETS):
        better = rng.random(ENDPOINTS) < 0.05
        path = np.cumsum(rng.normal(size=(ENDPOINTS, 48)) + 1.0 * better[:, None], axis=1)
        n = np.arange(1, 49)
        log_e = np.logaddexp.reduce(
            slopes[:, None, None] * path - slopes[:, None, None] ** 2 * n / 2, axis=0
        ) - np.log(len(slopes))
        ever, kept = np.zeros(ENDPOINTS, dtype=bool), log_e[:, 0]
        for look in range(48):
            # Final verdicts: a rejected endpoint keeps the e-value it was rejected with, which is
            # that of a stopping time; so the union of all looks is e-BH of stopped e-values.
            kept = np.where(ever, kept, log_e[:, look])
            ever |= e_bh(kept, Q)
        wrong.append((ever & ~better).sum() / max(ever.sum(), 1))
        power.append(ever[better].mean())
    rate, error = np.mean(wrong), np.std(wrong) / np.sqrt(FLEETS)
    figure(
        f"e-BH, 48 looks: wrong {100 * rate:.1f} %, found {100 * np.mean(power):.0f} % (R={FLEETS})"
    )
    assert rate <= Q + 2 * error
