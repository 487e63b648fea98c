"""What analyzers answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nibai.model.costs import CostEvidence
from nibai.model.promises import Claim, Sentence
from nibai.model.verdicts import Estimate, Reason, Verdict
from nibai.prediction_evidence import PredictionEvidence


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
    `recording_error`: factors by which the interval was widened below and above for how the
    measurements were recorded (1.0: not at all; None there: without bound).
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
    recording_error: tuple[float, float] | None = None
    predictions: PredictionEvidence | None = None
    cost: CostEvidence | None = None
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
