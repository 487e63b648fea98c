"""Blocks of one side, replica by replica, as queries found them."""

from __future__ import annotations

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.model import BlockSeries, ReplicaSample, Window
from nibai.store.series.grouped import Found


def replica_samples(found: Found, window: Window, blocks: int) -> tuple[ReplicaSample, ...]:
    """The replicas that had requests in a window; an empty one where none had."""
    seconds = window.seconds / blocks
    starts = window.start + seconds * np.arange(blocks, dtype=np.float64)
    replicas = found or {"": {"": empty_blocks(blocks)}}
    return tuple(
        ReplicaSample(name, segments, starts, seconds, window=window)
        for name, segments in sorted(replicas.items())
    )


def empty_blocks(blocks: int) -> BlockSeries:
    """Blocks without requests."""
    none = np.zeros(blocks, dtype=np.int64)
    return BlockSeries(BlockHistograms.empty(blocks), none, none.copy(), np.zeros(blocks))
