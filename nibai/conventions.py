"""Names and defaults that several parts must agree on."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_QUANTILES = (0.5, 0.9, 0.99)
"""The one default list: what a claim without a quantile is about."""

DEFAULT_LEVEL = 0.95

NOT_MEASURED = "A/A: not measured"
"""Said by every verdict that has no measured false-positive rate."""

OTHER_SEGMENT = "other"

WAL_COLUMNS = (
    "endpoint", "variant", "replica", "segment", "metric",  # dictionary<int32, string>
    "minute",  # int32, minutes since the epoch
    "scale",  # int8
    "bucket",  # int16: bucket number or sentinel
    "count",  # int64: requests in this bucket (1 for a span)
    "value",  # float64: sum of the finite values of this row in base units (overflow: 0)
    "min", "max",  # float64: of the finite values of this row; NaN: none, or count is 1
    "errors", "timeouts",  # int64
    "provenance",  # dictionary<int32, string>
)  # fmt: skip
"""Columns of a write-ahead-log batch: additive rows, one per span or per bucket."""

PRECISION = "precision"
"""Key of `Change.evidence` under which the kind of precision is declared."""

REQUEST_METRICS = ("latency", "model_latency")
"""Metrics with one value a request: errors of no named metric are those of the first one known."""

PREDICTION_LABELS = "prediction"
"""Metric of the counts of labels per minute in the lake's table `category`."""

PREDICTION_INVALID = "prediction_invalid"
"""Metric of the counts of invalid answers per minute, by kind, in `category`."""

PREDICTION_SCORES = "prediction_score"
"""Metric of scores: absolute values in `hist`, signed sums in `cell`."""

COUNTED_METRICS = ("latency", "model_latency", "duration", "ttft")
"""Metrics whose requests are counted where a claim about cost names none, in this order."""

INSTANCES = "instances"
"""Metric of collected instance counts: samples of how many ran."""

OUTPUT_TOKENS = "output_tokens"
"""Metric of generated tokens: one sample a minute, their sum the tokens."""

INPUT_TOKENS = "input_tokens"
CACHE_READ_TOKENS, CACHE_WRITE_TOKENS = "cache_read_tokens", "cache_write_tokens"
TOKENS = (INPUT_TOKENS, OUTPUT_TOKENS, CACHE_READ_TOKENS, CACHE_WRITE_TOKENS)
"""Metrics of tokens that are paid for, recorded as generated ones are."""

ACCELERATOR_USE = "accelerator_use"
"""Metric of how busy accelerators were: samples from 0 to 1."""

COVARIATES = (ACCELERATOR_USE,)
"""Metrics that are shown beside others and explain them: nothing is claimed or noticed of them."""

LIVE_SOURCES = ("", "shadow")
"""Sources of answers to live traffic; what was replayed says nothing about what users got."""

SERIES_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "endpoint": ("nibai.endpoint",),
    "scope": ("service.namespace", "deployment.environment.name", "deployment.environment"),
    "name": ("service.name",),
    "variant": ("nibai.variant", "service.version"),
    "replica": ("nibai.replica", "service.instance.id", "host.name", "k8s.pod.name"),
    "segment": ("nibai.segment",),
    "input_tokens": ("gen_ai.usage.input_tokens",),
}
"""Attributes of a span or metric that name the parts of its series; the first present one wins."""

PRECISIONS = ("fp16", "bf16", "fp8", "int8", "int4")
"""Kinds of precision, the strictest first; each is a kind of change on the command line."""

BEFORE_AND_AFTER = "before and after"
"""Source of answers of one variant in two windows."""

OTLP_PROVIDER = "otel"
"""Provider of endpoints that are named after their service."""

MAX_SERIES_PER_MINUTE = 10_000
"""So many series a receiver keeps apart; segments of more are joined."""

PREDICTION_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "request_id": ("nibai.request_id",),
    "input_hash": ("nibai.input_hash",),
    "label": ("nibai.prediction.label",),
    "score": ("nibai.prediction.score",),
    "margin": ("nibai.prediction.margin",),
    "probabilities": ("nibai.prediction.probabilities",),
    "truth": ("nibai.prediction.truth",),
    "invalid": ("nibai.prediction.invalid",),
    "batch": ("nibai.prediction.batch",),
    "source": ("nibai.prediction.source",),
    "repeat": ("nibai.prediction.repeat",),
}
"""Attributes of a span that name the parts of an answer; the first present one wins."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quantity: its base unit and direction."""

    name: str
    unit: str
    higher_is_better: bool
    help: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("latency", "s", higher_is_better=False, help="request in to response complete"),
        Metric("model_latency", "s", higher_is_better=False, help="time inside the model"),
        Metric("device_latency", "s", higher_is_better=False, help="time on the accelerator"),
        Metric("finite_output", "count", higher_is_better=True, help="outputs that are numbers"),
        Metric("overhead_latency", "s", higher_is_better=False, help="latency without model time"),
        Metric("ttft", "s", higher_is_better=False, help="time to first token"),
        Metric("tpot", "s", higher_is_better=False, help="time per output token after the first"),
        Metric("duration", "s", higher_is_better=False, help="duration of any span"),
        Metric("queue_time", "s", higher_is_better=False, help="time spent waiting"),
        Metric("throughput", "1/s", higher_is_better=True, help="completed requests per second"),
        Metric("instances", "count", higher_is_better=False, help="instances that ran, a sample"),
        Metric("output_tokens", "count", higher_is_better=True, help="tokens generated, a minute"),
        Metric("input_tokens", "count", higher_is_better=True, help="tokens asked with, a minute"),
        Metric(
            "cache_read_tokens",
            "count",
            higher_is_better=True,
            help="tokens of a kept prompt, a minute",
        ),
        Metric(
            "cache_write_tokens",
            "count",
            higher_is_better=True,
            help="tokens put into a cache, a minute",
        ),
        Metric(
            "accelerator_use",
            "1",
            higher_is_better=True,
            help="share of the time that an accelerator was busy, a sample",
        ),
    )
}
"""Metrics nibai knows by name."""


def metric_named(name: str) -> Metric:
    """A metric by its name; one that nibai does not know is taken as seconds, lower is better.

    >>> metric_named("throughput").higher_is_better, metric_named("anything").unit
    (True, 's')
    """
    return METRICS.get(name) or Metric(name, "s", higher_is_better=False, help="")
