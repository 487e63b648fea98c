"""Counts of pairs that add up: shares, paired yes or no, sums of a number, examples."""

from __future__ import annotations

from dataclasses import dataclass

MAX_WORST_PAIRS = 32
"""Pairs kept as examples; ids and hashes only."""

MARGIN_BINS = 100
"""Bins of equal width of the old variant's top-1 minus top-2 probability, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Hits:
    """How many of n pairs did something; add to merge."""

    n: int = 0
    hits: int = 0

    @property
    def share(self) -> float:
        """Hits per pair, NaN without pairs."""
        return self.hits / self.n if self.n else float("nan")

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.n + other.n, self.hits + other.hits)


@dataclass(frozen=True, slots=True)
class Signal:
    """A yes or no about each answer, counted over pairs (a paired 2x2 table); add to merge.

    `baseline_only` pairs had it in the baseline's answer alone, and so on; the rest had it nowhere.
    """

    n: int = 0
    baseline_only: int = 0
    candidate_only: int = 0
    both: int = 0

    @property
    def baseline(self) -> int:
        """Answers of the baseline that had it."""
        return self.baseline_only + self.both

    @property
    def candidate(self) -> int:
        """Answers of the candidate that had it."""
        return self.candidate_only + self.both

    def __add__(self, other: Signal) -> Signal:
        return Signal(
            self.n + other.n,
            self.baseline_only + other.baseline_only,
            self.candidate_only + other.candidate_only,
            self.both + other.both,
        )


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of a number per pair, for instance the difference of scores; add to merge."""

    n: int = 0
    sum: float = 0.0
    sum_of_squares: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")

    @property
    def mean(self) -> float:
        """Mean, NaN without values."""
        return self.sum / self.n if self.n else float("nan")

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.n + other.n,
            self.sum + other.sum,
            self.sum_of_squares + other.sum_of_squares,
            min(self.min, other.min),
            max(self.max, other.max),
        )


@dataclass(frozen=True, slots=True, order=True)
class WorstPair:
    """A pair to look at; the larger `distance`, the worse. Labels only where they are classes."""

    distance: float
    request_id: str
    input_hash: str = ""
    baseline: str = ""
    candidate: str = ""
    segment: str = ""
