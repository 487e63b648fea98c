"""What is fixed before a part is watched: block length, correlation, segment shares, or why not."""

from __future__ import annotations

import numpy as np

from nibai.claims import print_claim, quantile_label
from nibai.model import Change, Claim, Promise, Reason, ReasonCode
from nibai.stats.block_values import requests_needed, trials_of
from nibai.stats.day_pairs import BLOCK_SECONDS
from nibai.stats.following import FollowPlan
from nibai.stats.sequential_rates import Trials
from nibai.stats.verdict import faster_threshold, no_slower_threshold
from nibai.stats.whitening import history_correlation
from nibai.store.windows.paired_blocks import PairedBlocks, Past
from nibai.store.windows.stated import declared_flaw

QUIET_SHARE = 0.1
"""Share of the blocks of the past that may hold too few requests."""

NOT_BY_BLOCKS = {
    Promise.THROUGHPUT: "throughput depends on the load that was offered, block by block",
    Promise.CHEAPER: "cost depends on how many instances ran, block by block",
    Promise.COST_AT_MOST: "cost depends on how many instances ran, block by block",
}

LATER = frozenset(
    {
        Promise.SAME_PREDICTIONS,
        Promise.SAME_OUTPUT_MIX,
        Promise.ACCURACY,
        Promise.SAME_JSON_VALIDITY,
    }
)
"""What is not followed in blocks: the audit judges predictions by all pairs."""


def plan_part(
    change: Change, claim: Claim, blocks: PairedBlocks, level: float
) -> FollowPlan | Reason | None:
    """The plan of one part, from the past alone; a reason when blocks cannot decide it.

    None while one side has no data yet.
    """
    reason = _forbidden(change, claim, blocks)
    if reason is not None:
        return reason
    quantile = _quantile(claim)
    short = blocks.pairs(BLOCK_SECONDS[0])
    if short is None:
        return None
    known = blocks.known_up_to(short)
    if quantile is not None and quantile > known:
        return Reason(
            ReasonCode.ONLY_PERCENTILES,
            f"“{print_claim(claim)}”: only percentiles were recorded before the change, which say "
            f"nothing above {quantile_label(known)}: record buckets (CloudWatch: detail TC 109) "
            "and judge again",
        )
    counts = blocks.past(short).counts
    if not counts.sum():
        return Reason(
            ReasonCode.NO_DATA,
            f"no {claim.metric} before the change: later blocks have nothing to be compared with",
        )
    seconds = _block_seconds(counts, requests_needed(quantile))
    if seconds is None:
        return _too_few(claim, counts)
    pairs = blocks.pairs(seconds)
    assert pairs is not None  # noqa: S101 - as for the short blocks
    past: Past = blocks.past(pairs)
    placebos = blocks.placebos(pairs, past, quantile)
    phi = history_correlation(placebos)
    return FollowPlan(
        cut=pairs.cut,
        since=pairs.since,
        block_seconds=seconds,
        side_by_side=pairs.side_by_side,
        phi=phi,
        placebos=len(placebos) if phi is not None else 0,
        threshold=threshold_of(claim),
        level=level,
        shares=claim.promise is Promise.ERRORS,
        weights=past.weights(),
        until=pairs.until,
        past=trials_of(past.segments) if claim.promise is Promise.ERRORS else Trials(),
    )


def threshold_of(claim: Claim) -> float:
    """What the value of a part has to reach, "better" upward."""
    if claim.promise is Promise.ERRORS:
        return -(claim.amount + claim.margin)
    if claim.promise is Promise.NO_SLOWER:
        return no_slower_threshold(claim.amount, claim.margin)
    return faster_threshold(claim.amount, claim.margin)


def _quantile(claim: Claim) -> float | None:
    if claim.promise is Promise.ERRORS:
        return None
    return claim.quantile if claim.quantile is not None else 0.5


def _forbidden(change: Change, claim: Claim, blocks: PairedBlocks) -> Reason | None:
    flaw = declared_flaw(change)
    if flaw is not None:
        return flaw
    why = NOT_BY_BLOCKS.get(claim.promise)
    if why is None and blocks.other_hosts:
        why = "the two sides run on different hosts, so the host is the unit and not the block"
    if why is None:
        return None
    return Reason(
        ReasonCode.FIXED_WINDOW_ONLY,
        f"“{print_claim(claim)}” is not decided by watching: {why}; "
        "audit it once, at a time chosen beforehand (without --watch)",
    )


def _block_seconds(counts: np.ndarray, needed: int) -> float | None:
    """The shortest block that holds enough requests in all but the quietest of the past."""
    for seconds in BLOCK_SECONDS:
        if _quiet(counts, seconds) >= needed:
            return seconds
    return None


def _quiet(counts: np.ndarray, seconds: float) -> float:
    size = round(seconds / BLOCK_SECONDS[0])
    used = len(counts) - len(counts) % size
    if not used:
        return 0.0
    sums = counts[:used].reshape(-1, size).sum(axis=1)
    return float(np.quantile(sums[sums > 0], QUIET_SHARE)) if sums.any() else 0.0


def _too_few(claim: Claim, counts: np.ndarray) -> Reason:
    longest = BLOCK_SECONDS[-1]
    return Reason(
        ReasonCode.TOO_FEW_REQUESTS,
        f"“{print_claim(claim)}” needs {requests_needed(_quantile(claim))} requests in every "
        f"block; blocks of {longest / 3600:g} hours hold {_quiet(counts, longest):.0f}: "
        "audit it once, over days (without --watch)",
    )
