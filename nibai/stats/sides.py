"""A comparison's sides in the form the statistics take: segments, pooled or run by run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nibai.histogram import BlockHistograms, merge
from nibai.model import ReplicaSample, Side
from nibai.stats.score import standardised_table

ALL = ""

Segments = Mapping[str, BlockHistograms]


def in_segment(label: str, wanted: tuple[str, str] | None) -> bool:
    """Whether a segment label such as "model=chat,tokens=short" belongs to `name=value`.

    >>> in_segment("model=chat,tokens=short", ("tokens", "short")), in_segment("", None)
    (True, True)
    """
    return wanted is None or f"{wanted[0]}={wanted[1]}" in label.split(",")


def replica_segments(
    replica: ReplicaSample, wanted: tuple[str, str] | None = None
) -> dict[str, BlockHistograms]:
    """Block histograms of one replica by segment, only those of the wanted segment."""
    return {
        label: series.histograms
        for label, series in replica.segments.items()
        if in_segment(label, wanted)
    }


def pooled_segments(
    side: Side, wanted: tuple[str, str] | None = None
) -> dict[str, BlockHistograms]:
    """Block-wise sum of all replicas by segment; replicas must have the same number of blocks."""
    found: dict[str, list[BlockHistograms]] = {}
    for replica in side.replicas:
        for label, histograms in replica_segments(replica, wanted).items():
            found.setdefault(label, []).append(histograms)
    return {label: merge(parts) for label, parts in sorted(found.items())}


def whole(segments: Segments) -> BlockHistograms | None:
    """All segments together as one block, None when there is none."""
    if not segments:
        return None
    return merge([histograms.total() for histograms in segments.values()])


def requests(segments: Segments) -> int:
    """Requests of all segments, the failed ones included."""
    return int(sum(int(histograms.n.sum()) for histograms in segments.values()))


def censored_share(segments: Segments) -> float:
    """Share of requests in the overflow bin; 0 without requests."""
    total = requests(segments)
    lost = sum(int(histograms.overflow.sum()) for histograms in segments.values())
    return lost / total if total else 0.0


def below_share(segments: Segments) -> float:
    """Share of requests in the zero bin: zero, or below the lowest bucket that was recorded."""
    total = requests(segments)
    low = sum(int(histograms.zero.sum()) for histograms in segments.values())
    return low / total if total else 0.0


def run_log2_quantiles(
    runs: Sequence[Segments], p: float, weights: Mapping[str, float] | None
) -> list[float]:
    """log2 quantile of each run, at fixed segment weights when given (infinite when censored).

    Segments that a run lacks are left out and the weights of the rest renormalised.
    """
    return [_run_quantile(run, p, weights) for run in runs]


def _run_quantile(run: Segments, p: float, weights: Mapping[str, float] | None) -> float:
    present = {
        label: weight
        for label, weight in (weights or {}).items()
        if label in run and int(run[label].n.sum())
    }
    if len(present) < 2:  # noqa: PLR2004 - one segment needs no re-weighting
        chosen = {label: run[label] for label in present} or run
        together = whole(chosen)
        return math.nan if together is None else float(together.log2_quantile([p])[0])
    total = sum(present.values())
    scale = min(histograms.scale for histograms in run.values())
    table = standardised_table(
        {label: run[label].downscale(scale) for label in present},
        {label: weight / total for label, weight in present.items()},
    )
    return table.log2_quantile(p)


def log2_quantiles(segments: Segments, ps: Sequence[float]) -> np.ndarray:
    """log2 quantiles of all traffic of one side, shape (len(ps),); NaN without requests."""
    together = whole(segments)
    if together is None:
        return np.full(len(ps), np.nan)
    return together.log2_quantile(ps)
