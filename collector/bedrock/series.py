"""What CloudWatch holds of a model, and whose series it is.

https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-runtime-metrics.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.cloudwatch.series import MILLISECONDS, Kind, Published, Series
from nibai.conventions import CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS

NAMESPACE = "AWS/Bedrock"

LATENCIES = {
    one.name: one
    for one in (
        Published(NAMESPACE, "InvocationLatency", "latency", Kind.DISTRIBUTION, MILLISECONDS),
        Published(NAMESPACE, "TimeToFirstToken", "ttft", Kind.DISTRIBUTION, MILLISECONDS),
    )
}

FAILURES = ("InvocationServerErrors", "InvocationThrottles")
"""Requests that failed through no fault of the caller; no latency is published of them."""

TOKENS = {
    "InputTokenCount": INPUT_TOKENS,
    "OutputTokenCount": OUTPUT_TOKENS,
    "CacheReadInputTokens": CACHE_READ_TOKENS,
    "CacheWriteInputTokens": CACHE_WRITE_TOKENS,
}
"""What is paid for, and nibai's names of it."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of an endpoint: its id as CloudWatch and callers have it."""

    endpoint: str
    model_id: str

    @property
    def variant(self) -> str:
        """The id without what comes before it in the address of a profile."""
        return short(self.model_id)


def models(account_region: str, endpoints: Mapping[str, Iterable[str]]) -> list[Model]:
    """The models of a configuration.

    >>> models("123456789012.us-east-1", {"chat": ["amazon.nova-lite-v1:0"]})[0].endpoint
    'bedrock/123456789012.us-east-1/chat'
    """
    return [
        Model(f"bedrock/{account_region}/{name}", model)
        for name, ids in endpoints.items()
        for model in ids
    ]


def short(model_id: str) -> str:
    """A model's or profile's own name.

    >>> short("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0")
    'us.amazon.nova-lite-v1:0'
    """
    return model_id.rpartition("/")[2]


def latency_series(model: Model) -> Series:
    """The one that its failed requests belong to."""
    return model_series(model, ("InvocationLatency",))[0]


def model_series(model: Model, metrics: Iterable[str]) -> list[Series]:
    """Its distributions."""
    dimensions = (("ModelId", model.model_id),)
    return [Series(LATENCIES[name], dimensions, model.endpoint, model.variant) for name in metrics]
