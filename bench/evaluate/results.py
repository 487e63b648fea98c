"""Everything one run measured, and under which conditions."""

from __future__ import annotations

from dataclasses import dataclass

from bench.evaluate.false_positives import FalsePositives
from bench.evaluate.power import Power
from bench.evaluate.series import Series
from bench.evaluate.stories import Stories
from bench.evaluate.synthetic import Synthetic
from bench.evaluate.tcpd import Score


@dataclass(frozen=True, slots=True)
class Size:
    """Judged pairs of a suite, pairs of a suite with injected changes, synthetic series.

    A suite's pairs are shared evenly by its series. `most_series` (of a suite) marks a quick run.
    """

    windows: int
    injected: int
    synthetic_series: int
    most_series: int | None = None

    @property
    def quick(self) -> bool:
        """Whether this is for trying only."""
        return self.most_series is not None


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the run was made. `otava_absent` says why its column is empty, or nothing."""

    data_name: str
    seed: int
    size: Size
    versions: dict[str, str]
    otava_absent: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """Answers to all questions."""

    conditions: Conditions
    series: dict[str, list[Series]]
    false_positives: FalsePositives
    power: Power
    synthetic: Synthetic
    tcpd: list[Score]
    stories: Stories
