"""Blocks of one side, replica by replica, as queries found them."""

from __future__ import annotations

import numpy as np

from nibai.model import BlockSeries, ReplicaSample, Window
from nibai.store.series.grouped import Found


def replica_samples(found: Found, window: Window, blocks: int) -> tuple[ReplicaSample, ...]:
    """The replicas that had requests in a window; an empty one where none had."""
    seconds = window.seconds / blocks
    starts = window.start + seconds * np.arange(blocks, dtype=np.float64)
    replicas = found or {"": {"": BlockSeries.empty(blocks)}}
    return tuple(
        ReplicaSample(name, segments, starts, seconds, window=window)
        for name, segments in sorted(replicas.items())
    )
