"""The section `prometheus`: servers whose metrics are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from nibai.config.fields import Duration, SecretReference, Section


class PrometheusMetric(Section):
    """A metric by its name there ("auto": as vLLM and SGLang call it).

    `unit` is needed where the name does not end in one, `temporality` where no label says it.
    """

    name: str
    unit: Literal["s", "ms", "us", "ns", "%"] | None = None
    kind: Literal["histogram", "counter", "gauge"] = "histogram"
    temporality: Literal["delta", "cumulative"] | None = None


class Prometheus(Section):
    """A server at `url`. `metrics` maps nibai's name to the server's.

    `endpoint`, `variant` and `replica` are templates of labels in braces; `segment_by` are labels
    that split the traffic; `match` are further matchers, as PromQL.
    """

    url: str = Field(pattern=r"^https?://[^/@]+(/.*)?$")
    name: str = Field(default="main", pattern=r"^[A-Za-z0-9_.-]+$")
    token: SecretReference | None = None
    endpoint: str
    variant: str = "{version}"
    replica: str = "{instance}"
    segment_by: tuple[str, ...] = ()
    match: str = ""
    metrics: Mapping[str, str | PrometheusMetric]
    every: Duration = 60.0
    backfill: Duration = 7 * 86400.0

    @field_validator("endpoint")
    @classmethod
    def _three_parts(cls, value: str) -> str:
        if value.count("/") < 2:  # noqa: PLR2004 - provider/scope/name
            raise ValueError(
                "an endpoint is written provider/scope/name, such as onprem/tokyo/{job}"
            )
        return value

    @property
    def source_name(self) -> str:
        """What its progress is kept under."""
        return f"prometheus-{self.name}"
