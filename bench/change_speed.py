"""How long the change detectors take: 1,000 and 5,000 points offline, and one step of many online.

Bars: 10 and 40 ms of processor time for a series of 1,000 and 5,000 points, unchanged (then all
stretches are looked at) and with a change every 250 points: Apache Otava's own published times,
which were taken elsewhere. Beside each, from the same run: numpy's autocovariance by FFT, which
whatever knows about correlation has to do once. Processor time, the best of many rounds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from nibai.histogram import Float64Array
from nibai.stats.change_points import change_points
from nibai.stats.detector import Detector, learn

BARS_MS = {1000: 10.0, 5000: 40.0}
SPACING = 250
STREAMS, STEPS = 5000, 100
STEP_BAR_MS = 10.0


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Least processor time of one call after a warm-up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1e3)
    return min(times)


def noise(rng: np.random.Generator, n: int) -> Float64Array:
    """AR(1) noise with correlation 0.5."""
    path = rng.normal(size=n)
    for i in range(1, n):
        path[i] += 0.5 * path[i - 1]
    return path


def autocovariance(values: Float64Array) -> Float64Array:
    """All lags at once."""
    spectrum = np.fft.rfft(values - values.mean(), 2 * len(values))
    return np.asarray(np.fft.irfft(np.abs(spectrum) ** 2)[: len(values)])


def offline(rng: np.random.Generator, n: int, rounds: int) -> bool:
    """One series with and without changes; whether the bar was met."""
    calm = noise(rng, n)
    levels = np.repeat(2 * rng.normal(size=-(-n // SPACING)), SPACING)[:n]
    met = True
    for name, values in (("unchanged", calm), (f"a change every {SPACING}", calm + levels)):
        took = milliseconds(lambda v=values: change_points(v), rounds)
        floor = milliseconds(lambda v=values: autocovariance(v), rounds)
        met &= took <= BARS_MS[n]
        print(
            f"{n} points, {name}: {took:.2f} ms, autocovariance {floor:.3f} ms "
            f"({took / floor:.0f}x); bar {BARS_MS[n]:.0f} ms: "
            f"{'met' if took <= BARS_MS[n] else 'MISSED'}"
        )
    return met


def online(rng: np.random.Generator, rounds: int) -> bool:
    """One step of many streams; whether the bar was met."""
    state = Detector.begin(learn(rng.normal(size=(STREAMS, STEPS))))
    column = rng.normal(size=STREAMS)
    took = milliseconds(lambda: state.advance(column), rounds)
    floor = milliseconds(lambda: np.exp(np.empty((STREAMS, 8)) * 0), rounds)
    print(
        f"one step of {STREAMS:,} streams online: {took:.2f} ms, the exponentials it needs "
        f"{floor:.2f} ms ({took / floor:.0f}x); bar {STEP_BAR_MS:.0f} ms: "
        f"{'met' if took <= STEP_BAR_MS else 'MISSED'}"
    )
    return took <= STEP_BAR_MS


def main() -> int:
    """Measure and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(20261126)
    met = [offline(rng, n, rounds) for n in BARS_MS]
    met.append(online(rng, rounds))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
