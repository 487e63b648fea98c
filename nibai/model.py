"""The words of nibai as frozen values: what was measured, promised, estimated and found.

Pure data: no I/O, no clock, no configuration. Times are seconds since the Unix epoch (UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import BlockHistograms
from nibai.prediction_evidence import PredictionEvidence, PredictionPlan

# -- measurements ---------------------------------------------------------------------------


class Provenance(StrEnum):
    """How the buckets of a series came about; anything but exact widens an interval."""

    EXACT = "exact"
    TC = "tc"
    PERCENTILE_FIT = "percentile_fit"
    SCALAR = "scalar"


class Outcome(StrEnum):
    """How one request ended."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What one series of minutes is about; an empty string means "not split by this"."""

    endpoint: str
    variant: str
    replica: str
    segment: str
    metric: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One minute of one series: bucket counts plus the cell.

    `buckets` and `bucket_counts` have the same shape (K,), sentinels of `nibai.histogram` included;
    errors and timeouts are counted both in the overflow bucket and in the cell.
    """

    key: SeriesKey
    minute: int
    buckets: NDArray[np.int32]
    bucket_counts: NDArray[np.int64]
    count: int
    sum: float
    min: float
    max: float
    errors: int = 0
    timeouts: int = 0
    scale: int = 5
    provenance: Provenance = Provenance.EXACT


# -- promises -------------------------------------------------------------------------------


class Promise(StrEnum):
    """What kind of thing a claim promises; `amount` of the claim means what the comment says."""

    FASTER = "faster"  # amount = ratio baseline/candidate that must be reached (2.0 for "2x")
    NO_SLOWER = (
        "no_slower"  # amount = allowed slowdown as a share (0.05 for 5 %), 0 for "not slower"
    )
    THROUGHPUT = "throughput"  # amount = ratio candidate/baseline that must be reached
    CHEAPER = "cheaper"  # amount = ratio baseline/candidate of cost
    COST_AT_MOST = (
        "cost_at_most"  # amount = ratio candidate/baseline of cost that may not be passed
    )
    ERRORS = "errors"  # amount = allowed rise of the error share, 0..1 (0.001 for 0.1pp)
    SAME_PREDICTIONS = "same_predictions"  # amount = 0; the margin decides
    SAME_OUTPUT_MIX = "same_output_mix"
    ACCURACY = "accuracy"  # amount = allowed fall of accuracy, 0..1
    SAME_JSON_VALIDITY = "same_json_validity"


@dataclass(frozen=True, slots=True)
class Claim:
    """One part of a claim sentence: one promise about one metric, one quantile and one segment.

    `margin` is a share (0.05 for "within 5%"), 0 for speed when not said. `metric` "latency" is
    the default; `compare` puts the value column's metric there when the sentence names none.
    `metric_named` says whether the sentence named it. `quantile` is None where the promise has
    none (errors, throughput, cost, predictions). `segment` is (name, value).
    """

    promise: Promise
    amount: float
    metric: str = "latency"
    quantile: float | None = None
    segment: tuple[str, str] | None = None
    margin: float = 0.0
    metric_named: bool = False
    margin_assumed: bool = True


@dataclass(frozen=True, slots=True)
class Sentence:
    """One claim sentence: a conjunction of its parts."""

    text: str
    parts: tuple[Claim, ...]


class ChangeKind(StrEnum):
    """Kinds of optimization; several at once are confounded."""

    INSTANCE_TYPE = "instance_type"
    CAPACITY = "capacity"
    CONTAINER = "container"
    DRIVER = "driver"
    MIG = "mig"
    ROUTING = "routing"
    ENV = "env"
    COMPILATION = "compilation"
    PRECISION = "precision"
    PRUNING = "pruning"
    DISTILLATION = "distillation"
    SPECULATIVE_DECODING = "speculative_decoding"
    WEIGHTS = "weights"
    ADAPTER = "adapter"
    SERVERLESS_MEMORY = "serverless_memory"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open interval [start, end) in seconds since the epoch."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Change:
    """An optimization that landed (or two files that are compared) and what was promised of it.

    Either `effective_at` cuts one variant's time line into before and after, or
    `baseline_variant` and `candidate_variant` name the two sides. Windows, when given, win.
    `predictions` are the margins of claims about predictions as they were declared.
    """

    id: str
    endpoint: str
    kinds: tuple[ChangeKind, ...] = ()
    effective_at: float | None = None
    description: str = ""
    sentences: tuple[Sentence, ...] = ()
    baseline_variant: str | None = None
    candidate_variant: str | None = None
    baseline_window: Window | None = None
    candidate_window: Window | None = None
    runs: bool = False
    evidence: Mapping[str, str] = field(default_factory=dict)
    declared_at: float | None = None
    predictions: tuple[PredictionPlan, ...] = ()


# -- what analyzers are given ---------------------------------------------------------------


class WindowKind(StrEnum):
    """Continuous traffic of one endpoint, or bounded experiments on fresh replicas."""

    LIVE = "live window"
    RUNS = "runs"


class UnitKind(StrEnum):
    """The level that varies with the treatment (statistics.md, section 4)."""

    BLOCK = "block"
    HOST = "host"
    RUN = "run"
    DAY = "day"


@dataclass(frozen=True, slots=True, eq=False)
class BlockSeries:
    """One metric of one unit and segment in G blocks of equal length.

    `histograms` has G blocks. `errors`, `timeouts` (already in the overflow bin) and `sums` (of the
    finite values, base units) have shape (G,). `strata`: the same requests by stratum of load, each
    with G blocks; empty where load is not matched.
    """

    histograms: BlockHistograms
    errors: NDArray[np.int64]
    timeouts: NDArray[np.int64]
    sums: NDArray[np.float64]
    strata: tuple[BlockHistograms, ...] = ()

    @property
    def blocks(self) -> int:
        """Number of blocks, G."""
        return self.histograms.blocks


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaSample:
    """What one replica, host or run did: block series per segment.

    `segments` always holds at least one entry; all traffic is the sum of its entries, and without
    segments the one entry is called "". A segment is written "name=value", several joined by ",".
    `block_starts` has shape (G,) (seconds since the epoch, or since the run's start when no clock
    is known). `offered` is the number of requests sent, when the user knows it.
    `design_point` names what matches this unit with one of the other side (round, load, host).
    """

    name: str
    segments: Mapping[str, BlockSeries]
    block_starts: NDArray[np.float64]
    block_seconds: float
    window: Window | None = None
    offered: int | None = None
    design_point: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Baseline or candidate: one or several units, in matching order where they match."""

    label: str
    replicas: tuple[ReplicaSample, ...]


@dataclass(frozen=True, slots=True)
class LoadStrata:
    """Load of (baseline, candidate) in arrivals per minute and replica, cut into joint strata.

    `edges` stand between fine strata, which weigh requests; `groups` number the stratum that each
    of them belongs to. No edges: load barely varies and is not matched. `shares` are those of the
    requests in each stratum, `overlap` is the sum of the smaller shares, and `arrivals` the 5th,
    50th and 95th percentile over slots of `slot_seconds`.
    """

    edges: tuple[float, ...]
    groups: tuple[int, ...]
    shares: tuple[tuple[float, ...], tuple[float, ...]]
    overlap: float
    arrivals: tuple[tuple[float, float, float], tuple[float, float, float]]
    slot_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The unchanged past of the judged series, all replicas together, in parts finer than blocks.

    `segments` holds P parts each; a block is `parts_per_block` parts, a window `blocks` blocks.
    `pairs` (J, 2) are the first parts of windows as far apart as the judged ones, oldest first:
    `slides` neighbouring pairs weigh as much as one independent pair. `valid` (J,) is False where
    a pair spans a known change or other kinds of days. `pairs_per_day`: what another day adds.
    """

    segments: Mapping[str, BlockHistograms]
    blocks: int
    parts_per_block: int
    part_seconds: float
    pairs: NDArray[np.int64]
    valid: NDArray[np.bool_]
    slides: int
    pairs_per_day: float
    changes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Both sides of one metric, blocks paired by position.

    `gate` is set when the windows cannot be compared at all (for example `unmatched_clock`).
    `same_hosts`: the same replicas before and after (live), so that time blocks are the unit.
    `clock` is False when neither file had a time column. `half_split`: the two sides are the two
    halves in time of one run. `higher_is_better` inverts ratios; unit is that of the values.
    `matched`: units of both sides pair up by design point, in order. `arrivals_known`: failed
    requests are in the data (or `offered` was given), so that completed counts may differ.
    `history` is None where no calibration applies (runs, hosts) and where nothing is known; `load`
    where no load rule applies (runs, no clock).
    """

    metric: str
    kind: WindowKind
    unit: UnitKind
    baseline: Side
    candidate: Side
    value_unit: str = "s"
    higher_is_better: bool = False
    same_hosts: bool = False
    matched: bool = False
    clock: bool = True
    half_split: bool = False
    sweep_order: tuple[str | None, str | None] = (None, None)
    arrivals_known: bool = False
    gate: Reason | None = None
    notes: tuple[str, ...] = ()
    history: History | None = None
    load: LoadStrata | None = None


# -- what analyzers answer ------------------------------------------------------------------


class Verdict(StrEnum):
    """The one vocabulary; `partly` exists only for an audit of several sentences."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not_comparable"
    PARTLY = "partly"


class ReasonCode(StrEnum):
    """Why a verdict is what it is; also a metric label."""

    MEETS_CLAIM = "meets_claim"
    FALLS_SHORT = "falls_short"
    INTERVAL_STRADDLES = "interval_straddles"
    PRACTICALLY_UNDECIDABLE = "practically_undecidable"
    TOO_FEW_REQUESTS = "too_few_requests"
    TOO_FEW_BLOCKS = "too_few_blocks"
    TOO_FEW_TAIL_EPISODES = "too_few_tail_episodes"
    UNCALIBRATED_SHORT_WINDOW = "uncalibrated_short_window"
    UNCALIBRATED_SHORT_HISTORY = "uncalibrated_short_history"
    HISTORY_TOO_UNSTABLE = "history_too_unstable"
    ONE_RUN_PER_SIDE = "one_run_per_side"
    RUNS_DISAGREE = "runs_disagree"
    TIME_HALVES = "time_halves"
    PARTIAL_SUPPORT = "partial_support"
    NO_COMMON_SEGMENTS = "no_common_segments"
    BOTH_CENSORED = "both_censored"
    NO_DATA = "no_data"
    UNMATCHED_CLOCK = "unmatched_clock"
    LOAD_OVERLAP = "load_overlap"
    SURVIVORS = "survivors"
    CENSORED = "censored"
    SWEEP_ORDER = "sweep_order"
    SETUP_DEFECT = "setup_defect"
    SIDES_DIFFER = "sides_differ"
    NOT_JUDGED_YET = "not_judged_yet"
    FIXED_WINDOW_ONLY = "fixed_window_only"
    OTHER_SENTENCES = "other_sentences"
    FLEET_LEVEL = "fleet_level"
    NOISE_FLOOR_UNKNOWN = "noise_floor_unknown"
    SELF_FLIPS = "self_flips"
    TOO_FEW_PAIRS = "too_few_pairs"
    FEW_PARTNERS = "few_partners"
    OUTPUTS_ONLY = "outputs_only"
    UNPAIRED = "unpaired"
    INPUTS_MOVED = "inputs_moved"
    MARGIN_NOT_STATED = "margin_not_stated"
    NO_TRUTH = "no_truth"
    NO_SUCH_OUTPUT = "no_such_output"


@dataclass(frozen=True, slots=True)
class Reason:
    """A code for machines and a sentence for people."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval; an infinite bound is None, an unknown value too."""

    value: float | None
    low: float | None
    high: float | None
    level: float


@dataclass(frozen=True, slots=True)
class FalsePositiveRate:
    """How often the judge was wrong on this endpoint's own unchanged past.

    `flagged` of `placebos` judged past windows; `value` is that share shrunk towards 5 % and
    [`low`, `high`] its 95 % interval. `undecidable` windows were left out. `margin` is the one the
    judge used; `other_margin` is (margin, flagged, judged) of the same windows at another one.
    """

    value: float
    low: float
    high: float
    placebos: int
    flagged: int = 0
    undecidable: int = 0
    margin: float = 0.0
    other_margin: tuple[float, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a finding rests on; None means "not measured" and the reason or a note names it.

    `n_effective`, `replicas`, `requests` and `censored_share` are (baseline, candidate).
    `raw_ratio` is without mix adjustment; `mix_effect` is the factor that the mix explains.
    `terms` are the exact log2 terms of the decomposition (like_for_like, load, mix, support).
    `p_confirm` and `p_refute` are one-sided p-values for and against the claim, gates not counted;
    `variance_factor` is how much correlation between blocks of time widened the variance.
    `critical` is the critical value that the endpoint's past gave from `effective_windows` windows;
    `smallest_effect` the share by which a quantile must change to be found in 4 of 5 windows.
    `log_e_value` is set where the finding holds at any number of looks: ln of the evidence for its
    verdict (or for the side the estimate lies on); at a level of 95 % a verdict needs ln 20.
    """

    requests: tuple[int, int]
    blocks: int | None
    unit: str
    replicas: tuple[int, int]
    scope: str
    tail_episodes: float | None = None
    n_effective: tuple[float, float] | None = None
    false_positive_rate: FalsePositiveRate | None = None
    raw_ratio: float | None = None
    mix_effect: float | None = None
    censored_share: tuple[float, float] | None = None
    more_data_needed_seconds: float | None = None
    more_units_needed: int | None = None
    margin: float = 0.0
    threshold: float | None = None
    mix_coverage: tuple[float, float] | None = None
    load_overlap: float | None = None
    simpson: bool | None = None
    terms: Mapping[str, float] | None = None
    baseline_value: float | None = None
    candidate_value: float | None = None
    p_refute: float | None = None
    p_confirm: float | None = None
    variance_factor: float | None = None
    critical: float | None = None
    effective_windows: float | None = None
    smallest_effect: float | None = None
    log_e_value: float | None = None
    predictions: PredictionEvidence | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One analyzer's answer about one claim part and scope."""

    claim: Claim
    verdict: Verdict
    reason: Reason
    estimate: Estimate | None
    evidence: Evidence
    analyzer: str = ""


@dataclass(frozen=True, slots=True)
class SentenceResult:
    """One sentence judged: confirmed iff every part is, refuted iff one part is (Holm-adjusted)."""

    sentence: Sentence
    verdict: Verdict
    reason: Reason
    findings: tuple[Finding, ...]


# -- what the report shows ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The speed-up at one quantile."""

    quantile: float
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The speed-up of one segment at one quantile."""

    segment: str
    quantile: float
    estimate: Estimate
    requests: tuple[int, int]


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """A quantile of one block of one side (seconds since the epoch, or since the run's start)."""

    side: str
    replica: str
    start: float
    quantile: float
    value: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class Density:
    """Shares of requests per value bin; edges has one element more than shares, in base units."""

    side: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    censored_share: float
    zero_share: float


@dataclass(frozen=True, slots=True)
class DecompositionRow:
    """log2(raw) = like_for_like + load + mix + support, exactly, at one quantile."""

    quantile: float
    raw: float
    like_for_like: float
    load: float
    mix: float
    support: float
    simpson: bool


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A quantile of one host, replica, run or day (base units) and its ratio to the side's typical.

    The typical value is the geometric mean of the side's units; a ratio above 1 is a larger value.
    """

    side: str
    name: str
    quantile: float
    value: float | None
    ratio: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class Exhibits:
    """Everything the charts show about one metric; stored with the audit, so it never changes."""

    metric: str
    value_unit: str
    curve: tuple[CurvePoint, ...] = ()
    densities: tuple[Density, ...] = ()
    segments: tuple[SegmentRow, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    decomposition: tuple[DecompositionRow, ...] = ()
    clock: bool = True
    unit: str = "replica"
    units: tuple[UnitRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SideSummary:
    """Who the two sides are, in one line each."""

    label: str
    requests: int
    replicas: int
    from_seconds: float | None = None
    until_seconds: float | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings for one change at one time; immutable once stored."""

    id: str
    created_at: float
    change: Change
    verdict: Verdict
    reason: Reason
    sentences: tuple[SentenceResult, ...]
    baseline: SideSummary
    candidate: SideSummary
    exhibits: tuple[Exhibits, ...] = ()
    notes: tuple[str, ...] = ()
    nibai_version: str = ""
    level: float = 0.95

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings in the order of the sentences."""
        return tuple(finding for result in self.sentences for finding in result.findings)
