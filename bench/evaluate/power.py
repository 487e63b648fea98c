"""What does each judge find when it is allowed to be wrong equally often?

A change of known size is put into the candidate windows of real, unchanged series; history stays as
it was. Every peer gets the threshold that makes it flag as many of the *unchanged* windows as nibai
flagged, set with knowledge of the answer.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.evaluate import otava_windows, peers, rates
from bench.evaluate.false_positives import MATCHED_LENGTH, PEER_TITLES, Cell, FalsePositives
from bench.evaluate.inject import EFFECTS, LEVELS, Effect
from bench.evaluate.judge import TITLES, Nibai
from bench.evaluate.otava import MAX_PVALUE, Otava
from bench.evaluate.rates import Count, Summary
from bench.evaluate.series import Series
from bench.evaluate.windows import CONSECUTIVE, Arranged, arrange
from bench.evaluate.work import Work
from nibai.histogram import Float64Array

LEVEL, FAMILY = "level", "family"


@dataclass(frozen=True, slots=True)
class Matched:
    """A peer's threshold and how often it then flags unchanged windows (share)."""

    threshold: float
    rate: float


@dataclass(slots=True)
class Power:
    """Counts by series, and what the peers were matched to.

    `counts` by (suite, effect, judge); `matched` by (suite, statistic of nibai, peer).
    """

    counts: dict[tuple[str, str, str], list[Count]] = field(
        default_factory=lambda: defaultdict(list)
    )
    matched: dict[tuple[str, str, str], Matched] = field(default_factory=dict)

    def summary(self, suite: str, effect: str, judge: str) -> Summary | None:
        """None when this judge was not asked."""
        counts = self.counts.get((suite, effect, judge))
        return rates.summary(counts) if counts else None


def measure(  # noqa: PLR0917 - called once
    series: dict[str, list[Series]],
    known: FalsePositives,
    otava: Otava | None,
    work: Work,
    windows: int,
    seed: int,
) -> Power:
    """Every judge on every effect and suite at about so many windows of 60 points."""
    power = Power()
    for suite, members in series.items():
        if not members:
            continue
        work.say(f"injected changes: {suite}")
        most = max(1, windows // len(members))
        add_suite(power, suite, members, known, otava, work, most, seed, EFFECTS)
    return power


def add_suite(  # noqa: PLR0917 - called twice
    power: Power,
    suite: str,
    members: Sequence[Series],
    known: FalsePositives,
    otava: Otava | None,
    work: Work,
    most: int,
    seed: int,
    effects: Sequence[Effect],
) -> None:
    """Match the peers on the suite's unchanged windows, then ask everyone."""
    match(power, suite, known)
    thresholds = {
        (statistic, peer): found.threshold
        for (of, statistic, peer), found in power.matched.items()
        if of == suite
    }
    tasks = [(one, most, seed, tuple(effects), thresholds) for one in members]
    for counts in work.map(one_series, tasks):
        for (effect, judge), count in counts.items():
            power.counts[suite, effect, judge].append(count)
    if otava is not None:
        _ask_otava(power, suite, members, otava, most, seed, effects, thresholds)


def match(power: Power, suite: str, known: FalsePositives) -> None:
    """Thresholds at nibai's measured rates of the level and of the family."""
    cell = Cell(suite, CONSECUTIVE, MATCHED_LENGTH)
    for statistic in (LEVEL, FAMILY):
        measured = known.summary(cell, statistic)
        if measured is None or measured.flagged is None:
            continue
        for peer in PEER_TITLES:
            scores = known.scores.get((suite, peer))
            if scores is None or not scores.scores:
                continue
            most = MAX_PVALUE if peer == "otava" else 1.0
            threshold, rate = scores.threshold(measured.flagged.value, most)
            power.matched[suite, statistic, peer] = Matched(threshold, rate)


def matched_to(effect: Effect) -> str:
    """Which of nibai's rates the peers get for an effect."""
    return LEVEL if effect.size is not None else FAMILY


def one_series(
    series: Series,
    most: int,
    seed: int,
    effects: Sequence[Effect],
    thresholds: dict[tuple[str, str], float],
) -> dict[tuple[str, str], Count]:
    """Nibai and the peers on one series, by effect and judge."""
    arranged = arrange(series, MATCHED_LENGTH, CONSECUTIVE, most)
    if arranged is None:
        return {}
    nibai, found = Nibai.of(arranged), {}
    for effect in effects:
        candidate = changed(arranged, effect, seed)
        for name in TITLES:
            found[effect.name, name] = nibai.answers(name, 0.0, candidate).count()
        for peer in peers.PEERS:
            scores = peer.score(arranged.baseline, candidate)
            flagged = int((scores <= thresholds[matched_to(effect), peer.name]).sum())
            found[effect.name, peer.name] = Count(flagged, len(scores) - flagged)
    return found


def changed(arranged: Arranged, effect: Effect, seed: int) -> Float64Array:
    """Candidates with the effect; the same for every judge and number of processes."""
    key = zlib.crc32(f"{arranged.series.name} {effect.name}".encode())
    rng = np.random.default_rng([seed, key])
    return np.stack([effect.apply(row, rng) for row in arranged.candidate])


def _ask_otava(  # noqa: PLR0917 - private
    power: Power,
    suite: str,
    members: Sequence[Series],
    otava: Otava,
    most: int,
    seed: int,
    effects: Sequence[Effect],
    thresholds: dict[tuple[str, str], float],
) -> None:
    every = [arrange(one, MATCHED_LENGTH, CONSECUTIVE, most) for one in members]
    arranged = [a for a in every if a is not None]
    for statistic in (LEVEL, FAMILY):
        own = [e for e in effects if matched_to(e) == statistic]
        windows = [(a.baseline, changed(a, e, seed)) for e in own for a in arranged]
        setting = [(thresholds[statistic, "otava"], 0.0)]
        answers = otava_windows.ask(otava, windows, setting)
        names = [e.name for e in own for _ in arranged]
        for name, answer in zip(names, answers, strict=True):
            flagged = sum(otava_windows.flags(a[0], 1)[0] for a in answer)
            power.counts[suite, name, "otava"].append(Count(flagged, len(answer) - flagged))


def level_sizes() -> list[float]:
    """Sizes of the level shifts, ascending."""
    return sorted(e.size for e in LEVELS if e.size is not None)
