"""All that is known of both variants' answers: sketches, how they were joined, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nibai.answer_rows import AnswerRows
from nibai.predictions.records import EvidenceLevel
from nibai.predictions.sketch import NOTHING, PairedSketch


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
