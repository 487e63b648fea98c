"""Requests that were sent and never completed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from collector.files.counting import Piece
from nibai.errors import UsageError
from nibai.model import (
    BlockSeries,
    ReplicaSample,
)
from nibai.protocols import FileRequest


def offered_of(request: FileRequest, pieces: list[Piece]) -> list[int | None]:
    """Requests sent per piece: one number each, or one per side when a side is one piece."""
    if not request.offered:
        return [None] * len(pieces)
    if len(request.offered) != len(pieces):
        raise UsageError(
            f"--offered is given {len(request.offered)} times for {len(pieces)} replicas: "
            "give one number for each, those of the baseline first"
        )
    return list(request.offered)


def with_offered(replica: ReplicaSample, offered: int | None) -> ReplicaSample:
    """The replica with the requests that never completed as its slowest."""
    if offered is None:
        return replica
    segments = _with_missing(dict(replica.segments), offered, replica.name)
    return replace(replica, segments=segments, offered=offered)


def _with_missing(
    segments: dict[str, BlockSeries], offered: int, name: str
) -> dict[str, BlockSeries]:
    """Requests that were sent and never completed, in the overflow bin, spread over the blocks."""
    seen = sum(int(series.histograms.n.sum()) for series in segments.values())
    missing = offered - seen
    if missing < 0:
        raise UsageError(
            f"{name}: --offered {offered} is less than the {seen} requests in the file: "
            "give the number sent"
        )
    largest = max(segments, key=lambda label: int(segments[label].histograms.n.sum()))
    series = segments[largest]
    blocks = series.blocks
    extra = np.diff(np.floor(np.arange(blocks + 1) * missing / blocks)).astype(np.int64)
    histograms = replace(series.histograms, overflow=series.histograms.overflow + extra)
    return {
        **segments,
        largest: replace(series, histograms=histograms, timeouts=series.timeouts + extra),
    }
