"""What serving engines and AWS call the metrics that nibai knows; the first present name is read.

Sources disagree about spellings in CloudWatch (aws.md, 2.3), so all of them stand here.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.promql.wanted import Kind

MICROSECOND, MILLISECOND = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class Alias:
    """A metric of nibai with its names elsewhere, their unit in base units, and their kind."""

    metric: str
    names: tuple[str, ...]
    factor: float = 1.0
    kind: Kind = Kind.HISTOGRAM


def _engine(metric: str, *names: str, kind: Kind = Kind.HISTOGRAM) -> Alias:
    """Names of vLLM and SGLang, with a colon and as CloudWatch's examples spell them."""
    spelled = [one for name in names for engine in ("vllm", "sglang")
               for one in (f"{engine}:{name}", f"{engine}_{name}")]  # fmt: skip
    return Alias(metric, tuple(spelled), kind=kind)


ENGINES = (
    _engine("latency", "e2e_request_latency_seconds"),
    _engine("ttft", "time_to_first_token_seconds"),
    _engine("tpot", "inter_token_latency_seconds", "time_per_output_token_seconds"),
    _engine("queue_time", "request_queue_time_seconds", "queue_time_seconds"),
    # DCGM counts in percent.
    Alias("accelerator_use", ("DCGM_FI_DEV_GPU_UTIL",), 0.01, Kind.GAUGE),
    _engine("output_tokens", "generation_tokens_total", "generation_tokens", kind=Kind.COUNTER),
)
"""Metrics of serving engines and accelerators, under nibai's name."""

VENDED = {
    "ModelLatency": Alias("model_latency", ("ModelLatency",), MICROSECOND),
    "OverheadLatency": Alias("overhead_latency", ("OverheadLatency",), MICROSECOND),
    "FirstChunkLatency": Alias("ttft", ("FirstChunkLatency",), MICROSECOND),
}
"""Metrics that AWS stores of every endpoint, by their CloudWatch name (dimension set V)."""

BY_TYPE = "ByAzByInstanceType"
BY_INSTANCE = "ByInstanceId"
OF_COMPONENT = "ForIc"
"""What follows a name of `VENDED` where the dimension set is another one (aws.md, 2.1)."""


def engine_alias(metric: str) -> Alias | None:
    """The names of serving engines for one of nibai's metrics.

    >>> engine_alias("ttft").names[0], engine_alias("cold_start")
    ('vllm:time_to_first_token_seconds', None)
    """
    return next((one for one in ENGINES if one.metric == metric), None)
