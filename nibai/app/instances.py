"""Instances counted while endpoints are looked at: what claims about cost are judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nibai.buckets import regular_buckets
from nibai.config import Config
from nibai.model import Observation, SeriesKey
from nibai.store.pulled.observations import difference
from nibai.store.state.database import State
from nibai.store.wal.ingest import Ingest

COUNT_SECONDS = 600.0
"""Blocks of a verdict are longer: a count every ten minutes is enough."""

SCALE = 5


def counts(endpoint: str, running: Mapping[str, float], now: float) -> list[Observation]:
    """Counts by variant as samples of this minute.

    >>> [(one.key.metric, one.sum) for one in counts("aws/x/chat", {"blue": 3.0}, 60.0)]
    [('instances', 3.0)]
    """
    found = []
    for variant, count in sorted(running.items()):
        buckets = regular_buckets(np.array([count]), SCALE).astype(np.int32)
        key = SeriesKey(endpoint, variant, "", "", "instances")
        ones = np.ones(1, dtype=np.int64)
        found.append(Observation(key, int(now // 60), buckets, ones, 1, count, count, count))
    return found


def store_counts(
    counted: Sequence[Observation],
    collector: str,
    config: Config,
    state: State,
    clock: Callable[[], float],
) -> None:
    """Write counts through a log of their own; StoreError while another process writes them."""
    if not counted:
        return
    ingest = Ingest(config.data, collector, state, clock=clock, max_bytes=config.max_wal)
    try:
        ingest.append(difference(counted, {}).rows)
    finally:
        ingest.close()
