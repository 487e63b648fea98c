"""What was promised, and of which change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nibai.model.costs import SideCost
from nibai.model.measurements import Window
from nibai.prediction_evidence import PredictionPlan


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
    none (errors, throughput, cost, predictions). `segment` is (name, value). `raw`: of all requests
    together as they came, not at the same shares of segments on both sides (speed only).
    """

    promise: Promise
    amount: float
    metric: str = "latency"
    quantile: float | None = None
    segment: tuple[str, str] | None = None
    margin: float = 0.0
    metric_named: bool = False
    margin_assumed: bool = True
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """One claim sentence: a conjunction of its parts.

    `family`: so many sentences of one rule, a segment each, share one error rate when they are
    watched. `asked`: a rule counts its refutation only from this level on, so that it is watched on
    until then.
    """

    text: str
    parts: tuple[Claim, ...]
    family: int = field(default=1, compare=False)
    asked: float | None = field(default=None, compare=False)

    def shared(self, level: float) -> float:
        """The level at which it counts where its family's error rate is that of one claim.

        >>> round(Sentence("2x faster for m=a", (), family=10).shared(0.95), 4)
        0.995
        """
        return level if self.family == 1 else 1 - (1 - level) / self.family


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
class Change:
    """An optimization that landed (or two files that are compared) and what was promised of it.

    Either `effective_at` cuts one variant's time line into before and after (from `started_at` on,
    when its deployment is known to have begun earlier, nothing belongs to either side), or
    `baseline_variant` and `candidate_variant` name the two sides. Windows, when given, win.
    `predictions` are the margins of claims about predictions as they were declared, `costs` what
    (baseline, candidate) cost.
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
    started_at: float | None = None
    costs: tuple[SideCost, SideCost] | None = None

    @property
    def unchanged_until(self) -> float | None:
        """Where the time before the change ends; None for variants side by side.

        >>> Change("c", "e", effective_at=90.0, started_at=60.0).unchanged_until
        60.0
        """
        if self.effective_at is None or self.started_at is None:
            return self.effective_at
        return min(self.started_at, self.effective_at)

    @property
    def confounded(self) -> tuple[ChangeKind, ...]:
        """Its kinds when an effect cannot be attributed to one of them; capacity is none.

        >>> Change("c", "e", (ChangeKind.DRIVER, ChangeKind.CAPACITY)).confounded
        ()
        """
        kinds = tuple(kind for kind in self.kinds if kind is not ChangeKind.CAPACITY)
        return kinds if len(kinds) > 1 else ()
