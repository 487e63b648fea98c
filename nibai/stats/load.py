"""Load matching: both sides compared at the arrival rates that both of them had.

Slots of five minutes are cut into strata of arrivals per minute and replica, an exogenous quantity
(concurrency is rate times latency: it contains the outcome). Each stratum weighs the smaller of its
two shares, so that no request counts more than 1/overlap times. Assumes that within a stratum load
is alike. Source: nibai's statistics.md, section 9; what is silent there: docs/decisions/load.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nibai.histogram import Float64Array, Int64Array
from nibai.model import LoadStrata
from nibai.units import significant

SLOT_SECONDS = 300.0
"""Shortest slot, and the least time a stratum needs on each side."""

STRATA = 6
FINE = 4
"""Parts of a stratum that weigh requests: wide strata leave a difference of load inside."""

MIN_FINE_SLOTS = 12
"""Slots of each side that a part should have on average."""

MIN_OVERLAP = 0.7

LEAST_STEP = 1.1
"""Neighbouring strata whose typical loads differ by less are one (design choice)."""

NOISE_STEP = 2.0
"""... and so are those nearer than this many standard errors of a slot's Poisson count."""

IDLE_SECONDS = 1800.0
"""A replica without arrivals for longer took no traffic then; before, traffic was just thin."""


@dataclass(frozen=True, slots=True, eq=False)
class Stratified:
    """The strata, and the fine stratum of every slot of (baseline, candidate); -1: no arrivals."""

    load: LoadStrata
    slots: tuple[Int64Array, Int64Array]


# -- slots ------------------------------------------------------------------------------------


def slots_per_block(block_seconds: float) -> int:
    """Equal slots of at least five minutes that a block is cut into.

    >>> slots_per_block(3600.0), slots_per_block(450.0), slots_per_block(60.0)
    (12, 1, 1)
    """
    return max(math.floor(block_seconds / SLOT_SECONDS + 1e-9), 1)


def replica_rates(counts: Int64Array, slot_seconds: float) -> Float64Array:
    """Arrivals per minute and active replica, shape (T,), of counts (R, T); 0 where none is active.

    A replica is active from its first arrival to its last, except for gaps of over half an hour.

    >>> replica_rates(np.array([[50, 50, 0, 0], [40, 60, 50, 0]]), 300.0).tolist()
    [9.0, 11.0, 10.0, 0.0]
    """
    active = np.stack([_active(row > 0, IDLE_SECONDS / slot_seconds) for row in counts])
    replicas = active.sum(axis=0)
    total = counts.sum(axis=0) * (60.0 / slot_seconds)
    return np.asarray(np.where(replicas > 0, total / np.maximum(replicas, 1), 0.0))


def _active(seen: np.ndarray, longest_gap: float) -> np.ndarray:
    at = np.flatnonzero(seen)
    active = seen.copy()
    for i in np.flatnonzero(np.diff(at) > 1):
        if at[i + 1] - at[i] - 1 <= longest_gap:
            active[at[i] : at[i + 1]] = True
    return active


def with_memory(rates: Float64Array) -> Float64Array:
    """Mean of each slot's rate and the one before: queues remember what came before.

    >>> with_memory(np.array([10.0, 20.0, 40.0])).tolist()
    [10.0, 15.0, 30.0]
    """
    before = np.concatenate([rates[:1], rates[:-1]])
    return np.asarray((rates + before) / 2.0)


# -- strata -----------------------------------------------------------------------------------


def stratify(
    baseline: Int64Array, candidate: Int64Array, slot_seconds: float, *, memory: bool = True
) -> Stratified:
    """Joint strata of load of two sides from arrivals per replica and slot, shapes (R, T).

    >>> steady = np.full((1, 288), 100)
    >>> stratify(steady, steady, 300.0).load.edges, stratify(steady, steady * 2, 300.0).load.overlap
    ((), 0.0)
    """
    rates = [replica_rates(side, slot_seconds) for side in (baseline, candidate)]
    keys = [with_memory(side) if memory else side for side in rates]
    requests = [side.sum(axis=0) for side in (baseline, candidate)]
    filled = [n > 0 for n in requests]
    joint = np.concatenate([key[has] for key, has in zip(keys, filled, strict=True)])
    replicas = min(len(baseline), len(candidate))
    minutes = slot_seconds / 60.0 * (2 if memory else 1) * replicas
    edges = _edges(joint, minutes, STRATA) if len(joint) else np.zeros(0)
    fine = _refined(joint, edges) if len(edges) else edges
    groups = np.searchsorted(edges, np.append(fine, np.inf), side="left")
    slots = [
        np.where(has, np.searchsorted(fine, key, side="left"), -1)
        for key, has in zip(keys, filled, strict=True)
    ]
    shares = [
        _shares(np.where(slot >= 0, groups[slot], -1), n, len(edges) + 1)
        for slot, n in zip(slots, requests, strict=True)
    ]
    load = LoadStrata(
        edges=tuple(float(edge) for edge in fine),
        groups=tuple(int(group) for group in groups),
        shares=(tuple(shares[0].tolist()), tuple(shares[1].tolist())),
        overlap=min(float(np.minimum(*shares).sum()), 1.0),
        arrivals=(_range(rates[0][filled[0]]), _range(rates[1][filled[1]])),
        slot_seconds=slot_seconds,
    )
    return Stratified(load, (slots[0], slots[1]))


def _edges(joint: Float64Array, minutes: float, strata: int) -> Float64Array:
    """Upper bounds of all strata but the last: joint quantiles, indistinct neighbours joined."""
    edges = _quantiles(joint, strata)
    while len(edges):
        stratum = np.searchsorted(edges, joint, side="left")
        typical = np.array([np.median(joint[stratum == i]) for i in range(len(edges) + 1)])
        needed = np.maximum(
            (LEAST_STEP - 1.0) * typical[:-1], NOISE_STEP * np.sqrt(typical[1:] / minutes)
        )
        distinct = np.diff(typical) / needed
        nearest = int(np.argmin(distinct))
        if distinct[nearest] >= 1.0:
            break
        edges = np.delete(edges, nearest)
    return np.asarray(edges)


def _quantiles(joint: Float64Array, parts: int) -> Float64Array:
    found = np.unique(np.quantile(joint, np.arange(1, parts) / parts, method="inverted_cdf"))
    return np.asarray(found[found < joint.max()])


def _refined(joint: Float64Array, edges: Float64Array) -> Float64Array:
    """The edges and those of the strata's parts, as many parts as the slots allow."""
    parts = min(FINE, max(len(joint) // (2 * MIN_FINE_SLOTS * STRATA), 1))
    return np.union1d(edges, _quantiles(joint, STRATA * parts))


def _shares(stratum: Int64Array, requests: Int64Array, strata: int) -> Float64Array:
    has = stratum >= 0
    total = np.bincount(stratum[has], weights=requests[has], minlength=strata)
    return np.asarray(total / max(float(total.sum()), 1.0))


def _range(rates: Float64Array) -> tuple[float, float, float]:
    """5th, 50th and 95th percentile of the slots with arrivals; zeros without any."""
    if not len(rates):
        return 0.0, 0.0, 0.0
    low, middle, high = np.quantile(rates, (0.05, 0.5, 0.95))
    return float(low), float(middle), float(high)


# -- words ------------------------------------------------------------------------------------


def load_note(load: LoadStrata) -> str:
    """How load was matched, or that there was nothing to match, in a sentence.

    >>> load_note(LoadStrata((), (0,), ((1,), (1,)), 1.0, ((9, 10, 11), (9.5, 10, 12)), 300.0))
    'load: a median of 10 and 10 arrivals per minute and replica; it barely varies, not matched'
    """
    b, c = (significant(side[1]) for side in load.arrivals)
    said = f"load: a median of {b} and {c} arrivals per minute and replica"
    if not load.edges:
        return f"{said}; it barely varies, not matched"
    return f"{said}, matched in {max(load.groups) + 1} strata; overlap {load.overlap:.0%}"


def load_range(arrivals: tuple[float, float, float]) -> str:
    """The usual loads of a side.

    >>> load_range((8.04, 16.0, 31.5))
    '8 to 32 (median 16)'
    """
    low, middle, high = (f"{rate:.2g}" if rate < 100 else f"{rate:,.0f}" for rate in arrivals)  # noqa: PLR2004 - whole numbers
    return f"{low} to {high} (median {middle})"
