"""What two variants answered to the same requests, as counts that add up.

The currency of prediction change is the `PairedSketch`: everything a verdict needs of any number of
pairs, mergeable in any order by any engine. Pure data: no I/O, no clock, no configuration.
Source: nibai's drift.md, sections 3 and 7.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import reduce
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nibai.answer_rows import AnswerRows

_Value = TypeVar("_Value")
_Key = TypeVar("_Key")

MAX_WORST_PAIRS = 32
"""Pairs kept as examples; ids and hashes only."""

MARGIN_BINS = 100
"""Bins of equal width of the old variant's top-1 minus top-2 probability, from 0 to 1."""

NOTHING: Mapping[Any, Any] = MappingProxyType({})


class EvidenceLevel(StrEnum):
    """How the two answers came to be compared; decides what a verdict may say."""

    SHADOW = "A"  # the same live request answered by both variants
    REPLAY = "B"  # captured inputs sent through both
    ADJUSTED = "C"  # before and after, adjusted for the inputs
    OUTPUTS_ONLY = "D"  # before and after, outputs alone


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One answer of one variant; no payload.

    `request_id` and `input_hash` are "" where not known, `at` seconds since the epoch, `label` the
    class, or the digest of a text or JSON answer. `margin` is top-1 minus top-2 probability.
    `invalid` names the kind of invalid answer ("" for a valid one); its label is "". `batch` is how
    many inputs were answered together. `repeat` numbers answers of one variant to one request.
    """

    request_id: str
    input_hash: str
    at: float
    endpoint: str = ""
    variant: str = ""
    replica: str = ""
    segment: str = ""
    label: str = ""
    score: float | None = None
    margin: float | None = None
    probabilities: tuple[float, ...] = ()
    truth: str | None = None
    invalid: str = ""
    batch: int = 1
    source: str = ""
    repeat: int = 0

    @property
    def key(self) -> str:
        """What makes an input distinct: its hash, else the request's id."""
        return self.input_hash or self.request_id


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


CORRECT = "correct"
"""The signal "the answer was right" (where truth is known): n10 is `baseline_only`."""

INVALID = "invalid"
"""The signal "the answer was invalid", whatever the kind; kinds are signals "invalid:KIND"."""

JSON_VALID = "json_valid"
"""The signal "the answer parses as JSON and fits its schema"."""

SCORE_DIFFERENCE = "score_difference"
"""Moments (and, as absolute values, histogram) of new minus old score."""

KL = "kl"
"""Moments and histogram of KL(old || new) in nats."""

JSD = "jsd"
"""Moments and histogram of the Jensen-Shannon divergence in bits, 0 to 1."""

PROBABILITY_DIFFERENCE = "probability_difference"
"""Moments of each pair's root mean square difference of probabilities."""

COSINE = "cosine"
"""Moments of the cosine of old and new embedding."""

COSINE_DISTANCE = "cosine_distance"
"""Moments and histogram of 1 - cosine."""

RANK_OVERLAP = "rank_overlap"
"""Moments of the rank-biased overlap (p = 0.9) of two rankings."""

TOP_OVERLAP = "top_overlap"
"""Moments of the share of items that two rankings have in common."""

THRESHOLD_CROSSED = "threshold_crossed"
"""The event that old and new score lie on different sides of the decision threshold."""

BEYOND_TOLERANCE = "beyond_tolerance"
"""The event that old and new score (or embedding) differ by more than the stated tolerance."""

SAME_TOP = "same_top"
"""The event that old and new give the same class the largest probability (or first place)."""


@dataclass(frozen=True, slots=True)
class PairedSketch:
    """Counts of pairs of one scope; `+` merges, associative and commutative.

    `pairs` and `flips` are about distinct inputs (the first sighting of each counts);
    `all_pairs` and `all_flips` weigh repeated inputs as traffic does. An invalid answer is a flip
    unless both are invalid in the same way. `signals` are yes or no of each answer, `events` of the
    pair, `margins` flips by bin of the old margin, `confusion` (old, new) labels of flips,
    `histograms` bucket counts of scale 5 (`nibai.histogram`).

    >>> whole = PairedSketch(pairs=10, flips=1) + PairedSketch(pairs=5, flips=2)
    >>> whole.pairs, whole.flips
    (15, 3)
    """

    pairs: int = 0
    flips: int = 0
    all_pairs: int = 0
    all_flips: int = 0
    missing_baseline: int = 0
    missing_candidate: int = 0
    duplicates: int = 0
    signals: Mapping[str, Signal] = field(default_factory=lambda: NOTHING)
    events: Mapping[str, Hits] = field(default_factory=lambda: NOTHING)
    margins: Mapping[int, Hits] = field(default_factory=lambda: NOTHING)
    confusion: Mapping[tuple[str, str], int] = field(default_factory=lambda: NOTHING)
    moments: Mapping[str, Moments] = field(default_factory=lambda: NOTHING)
    histograms: Mapping[str, Mapping[int, int]] = field(default_factory=lambda: NOTHING)
    worst: tuple[WorstPair, ...] = ()

    def __add__(self, other: PairedSketch) -> PairedSketch:
        merged = {
            name: _add(getattr(self, name), getattr(other, name))
            for name in (one.name for one in fields(self))
            if name not in {"histograms", "worst"}
        }
        merged["signals"] = _kinds_of_all(merged["signals"])
        return PairedSketch(
            **merged,
            histograms=_union(self.histograms, other.histograms, _add),
            worst=tuple(heapq.nlargest(MAX_WORST_PAIRS, (*self.worst, *other.worst))),
        )


def total(sketches: Iterable[PairedSketch]) -> PairedSketch:
    """All sketches merged; an empty one for none."""
    return reduce(PairedSketch.__add__, sketches, PairedSketch())


def _kinds_of_all(signals: Mapping[str, Signal]) -> Mapping[str, Signal]:
    """A kind of invalid answer that one part never met is absent there, not unknown."""
    invalid = signals.get(INVALID)
    if invalid is None:
        return signals
    return {
        name: replace(signal, n=invalid.n) if name.startswith(f"{INVALID}:") else signal
        for name, signal in signals.items()
    }


def _add(one: Any, other: Any) -> Any:  # noqa: ANN401 - numbers, counts and maps of them
    return _union(one, other, _add) if isinstance(one, Mapping) else one + other


def _union(
    one: Mapping[_Key, _Value],
    other: Mapping[_Key, _Value],
    add: Callable[[_Value, _Value], _Value],
) -> Mapping[_Key, _Value]:
    merged = dict(one)
    for key, value in other.items():
        merged[key] = add(merged[key], value) if key in merged else value
    return merged


@dataclass(frozen=True, slots=True)
class JoinReport:
    """How two streams of answers found their partners.

    `requests` are (baseline, candidate) records; `key` names what they were joined by ("request
    id", "input hash"). `skew_seconds` is the median time between partners, None without clocks.
    """

    key: str
    requests: tuple[int, int]
    matched: int
    duplicates: tuple[int, int] = (0, 0)
    quarantined: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    skew_seconds: float | None = None

    @property
    def match_rate(self) -> float:
        """Matched records per record of the smaller side's stream, NaN without records."""
        fewer = min(self.requests)
        return self.matched / fewer if fewer else float("nan")


@dataclass(frozen=True, slots=True)
class SameInputs:
    """Old against new and old against old over the same n inputs, at a fixed n.

    `only_ab` inputs flipped between the variants and not within the old one, `only_aa` the reverse.
    """

    n: int
    only_ab: int
    only_aa: int


@dataclass(frozen=True, slots=True)
class CaptureGap:
    """An hour, from `hour` on, of which fewer of a variant's requests were captured than expected.

    Capturing stops under load: what is missing is not missing at random.
    """

    variant: str
    hour: float
    captured: int
    expected: int


@dataclass(frozen=True, slots=True, eq=False)
class OutputRows:
    """Answers of one period in order of time, n rows.

    `codes` (n,) number the classes of `UnpairedSample.classes`; `features` (n, d) are what is known
    of the inputs, all finite, d = 0 where nothing is. `segments` (n,) number
    `UnpairedSample.segments`. `times` (n,) are seconds since the epoch, None without a clock.
    """

    codes: NDArray[np.int64]
    features: NDArray[np.float64]
    segments: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.codes)


@dataclass(frozen=True, slots=True, eq=False)
class UnpairedSample:
    """What was answered before and after, to different requests (evidence levels C and D).

    `classes` name the codes; of a score they are its bins, `scores` then holds the mean score of
    (before, after). Invalid answers are a class of their own. `features` name what is known of the
    inputs. `past` are answers before the baseline while nothing changed, for placebo points.
    """

    classes: tuple[str, ...]
    before: OutputRows
    after: OutputRows
    features: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    past: OutputRows | None = None
    scores: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSample:
    """Both variants' answers under one profile of batch and concurrency.

    `pairs` (old against new), `floor_old` and `floor_new` (a variant against itself) hold a sketch
    per segment (written as `nibai.model.ReplicaSample` writes them; "" where not split). A floor is
    None where it was not measured; `stated_floor` is the old variant's self-flip rate in the user's
    word. `raw`: a file is all there is, so raw flips are judged where no floor is known.
    `batch` is how many inputs were answered together, None where not known. At levels C and D
    there are no pairs: `unpaired` holds both periods. `rows`: some of the single answers, where the
    reader was asked to keep them. `gaps`: hours in which answers of live traffic are missing.
    """

    level: EvidenceLevel
    source: str
    pairs: Mapping[str, PairedSketch]
    floor_old: Mapping[str, PairedSketch] | None = None
    floor_new: Mapping[str, PairedSketch] | None = None
    stated_floor: float | None = None
    raw: bool = False
    batch: int | None = None
    join: JoinReport | None = None
    same_inputs: SameInputs | None = None
    labels: tuple[str, str] = ("baseline", "candidate")
    distinct_by: str = "input hash"
    notes: tuple[str, ...] = ()
    rows: AnswerRows | None = None
    unpaired: UnpairedSample | None = None
    gaps: tuple[CaptureGap, ...] = ()
