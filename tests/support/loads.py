"""Live comparisons whose load is matched, from requests with arrival minutes."""

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.model import (
    BlockSeries,
    Comparison,
    ReplicaSample,
    Side,
    UnitKind,
    Window,
    WindowKind,
)
from nibai.stats.cells import split
from nibai.stats.load import Stratified, slots_per_block, stratify
from support.simulator import DAY, Requests, ar1


def arrivals(requests: Requests, slot_seconds: float) -> np.ndarray:
    """Requests per slot of one replica, shape (1, T)."""
    slot = (requests.minute * 60 // slot_seconds).astype(np.int64)
    return np.bincount(slot, minlength=round(requests.minutes * 60 / slot_seconds))[None, :]


def stratified(sides: tuple[Requests, Requests], blocks: int, *, memory: bool = True) -> Stratified:
    """Joint strata of two windows."""
    block_seconds = sides[0].minutes * 60 / blocks
    slot = block_seconds / slots_per_block(block_seconds)
    return stratify(*(arrivals(side, slot) for side in sides), slot, memory=memory)


def series(
    requests: Requests, blocks: int, slot_of: np.ndarray, slot_seconds: float, strata: int
) -> BlockSeries:
    """One segment's blocks, by stratum where there is more than one."""
    slot = (requests.minute * 60 // slot_seconds).astype(np.int64)
    block = (requests.minute * blocks / requests.minutes).astype(np.int64)
    stacked = BlockHistograms.from_values(
        requests.seconds, slot_of[slot] * blocks + block, blocks=strata * blocks
    )
    whole = BlockHistograms.from_values(requests.seconds, block, blocks=blocks)
    none = np.zeros(blocks, dtype=np.int64)
    parts = split(stacked, strata) if strata > 1 else ()
    return BlockSeries(whole, none, none, np.zeros(blocks), parts)


def loaded(baseline, candidate, *, blocks: int = 24, memory: bool = True, **options) -> Comparison:
    """One replica per side; each side Requests, or segment -> Requests of one window."""
    given = [side if isinstance(side, dict) else {"": side} for side in (baseline, candidate)]
    whole = tuple(_together(side) for side in given)
    found = stratified(whole, blocks, memory=memory)
    strata, slot = len(found.load.edges) + 1, found.load.slot_seconds
    sides = []
    for label, segments, slot_of in zip(("before", "after"), given, found.slots, strict=True):
        made = {name: series(r, blocks, slot_of, slot, strata) for name, r in segments.items()}
        seconds = whole[0].minutes * 60.0
        replica = ReplicaSample(
            "r1", made, np.arange(blocks) * seconds / blocks, seconds / blocks, Window(0, seconds)
        )
        sides.append(Side(label, (replica,)))
    options.setdefault("arrivals_known", True)
    return Comparison(
        "latency", WindowKind.LIVE, UnitKind.BLOCK, *sides, same_hosts=True, load=found.load,
        **options,
    )  # fmt: skip


def _together(segments: dict[str, Requests]) -> Requests:
    parts = list(segments.values())
    return Requests(
        np.concatenate([part.minute for part in parts]),
        np.concatenate([part.seconds for part in parts]),
        parts[0].minutes,
    )


def rhythm_day(rng, *, rate: float = 60.0, factor: float = 1.0) -> Requests:
    """A day of loads from 0.22 to 4.5 times `rate`; latency grows with the root of the load.

    Minutes drift together as AR(1) (sd 0.05, 10 minutes). At like load `factor` is the exact ratio.
    """
    rhythm = np.exp(1.5 * np.sin(2 * np.pi * np.arange(DAY) / DAY))
    minute = np.repeat(np.arange(DAY), rng.poisson(rate * rhythm))
    level = factor * 0.2 * (rhythm * rate / 60.0) ** 0.5 * np.exp(ar1(rng, DAY, 0.05, 10))
    seconds = level[minute] * np.exp(rng.normal(0, 0.3, len(minute)))
    return Requests(minute + rng.random(len(minute)), seconds, DAY)
