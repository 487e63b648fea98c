"""Placebo calibration: the critical value that a series' own unchanged past asks for.

A statistic T (absolute, about |N(0, 1)| on independent data) is computed for pairs of neighbouring
windows on a grid: pair k+1 starts a sixth of a window after pair k. The past values of T, shrunk
towards a normal inflated for drift, give a base threshold; a one-sided tracker widens it after
false alarms. Pair k is judged with valid pairs j <= k - lag only: the judged baseline may be used,
the candidate never. Guarantee: a long-run false-alarm rate per series near alpha while drift stays
like the past; nothing conditional. Source: nibai's calibration.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.histogram import Float64Array
from nibai.model import ReasonCode

REFERENCE_WINDOWS = 20.0
"""What the reference sample weighs, in windows (n0)."""

HISTORY_WINDOWS = 40
"""Windows of history used at most (H)."""

MIN_WINDOWS = 4.0
"""Effective windows of history below which nothing is judged."""

FULL_POWER_WINDOWS = 20
"""Effective windows from which more history gains little."""

UNSTABLE_SHARE = 0.97
"""A critical value this near to the largest possible T decides nothing."""

LEARNING_RATE = 0.3
"""Log-widening of the threshold by one whole window of false alarms."""

MAX_THETA = 1.5
MIN_SIBLINGS, MIN_SIBLING_WINDOWS = 3, 10

LEVELS: Float64Array = (np.arange(100) + 0.5) / 100
"""Probabilities at which a reference sample is given."""

_NORMAL: Float64Array = np.array([abs(NormalDist().inv_cdf(float(u))) for u in LEVELS])
_CHUNK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """How one statistic is calibrated.

    `window` is its length in points or blocks. `floor` is the critical value on independent data
    (None: that of the normal), `ceiling` the largest T there can be. `lag` is the number of grid
    steps in a window. `reference` (100 values at `LEVELS`) replaces the inflated normal.
    """

    window: int
    alpha: float = 0.05
    floor: float | None = None
    ceiling: float = math.inf
    lag: int = 6
    reference: Float64Array | None = None

    @property
    def lowest(self) -> float:
        """The base threshold is never below this."""
        return NormalDist().inv_cdf(1 - self.alpha / 2) if self.floor is None else self.floor

    def reference_sample(self) -> Float64Array:
        """The 100 values the past is shrunk towards."""
        if self.reference is not None:
            return self.reference
        return math.sqrt(1 + self.window / 60) * _NORMAL

    def gate(self, critical: float, effective_windows: float) -> ReasonCode | None:
        """Why nothing can be judged with this critical value, or None."""
        if effective_windows < MIN_WINDOWS:
            return ReasonCode.UNCALIBRATED_SHORT_HISTORY
        if critical >= UNSTABLE_SHARE * self.ceiling:
            return ReasonCode.HISTORY_TOO_UNSTABLE
        return None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one pair is judged with; `critical` = `base` * exp(`theta`).

    `effective_windows` is the history in whole windows; `reason` is set when nothing can be judged.
    """

    critical: float
    base: float
    theta: float
    effective_windows: float
    reason: ReasonCode | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Calibrations of K grid pairs, each from its own past only; all arrays have shape (K,)."""

    base: Float64Array
    theta: Float64Array
    critical: Float64Array
    effective_windows: Float64Array

    def at(self, k: int, rule: Rule) -> Calibration:
        """The calibration of pair k."""
        critical, windows = float(self.critical[k]), float(self.effective_windows[k])
        reason = rule.gate(critical, windows)
        return Calibration(critical, float(self.base[k]), float(self.theta[k]), windows, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Answers for K pairs: three masks that exclude each other and leave `unchanged`."""

    changed: NDArray[np.bool_]
    no_history: NDArray[np.bool_]
    unstable: NDArray[np.bool_]

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Pairs that were judged at all."""
        return np.asarray(~(self.no_history | self.unstable))

    @property
    def unchanged(self) -> NDArray[np.bool_]:
        """Judged and not beyond the margin."""
        return np.asarray(self.decided & ~self.changed)


def walk(statistics: ArrayLike, rule: Rule, valid: ArrayLike | None = None) -> Walk:
    """The calibration of every grid pair k from the valid pairs j <= k - lag.

    `statistics` are the T_k, shape (K,); `valid` says which pairs hold neither a known change nor
    an excluded incident (NaN is never valid). Time is linear in K.

    >>> calm = np.abs(np.random.default_rng(1).normal(size=300))
    >>> found = walk(calm, Rule(window=60))
    >>> [round(float(x), 2) for x in found.critical[[0, 60, 299]]]
    [3.64, 3.07, 2.56]
    """
    t, usable = _usable(statistics, valid)
    past = np.zeros(len(t), dtype=np.int64)  # valid pairs in the history of pair k
    past[rule.lag :] = np.cumsum(usable)[: max(len(t) - rule.lag, 0)]
    windows = np.minimum(past, HISTORY_WINDOWS * rule.lag) / rule.lag
    base = _base_thresholds(t[usable], past, rule)
    theta = _track(t, usable, base, rule)
    return Walk(base, theta, base * np.exp(theta), windows)


def calibrate(past: ArrayLike, rule: Rule, valid: ArrayLike | None = None) -> Calibration:
    """The calibration of the pair that comes next: the live case.

    `past` are the statistics of the fully past pairs in order of time: the last of them has the
    judged baseline as its candidate.
    """
    t, usable = _usable(past, valid)
    coming = np.full(rule.lag, math.nan)
    found = walk(np.append(t, coming), rule, np.append(usable, np.zeros(rule.lag, dtype=np.bool_)))
    return found.at(len(t) + rule.lag - 1, rule)


def judged(statistics: ArrayLike, walked: Walk, rule: Rule) -> Judged:
    """The answers of T against the critical values of a walk, shape (K,)."""
    t = np.asarray(statistics, dtype=np.float64)
    no_history = walked.effective_windows < MIN_WINDOWS
    unstable = ~no_history & (walked.critical >= UNSTABLE_SHARE * rule.ceiling)
    changed = (t > walked.critical) & ~no_history & ~unstable
    return Judged(np.asarray(changed), np.asarray(no_history), np.asarray(unstable))


def sibling_reference(siblings: Sequence[ArrayLike], rule: Rule) -> Float64Array | None:
    """Reference sample from other hosts of the same metric: the median of their quantiles of T.

    Give only pairs that end before the change. None without 3 siblings of 10 windows each.
    """
    usable = [t[np.isfinite(t)] for t in (np.asarray(s, dtype=np.float64) for s in siblings)]
    long_enough = [t for t in usable if len(t) >= MIN_SIBLING_WINDOWS * rule.lag]
    if len(long_enough) < MIN_SIBLINGS:
        return None
    return np.asarray(np.median([np.quantile(t, LEVELS) for t in long_enough], axis=0))


# -- the same, continued as windows close -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceboState:
    """All that must be kept to go on where one stopped; plain numbers.

    `history`: the last T of valid, fully past pairs. `pending`: T of the last `lag` pairs (NaN when
    not valid) and whether each was beyond its own critical value.
    """

    rule: Rule
    history: tuple[float, ...] = ()
    pending: tuple[tuple[float, bool], ...] = ()
    theta: float = 0.0

    def calibration(self) -> Calibration:
        """That of the next grid pair."""
        return _calibration(_settled(self))

    def advance(self, statistic: float, *, valid: bool = True) -> PlaceboState:
        """The state once the next grid pair has closed with this T."""
        settled = _settled(self)
        missed = statistic > _calibration(settled).critical
        entry = (statistic, missed) if valid else (math.nan, False)
        return replace(settled, pending=(*settled.pending, entry))


def _settled(state: PlaceboState) -> PlaceboState:
    """With the pair that has just become fully past in the history."""
    rule = state.rule
    if len(state.pending) < rule.lag:
        return state
    (t, missed), *pending = state.pending
    if math.isnan(t):
        return replace(state, pending=tuple(pending))
    history = (*state.history, t)[-HISTORY_WINDOWS * rule.lag :]
    theta = _step(state.theta, rule, missed=missed)
    return PlaceboState(rule, history, tuple(pending), theta)


def _calibration(state: PlaceboState) -> Calibration:
    rule, past = state.rule, np.array([len(state.history)])
    base = float(_base_thresholds(np.array(state.history), past, rule)[0])
    critical, windows = base * math.exp(state.theta), len(state.history) / rule.lag
    return Calibration(critical, base, state.theta, windows, rule.gate(critical, windows))


# -- parts ------------------------------------------------------------------------------------


def _usable(
    statistics: ArrayLike, valid: ArrayLike | None
) -> tuple[Float64Array, NDArray[np.bool_]]:
    t = np.asarray(statistics, dtype=np.float64)
    usable = ~np.isnan(t)
    if valid is not None:
        usable &= np.asarray(valid, dtype=np.bool_)
    return t, usable


def _base_thresholds(values: Float64Array, past: NDArray[np.int64], rule: Rule) -> Float64Array:
    """b_k from the last values before position past_k; shape of `past`."""
    chunks = range(0, len(past), _CHUNK)
    parts = [_thresholds(values, past[i : i + _CHUNK], rule) for i in chunks]
    return np.maximum(np.concatenate(parts), rule.lowest) if parts else np.empty(0)


def _thresholds(values: Float64Array, past: NDArray[np.int64], rule: Rule) -> Float64Array:
    """Weighted quantiles of reference and history together, one row per pair."""
    reference = np.broadcast_to(rule.reference_sample(), (len(past), len(LEVELS)))
    width = min(HISTORY_WINDOWS * rule.lag, int(past.max(initial=0)))
    index = past[:, None] + np.arange(-width, 0)
    known = index >= 0
    own = np.where(known, values[np.maximum(index, 0)], np.inf) if width else np.empty(index.shape)
    sample = np.concatenate([reference, own], axis=1)
    mass = np.concatenate(
        [np.full(reference.shape, REFERENCE_WINDOWS / len(LEVELS)), known / rule.lag], axis=1
    )
    order = np.argsort(sample, axis=1)
    cumulative = np.cumsum(np.take_along_axis(mass, order, axis=1), axis=1)
    total = cumulative[:, -1:]
    share = np.minimum(1.0, (1 - rule.alpha) * (1 + 1 / total))
    first = np.argmax(cumulative >= share * total - 1e-9, axis=1)
    return np.asarray(
        np.take_along_axis(sample, np.take_along_axis(order, first[:, None], 1), 1)[:, 0]
    )


def _track(
    t: Float64Array, usable: NDArray[np.bool_], base: Float64Array, rule: Rule
) -> Float64Array:
    """theta_k once every valid pair j <= k - lag has been looked at."""
    theta = np.zeros(len(t))
    current = 0.0
    for k in range(rule.lag, len(t)):
        j = k - rule.lag
        if usable[j]:
            current = _step(current, rule, missed=bool(t[j] > base[j] * math.exp(theta[j])))
        theta[k] = current
    return theta


def _step(theta: float, rule: Rule, *, missed: bool) -> float:
    moved = theta + LEARNING_RATE / rule.lag * (missed - rule.alpha)
    return min(max(moved, 0.0), MAX_THETA)
