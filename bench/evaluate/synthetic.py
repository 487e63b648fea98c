"""Changes that a mean cannot see, on invented series: 60 points before, 60 after, normal noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.evaluate import false_positives, power
from bench.evaluate.false_positives import MATCHED_LENGTH, Cell, FalsePositives
from bench.evaluate.inject import SAME_MEAN, SOME_SLOW, Effect, shift
from bench.evaluate.otava import Otava
from bench.evaluate.power import Power
from bench.evaluate.series import Series
from bench.evaluate.windows import CONSECUTIVE
from bench.evaluate.work import Work
from nibai.histogram import Float64Array

MEAN, DEVIATION = 100.0, 10.0
POINTS = 3_000
"""30 windows of history, then room for ten pairs that share no point."""
PAIRS = 10
SUITE = "synthetic"


def wider(x: Float64Array, _: np.random.Generator) -> Float64Array:
    """Three times the standard deviation, the same mean."""
    return np.asarray(np.maximum(MEAN + 3.0 * (x - MEAN), 0.0))


EFFECTS = (
    shift(0.10),
    SOME_SLOW,
    SAME_MEAN,
    Effect("sd3", "standard deviation ×3", wider),
)


@dataclass(frozen=True, slots=True)
class Synthetic:
    """What was found, and how often each judge was wrong on the same windows unchanged."""

    known: FalsePositives
    found: Power

    @property
    def cell(self) -> Cell:
        """The unchanged windows."""
        return Cell(SUITE, CONSECUTIVE, MATCHED_LENGTH)


def series(count: int, seed: int) -> list[Series]:
    """Independent normal points, as many series."""
    rng = np.random.default_rng([seed, 1])
    times = 60.0 * np.arange(POINTS)
    clean = np.zeros(POINTS, dtype=np.bool_)
    return [
        Series(
            SUITE,
            f"synthetic {i}",
            f"{i}",
            np.abs(rng.normal(MEAN, DEVIATION, POINTS)),
            times,
            clean,
        )
        for i in range(count)
    ]


def measure(count: int, otava: Otava | None, work: Work, seed: int) -> Synthetic:
    """Every judge on every effect."""
    work.say(f"synthetic changes: {count} series")
    members = series(count, seed)
    known, found = FalsePositives(), Power()
    cell = Cell(SUITE, CONSECUTIVE, MATCHED_LENGTH)
    false_positives.add_cell(known, cell, members, otava, work, PAIRS)
    power.add_suite(found, SUITE, members, known, otava, work, PAIRS, seed, EFFECTS)
    return Synthetic(known, found)
