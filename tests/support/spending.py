"""Live comparisons with a given number of requests in every block, for claims about cost."""

from dataclasses import replace

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.model import (
    BlockSeries,
    Comparison,
    ReplicaSample,
    Side,
    SideCost,
    UnitKind,
    Window,
    WindowKind,
)

HOUR = 3600.0


def block_series(requests, failed=None, sums=None):
    """All finite requests in one bucket; the failed ones beyond any."""
    requests = np.asarray(requests, dtype=np.int64)
    failed = np.zeros_like(requests) if failed is None else np.asarray(failed, dtype=np.int64)
    block = np.repeat(np.arange(len(requests)), requests)
    values = np.full(len(block), 0.1)
    first = np.concatenate([[0], np.cumsum(requests)[:-1]])
    for start, lost in zip(first, failed, strict=True):
        values[start : start + lost] = np.inf
    return BlockSeries(
        BlockHistograms.from_values(values, block, blocks=len(requests)),
        failed,
        np.zeros(len(requests), dtype=np.int64),
        (requests - failed) * 0.1 if sums is None else np.asarray(sums, dtype=np.float64),
    )


def replica(requests, name="r1", start=0.0, **given):
    """One replica with hourly blocks."""
    blocks = len(requests)
    starts = start + HOUR * np.arange(blocks)
    window = Window(start, start + HOUR * blocks)
    return ReplicaSample(name, {"": block_series(requests, **given)}, starts, HOUR, window)


def served(before, after, **options):
    """A live comparison; each side one series of requests per hour, or one per replica."""
    sides = []
    for label, given in (("before", before), ("after", after)):
        many = np.atleast_2d(np.asarray(given))
        names = [f"{label}-{i}" for i in range(len(many))]
        sides.append(
            Side(label, tuple(replica(n, one) for n, one in zip(many, names, strict=True)))
        )
    options = {"arrivals_known": True, "same_hosts": True, **options}
    return Comparison("latency", WindowKind.LIVE, UnitKind.BLOCK, *sides, **options)


def samples(before, after, metric):
    """A comparison of a gauge: one sample a block with these values."""
    sides = []
    for label, given in (("before", before), ("after", after)):
        values = np.asarray(given, dtype=np.float64)
        one = ReplicaSample(
            "", {"": block_series(np.ones(len(values)), sums=values)},
            HOUR * np.arange(len(values)), HOUR,
        )  # fmt: skip
        sides.append(Side(label, (one,)))
    return Comparison(metric, WindowKind.LIVE, UnitKind.BLOCK, *sides, same_hosts=True)


def priced(change, per_hour, instances=(None, None)):
    """The change with stated prices, and instances."""
    costs = [
        SideCost(usd, n, "price as stated") for usd, n in zip(per_hour, instances, strict=True)
    ]
    return replace(change, costs=tuple(costs))


def demand(rng, *, mean=1000.0, blocks=24, phi=0.6, sd=0.1, daily=0.4):
    """Requests per hour: a daily curve, a slow wave of its own, and Poisson arrivals."""
    noise = np.zeros(blocks)
    level = rng.normal(0, sd)
    for i in range(blocks):
        noise[i] = level
        level = phi * level + rng.normal(0, sd * np.sqrt(1 - phi**2))
    curve = 1 + daily * np.sin(2 * np.pi * np.arange(blocks) / 24)
    return rng.poisson(mean * curve * np.exp(noise))
