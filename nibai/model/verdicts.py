"""The vocabulary of verdicts, and the estimates they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    ONLY_PERCENTILES = "only_percentiles"
    RECORDED_TOO_COARSE = "recorded_too_coarse"
    NOT_JUDGED_YET = "not_judged_yet"
    FIXED_WINDOW_ONLY = "fixed_window_only"
    OTHER_SENTENCES = "other_sentences"
    FLEET_LEVEL = "fleet_level"
    NOISE_FLOOR_UNKNOWN = "noise_floor_unknown"
    SELF_FLIPS = "self_flips"
    TOO_FEW_PAIRS = "too_few_pairs"
    FEW_PARTNERS = "few_partners"
    CAPTURES_INCOMPLETE = "captures_incomplete"
    OUTPUTS_ONLY = "outputs_only"
    UNPAIRED = "unpaired"
    INPUTS_MOVED = "inputs_moved"
    MARGIN_NOT_STATED = "margin_not_stated"
    NO_TRUTH = "no_truth"
    NO_SUCH_OUTPUT = "no_such_output"
    NO_PRICE = "no_price"
    INSTANCES_UNKNOWN = "instances_unknown"
    TRAFFIC_CHANGED = "traffic_changed"


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
