"""Fleets whose truth is known: block scores with AR(1) noise, judged as the speed analyzer does."""

import numpy as np

from nibai.fleet import EndpointResult, PartResult, fleet_audit
from nibai.model import Promise, Reason, ReasonCode, Verdict
from nibai.stats.student import lower_tail
from nibai.stats.variance import t_statistic, variance_factor

BLOCKS = 24
SHARED = 0.7
"""Correlation between the quantiles of one endpoint."""

ALPHA = 0.025


def scores(rng, shift, phi, *, blocks=BLOCKS):
    """Block scores, shape (E, parts, G), with means `shift` (E, parts) in block sd."""
    endpoints, parts = shift.shape
    size = (endpoints, parts, blocks)
    common = rng.normal(size=(endpoints, 1, blocks))
    noise = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * rng.normal(size=size)
    phi = np.broadcast_to(np.asarray(phi, dtype=float), endpoints)[:, None]
    found = np.empty(size)
    found[..., 0] = noise[..., 0]
    for g in range(1, blocks):
        found[..., g] = phi * found[..., g - 1] + np.sqrt(1 - phi**2) * noise[..., g]
    return found + shift[..., None]


def results(rng, shift, phi):
    """What the endpoints' own audits say of "at least zero in every part"."""
    found = scores(rng, shift, phi)
    factor = variance_factor(found)
    t = t_statistic(found) / np.sqrt(factor)
    return [_result(f"e{i}", t[i], factor[i]) for i in range(len(shift))]


def _result(name, t, factors):
    parts = []
    for value, factor in zip(t, factors, strict=True):
        p_confirm, p_refute = (lower_tail(s * float(value), BLOCKS - 1) for s in (-1, 1))
        verdict = Verdict.INCONCLUSIVE
        if min(p_confirm, p_refute) <= ALPHA:
            verdict = Verdict.CONFIRMED if p_confirm < p_refute else Verdict.REFUTED
        parts.append(
            PartResult("2x faster", Promise.FASTER, verdict, None, float(value), p_confirm,
                       p_refute, BLOCKS, float(factor))
        )  # fmt: skip
    alone = Verdict.INCONCLUSIVE
    if all(part.verdict is Verdict.CONFIRMED for part in parts):
        alone = Verdict.CONFIRMED
    elif min(part.p_refute for part in parts) <= ALPHA / len(parts):
        alone = Verdict.REFUTED
    reason = Reason(ReasonCode.INTERVAL_STRADDLES, "")
    return EndpointResult(name, "c", 1.0, (1, 1), alone, alone, reason, tuple(parts))


def audit(found, **more):
    return fleet_audit(
        found, audit_id="f", created_at=0.0, claims=("2x faster",), scope="", version="0", **more
    )


def truth(rng, endpoints, shares, size, *, parts=3):
    """Means (E, parts): shares (better, at the claim, worse); better and worse by `size` block sd.

    At the claim is the hardest place: one part there and the others well above for half of them
    (hardest to keep from confirming), all parts there for the other half.
    """
    kind = rng.choice(3, endpoints, p=shares)
    shift = np.where(kind == 0, size, np.where(kind == 2, -size, 0.0))[:, None].repeat(parts, 1)
    one_part = (kind == 1) & (rng.random(endpoints) < 0.5)
    shift[one_part, 1:] = 3.0
    return kind, shift


def wrong_shares(decided, kind):
    """(wrong among the confirmed, wrong among the refuted); the claim's edge is wrong for both."""
    verdicts = np.array([r.verdict.value for r in decided.endpoints])
    confirmed, refuted = verdicts == "confirmed", verdicts == "refuted"
    return (
        float((kind[confirmed] != 0).mean()) if confirmed.any() else 0.0,
        float((kind[refuted] != 2).mean()) if refuted.any() else 0.0,
    )


def found_shares(decided, kind):
    """(better ones confirmed, worse ones refuted)."""
    verdicts = np.array([r.verdict.value for r in decided.endpoints])
    return [
        float((verdicts[kind == k] == word).mean()) if (kind == k).any() else float("nan")
        for k, word in ((0, "confirmed"), (2, "refuted"))
    ]
