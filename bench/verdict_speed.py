"""How long the statistics of a verdict take from pre-summed blocks: PBS-AR and like-for-like.

Bars: 4 quantiles over a day (24 blocks) in 25 ms; 3 quantiles over 4 segments, raw and standardised
intervals with decomposition, in 40 ms. Beside each, from the same run: numpy's quantiles of the raw
requests of both sides, which is what a script without any interval does. Imports are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array
from nibai.stats.mix import analyse_mix
from nibai.stats.ratio import pbs_ar_many

PBS_BAR_MS, MIX_BAR_MS = 25.0, 40.0
BLOCKS, PER_BLOCK = 24, 6000
PS = (0.5, 0.9, 0.99, 0.999)


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Median time of one call after a warm-up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def requests(rng: np.random.Generator, median: float, per_block: int) -> Float64Array:
    """Seconds of a day of requests: block levels that wander, a heavy tail."""
    level = np.repeat(np.exp(rng.normal(0, 0.1, BLOCKS)), per_block)
    values = median * level * np.exp(rng.normal(0, 0.5, len(level)))
    heavy = rng.random(len(level)) < 0.02  # noqa: PLR2004 - the share of the test simulator
    values[heavy] *= 1 + rng.pareto(2.2, int(heavy.sum()))
    return values


def blocks_of(values: Float64Array) -> BlockHistograms:
    """Equal parts of the day in order."""
    block = np.repeat(np.arange(BLOCKS), len(values) // BLOCKS)
    return BlockHistograms.from_values(values, block, blocks=BLOCKS)


def segments(rng: np.random.Generator, factor: float) -> dict[str, Float64Array]:
    """Four segments of different size classes."""
    return {
        f"size={i}": requests(rng, factor * median, PER_BLOCK // 4)
        for i, median in enumerate((0.08, 0.16, 0.32, 0.9))
    }


def report(name: str, took: float, plain: float, bar: float) -> bool:
    """Print one line; whether the bar was met."""
    met = took <= bar
    print(
        f"{name}: {took:.2f} ms, quantiles of raw requests {plain:.2f} ms ({took / plain:.1f}x); "
        f"bar {bar:.0f} ms: {'met' if met else 'MISSED'}"
    )
    return met


def main() -> int:
    """Measure both and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(20261124)
    met = True
    b, c = requests(rng, 0.2, PER_BLOCK), requests(rng, 0.1, PER_BLOCK)
    plain = milliseconds(lambda: [np.quantile(x, PS) for x in (b, c)], rounds)
    one, other = blocks_of(b), blocks_of(c)
    took = milliseconds(lambda: pbs_ar_many(one, other, PS), rounds)
    met &= report("PBS-AR, 4 quantiles, 24 blocks", took, plain, PBS_BAR_MS)
    raw = [segments(rng, 1.0), segments(rng, 0.5)]
    plain = milliseconds(lambda: [np.quantile(x, PS[:3]) for y in raw for x in y.values()], rounds)
    some, others = ({k: blocks_of(v) for k, v in y.items()} for y in raw)
    took = milliseconds(lambda: analyse_mix(some, others, PS[:3]), rounds)
    met &= report("like-for-like, 3 quantiles, 4 segments", took, plain, MIX_BAR_MS)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
