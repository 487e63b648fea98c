"""Change detection while blocks close: an e-detector with a stated run length.

Every series is whitened with what one learning stretch says (median, lag-1 correlation, sd of
innovations). Per assumed shift a Shiryaev-Roberts statistic adds up the evidence for a change at
any past step; the alarm is raised when their mean reaches `threshold`. Guarantee: the mean number
of steps to a false alarm is at least the threshold when the noise is AR(1) and its parameters are
known; they are learned, so measured run lengths stand beside it (tests/statistical).

Source: Shin, Ramdas, Rinaldo, "E-detectors" (arXiv 2203.03532); nibai's statistics.md, section 14.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.histogram import Float64Array, Int64Array
from nibai.stats.change_points import observed

LEARNING_STEPS = 2016
"""One week of 5-minute steps."""

RUN_LENGTH = 8640.0
"""Steps between tolerated false alarms of one stream: 30 days of 5-minute steps."""

SHIFTS = np.array([-1.2, -0.6, -0.3, -0.15, 0.15, 0.3, 0.6, 1.2])
"""Shifts that are looked for, in sd of innovations."""

MAX_CORRELATION = 0.95
CLIP = 4.0
INFINITE_SD = 8.0
"""An infinite value counts as this many marginal standard deviations."""

MIN_LEARNED_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What is normal for S series: median, lag-1 correlation and sd of innovations, shape (S,).

    A series that was learned from too few points has NaN and never raises an alarm.
    """

    median: Float64Array
    phi: Float64Array
    sd: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Alarm:
    """A change of series `series`: noticed at step `at`, most likely begun at step `start`.

    Steps count from the first one after learning; `shift` is the sign of the change.
    """

    series: int
    at: int
    start: int
    shift: int


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """State of S detectors after `step` steps; `advance` returns the next one.

    `previous` and `gap` (last value and steps since) have shape (S,); `evidence` (the statistics),
    `run` (log-likelihood of a change since `start`) and `start` have shape (S, shifts).
    """

    baseline: Baseline
    threshold: float
    step: int
    previous: Float64Array
    gap: Int64Array
    evidence: Float64Array
    run: Float64Array
    start: Int64Array

    @classmethod
    def begin(cls, baseline: Baseline, threshold: float = RUN_LENGTH) -> Detector:
        """Detectors that have seen nothing since learning; the first value counts as it is."""
        series = len(baseline.median)
        grid = (series, len(SHIFTS))
        return cls(
            baseline=baseline,
            threshold=threshold,
            step=0,
            previous=np.full(series, np.nan),
            gap=np.zeros(series, dtype=np.int64),
            evidence=np.zeros(grid),
            run=np.zeros(grid),
            start=np.zeros(grid, dtype=np.int64),
        )

    def advance(self, values: ArrayLike) -> tuple[Detector, tuple[Alarm, ...]]:
        """The state after one step's values (S,), NaN for missing ones, and the alarms it raises.

        A detector that raised an alarm starts again from nothing; learn a new baseline for it.
        """
        base = self.baseline
        marginal = base.sd / np.sqrt(1 - base.phi**2)
        bound = INFINITE_SD * marginal
        values_ = np.asarray(values, dtype=np.float64)
        x = np.where(np.isinf(values_), np.copysign(bound, values_), values_ - base.median)
        z, seen = self._innovation(x, marginal)
        gain = SHIFTS * z[:, None] - SHIFTS**2 / 2
        evidence = np.where(seen[:, None], (1 + self.evidence) * np.exp(gain), self.evidence)
        fresh = self.run <= 0
        run = np.where(seen[:, None], np.where(fresh, 0.0, self.run) + gain, self.run)
        start = np.where(fresh & seen[:, None], self.step, self.start)
        raised = seen & (evidence.mean(axis=1) >= self.threshold)
        alarms = tuple(
            _alarm(int(s), self.step, evidence[s], start[s]) for s in np.flatnonzero(raised)
        )
        evidence[raised], run[raised] = 0.0, 0.0
        after = replace(
            self,
            step=self.step + 1,
            previous=np.where(seen, x, self.previous),
            gap=np.where(seen, 0, self.gap + 1),
            evidence=evidence,
            run=run,
            start=start,
        )
        return after, alarms

    def _innovation(
        self, x: Float64Array, marginal: Float64Array
    ) -> tuple[Float64Array, NDArray[np.bool_]]:
        """Whitened values over gaps of any length, clipped, and which series have one."""
        base = self.baseline
        first = np.isnan(self.previous)
        fade = np.where(first, 0.0, base.phi ** (self.gap + 1))
        sd = marginal * np.sqrt(1 - fade**2)
        difference = x - fade * np.where(first, 0.0, self.previous)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.minimum(np.maximum(difference / sd, -CLIP), CLIP)
        z = np.where((sd == 0) & (difference == 0), 0.0, z)
        seen = ~np.isnan(z)
        return np.where(seen, z, 0.0), seen

    # -- keeping --------------------------------------------------------------------------
    def to_plain(self) -> dict[str, object]:
        """The state as lists and numbers, for JSON."""
        arrays = {name: getattr(self, name).tolist() for name in ARRAYS}
        normal = {name: getattr(self.baseline, name).tolist() for name in NORMAL}
        return {"threshold": self.threshold, "step": self.step, **arrays, **normal}

    @classmethod
    def from_plain(cls, plain: dict[str, object]) -> Detector:
        """The state that `to_plain` wrote."""
        arrays: dict[str, Any] = {
            name: np.asarray(plain[name], dtype=kind) for name, kind in ARRAYS.items()
        }
        normal = {name: np.asarray(plain[name], dtype=np.float64) for name in NORMAL}
        threshold, step = float(str(plain["threshold"])), int(str(plain["step"]))
        return cls(baseline=Baseline(**normal), threshold=threshold, step=step, **arrays)


ARRAYS: dict[str, type] = {
    "previous": np.float64,
    "gap": np.int64,
    "evidence": np.float64,
    "run": np.float64,
    "start": np.int64,
}
NORMAL = ("median", "phi", "sd")


def learn(values: ArrayLike, *, floor: float = 0.0) -> Baseline:
    """What is normal, from a learning stretch of S series, shape (S, T).

    `floor` is the smallest sd of innovations, for values on a grid (the resolution of a bucket).
    """
    rows = [_learned(row, floor) for row in np.atleast_2d(np.asarray(values, dtype=np.float64))]
    median, phi, sd = np.array(rows).T.reshape(3, -1)
    return Baseline(median, phi, sd)


def watch(
    values: ArrayLike, *, threshold: float = RUN_LENGTH, learning: int = LEARNING_STEPS
) -> tuple[Alarm, ...]:
    """Replay S series of shape (S, T): the first `learning` steps are learned from.

    Steps of the alarms count from the start of the array.

    >>> rng = np.random.default_rng(1)
    >>> calm = rng.normal(size=(2, 3000))
    >>> calm[1, 2500:] += 1.0
    >>> [(alarm.series, alarm.start) for alarm in watch(calm)[:1]]
    [(1, 2499)]
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    detector = Detector.begin(learn(table[:, :learning]), threshold)
    found: list[Alarm] = []
    for column in table[:, learning:].T:
        detector, alarms = detector.advance(column)
        found += alarms
    return tuple(
        replace(alarm, at=alarm.at + learning, start=alarm.start + learning) for alarm in found
    )


def _learned(row: Float64Array, floor: float) -> tuple[float, float, float]:
    finite, _ = observed(row)
    if len(finite) < max(MIN_LEARNED_SHARE * len(row), 3):
        return np.nan, np.nan, np.nan
    median = float(np.median(finite))
    deviation = finite - median
    power = float(deviation @ deviation)
    lag1 = float(deviation[1:] @ deviation[:-1]) / power if power > 0 else 0.0
    phi = min(max(lag1, 0.0), MAX_CORRELATION)
    sd = float((deviation[1:] - phi * deviation[:-1]).std())
    return median, phi, max(sd, floor)


def _alarm(series: int, at: int, evidence: Float64Array, start: Int64Array) -> Alarm:
    winner = int(evidence.argmax())
    return Alarm(series, at, int(start[winner]), int(np.sign(SHIFTS[winner])))
