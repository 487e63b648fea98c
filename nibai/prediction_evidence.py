"""What a verdict about predictions rests on; stored with the finding and drawn by the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nibai.predictions import EvidenceLevel, WorstPair


class GateState(StrEnum):
    """How one gate of a prediction verdict stands."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share or difference (not log) with its interval; None: no bound, or not known."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Gate:
    """One of the questions a prediction verdict needs answered.

    `name`: "excess flips", "self-flip", "accuracy", "invalid outputs", "output mix", "JSON
    validity". A gate fails above its margin; "accuracy" is a change, and fails below minus its
    margin. `n` pairs were judged; `more_pairs` would decide at the present rate.
    """

    name: str
    state: GateState
    estimate: Bounds
    margin: float | None
    n: int
    text: str
    more_pairs: int | None = None
    p_refute: float | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of one scope: hits of n pairs and the interval of the share."""

    name: str
    n: int
    hits: int
    estimate: Bounds


@dataclass(frozen=True, slots=True)
class SegmentFlips:
    """Flips of one segment; `p` after Benjamini-Hochberg against the rate of all others."""

    segment: str
    n: int
    flips: int
    estimate: Bounds
    p: float | None = None
    stands_out: bool = False


@dataclass(frozen=True, slots=True)
class MarginRow:
    """Flips among inputs whose old margin (top-1 minus top-2) lies in [low, high)."""

    low: float
    high: float
    n: int
    flips: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """A number per pair; `metric` is "kl", "jsd", "score_difference", "cosine", "length_ratio" etc.

    Mean with its interval, and quantiles of the absolute value.
    """

    metric: str
    n: int
    mean: Bounds
    median: float | None = None
    p99: float | None = None
    max: float | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class PairedSignal:
    """A yes or no per answer on both sides: shares, who had it alone, McNemar's exact p-value."""

    name: str
    n: int
    baseline: int
    candidate: int
    baseline_only: int
    candidate_only: int
    difference: Bounds
    p: float | None = None


@dataclass(frozen=True, slots=True)
class PairsNeeded:
    """Pairs after which the flip gate decides if the true share is this part of the margin."""

    share_of_margin: float
    pairs: int
    confirms: bool


@dataclass(frozen=True, slots=True)
class PredictionPlan:
    """What a change allows of one claim about predictions, fixed when it was declared.

    `claim` is the part without its margin; shares, `kl` in nats. `source` says where the margin
    comes from, `pairs` how many are wanted, `level` what the intervals will have. None: no default.
    """

    claim: str
    margin: float
    accuracy: float | None
    kl: float | None
    pairs: int | None
    source: str
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class InputsMoved:
    """How far the inputs moved between before and after, and what of the change they explain.

    `auc` of a classifier that tells after from before, `effective_share` of the old rows that still
    count after reweighting; `total` = `input_part` + `model_part`.
    """

    auc: Bounds
    effective_rows: float
    effective_share: float
    total: float | None = None
    input_part: float | None = None
    model_part: Bounds | None = None


@dataclass(frozen=True, slots=True)
class DriftScore:
    """A descriptive distance people know, and the band it has when nothing changed."""

    name: str
    value: float
    null_low: float | None = None
    null_high: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class PredictionEvidence:
    """What a prediction verdict rests on; None or empty: not measured.

    `flips` is the raw rate, `traffic_flips` the rate weighted by traffic, `floor_old` and
    `floor_new` each variant against itself. `margin_source` says where the margin comes from
    ("stated", "default for precision int8", "edited, 2% was declared"). `latency_profile`:
    the answers were batched as those whose latency is judged; where they were not, the finding
    stands in a sentence of its own.
    """

    level: EvidenceLevel
    source: str
    pairs: int
    all_pairs: int
    pairs_wanted: int | None = None
    distinct_by: str = ""
    match_rate: float | None = None
    batch_profile: str = ""
    latency_profile: bool = True
    gates: tuple[Gate, ...] = ()
    flips: Bounds | None = None
    traffic_flips: float | None = None
    floor_old: Rate | None = None
    floor_new: Rate | None = None
    floor_stated: float | None = None
    margin: float | None = None
    margin_source: str = ""
    margin_confirmed_at: float | None = None
    anytime_valid: bool = True
    excess_fixed: Bounds | None = None
    segments: tuple[SegmentFlips, ...] = ()
    simpson: bool | None = None
    margins: tuple[MarginRow, ...] = ()
    signals: tuple[PairedSignal, ...] = ()
    events: tuple[Rate, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    confusion: tuple[tuple[str, str, int], ...] = ()
    worst: tuple[WorstPair, ...] = ()
    pairs_needed: tuple[PairsNeeded, ...] = ()
    inputs_moved: InputsMoved | None = None
    scores: tuple[DriftScore, ...] = ()
    quarantined: Mapping[str, int] = field(default_factory=dict)
    artifact: str | None = None
