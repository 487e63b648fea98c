"""Sections of sources that are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Field,
)

from nibai.config.fields import Duration, Section
from nibai.config.regions import Region


class CloudWatch(Section):
    """Endpoints of one AWS account and region.

    `endpoints` maps an endpoint to its variants. `path`: classic metrics, the histograms that
    CloudWatch may keep behind its Prometheus API, or these where the account has them (auto).

    Of classic metrics, `detail`: what is bought of a distribution. `errors`: failed requests are
    read beside latencies. `by_type` maps an endpoint to instance types and zones
    (ml.g5.xlarge/eu-west-1a) whose own latencies are read too. `accelerators` says how many an
    instance of an endpoint has, for GPUUtilization (default: one). `own_range`: only buckets that
    hold something are bought. `alert_every`: percentiles of the newest minutes in between, near
    changes or `alert_always`. `finality`: watches take minutes at the age from which they were
    seen to change no more, and near a change these are read every half hour (learned), or when
    they are read again no more (reread).
    """

    account: str = Field(pattern=r"^\d{12}$")
    region: Region
    endpoints: Mapping[str, tuple[str, ...]]
    metrics: tuple[str, ...] = ("ModelLatency", "OverheadLatency")
    path: Literal["classic", "promql", "auto"] = "classic"
    detail: Literal["TC 109", "TC 55", "TC 28", "percentiles", "base statistics"] = "TC 109"
    errors: bool = True
    by_type: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    accelerators: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    own_range: bool = True
    every: Duration = 3600.0
    alert_every: Duration | None = None
    alert_always: bool = False
    finality: Literal["learned", "reread"] = "learned"
    dollars_per_month: float = Field(default=100.0, gt=0)
    calls_per_second: float = Field(default=20.0, gt=0)
    datapoints_per_second: float = Field(default=90_000.0, gt=0)
    endpoint_url: str | None = None

    @property
    def reading_every(self) -> float:
        """How often something of it may be due."""
        return min(self.every, self.alert_every or self.every)

    @property
    def source_name(self) -> str:
        """What its progress is kept under: it must survive an entry put before it in the file."""
        return f"cloudwatch-{self.account}-{self.region}"

    @property
    def plugin(self) -> str:
        """Which plug-in reads it."""
        return "cloudwatch" if self.path == "classic" else "cloudwatch_promql"
