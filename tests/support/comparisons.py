"""Comparisons made from plain arrays, for analyzers."""

from dataclasses import replace

import numpy as np

from nibai.claims import parse
from nibai.histogram import OVERFLOW_BUCKET, BlockHistograms, bucket_index
from nibai.model import (
    BlockSeries,
    Change,
    Comparison,
    ReplicaSample,
    Side,
    UnitKind,
    Window,
    WindowKind,
)

DAY = 86400.0


def series(values, block, blocks):
    values = np.asarray(values, dtype=np.float64)
    block = np.asarray(block, dtype=np.int64)
    failed = bucket_index(values) == OVERFLOW_BUCKET
    finite = np.where(np.isfinite(values), values, 0.0)
    return BlockSeries(
        BlockHistograms.from_values(values, block, blocks=blocks),
        np.bincount(block[failed], minlength=blocks).astype(np.int64),
        np.zeros(blocks, dtype=np.int64),
        np.bincount(block, weights=finite, minlength=blocks),
    )


def replica(segments, *, blocks=24, seconds=3600.0, name="r1", start=0.0, design_point=None):
    """`segments`: name -> values, spread evenly over the blocks in order."""
    made = {
        label: series(values, np.arange(len(values)) * blocks // max(len(values), 1), blocks)
        for label, values in segments.items()
    }
    starts = start + seconds * np.arange(blocks)
    window = Window(start, start + seconds * blocks)
    return ReplicaSample(name, made, starts, seconds, window, design_point=design_point)


def live(baseline, candidate, **options):
    """One replica per side over 24 hours; each side an array, or segment -> array."""
    sides = []
    for label, given in (("before", baseline), ("after", candidate)):
        segments = given if isinstance(given, dict) else {"": given}
        sides.append(Side(label, (replica(segments),)))
    options.setdefault("arrivals_known", True)
    return Comparison(
        "latency", WindowKind.LIVE, UnitKind.BLOCK, *sides, same_hosts=True, **options
    )


def runs(baseline, candidate, *, matched=False, seconds=12.5, **options):
    """Several runs per side, each an array or segment -> array, in 8 blocks."""
    sides = []
    for label, given in (("before", baseline), ("after", candidate)):
        replicas = []
        for i, values in enumerate(given):
            segments = values if isinstance(values, dict) else {"": values}
            replicas.append(
                replica(segments, blocks=8, seconds=seconds, name=f"{label}-{i}",
                        design_point=str(i))
            )  # fmt: skip
        sides.append(Side(label, tuple(replicas)))
    options.setdefault("arrivals_known", True)
    return Comparison("latency", WindowKind.RUNS, UnitKind.RUN, *sides, matched=matched, **options)


class Given:
    """Windows that hold the given comparisons."""

    def __init__(self, **comparisons):
        self._found = comparisons

    def comparison(self, metric):
        return self._found.get(metric)


def change(*claims):
    return Change("test", "onprem/tokyo/ocr", sentences=tuple(parse(claim) for claim in claims))


def swapped(comparison):
    return replace(comparison, baseline=comparison.candidate, candidate=comparison.baseline)


def lognormal(seed, n, median=0.1, sigma=0.4):
    return median * np.exp(np.random.default_rng(seed).normal(0, sigma, n))
