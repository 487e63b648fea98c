"""The section `spans`: requests of an endpoint from its callers' traces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from nibai.config.fields import Duration, Section
from nibai.config.regions import Region


class TraceSampling(Section):
    """X-Ray's rule for these requests: the first of every second, and a share of the others."""

    reservoir: float = Field(default=1.0, ge=0)
    rate: float = Field(default=0.05, gt=0, le=1)


class Spans(Section):
    """Traces of one endpoint.

    `filter` is of Logs Insights (or X-Ray's filter expressions); `variant_field` and `segments`
    name fields of a span (annotations of a trace), `bands` the edges by which numbers become
    segments.
    `source` auto: aws/spans where traces go there, else X-Ray.
    """

    account: str = Field(pattern=r"^\d{12}$")
    region: Region
    endpoint: str = Field(pattern=r"^[^/]+/[^/]+/.+$")
    source: Literal["auto", "spans", "xray"] = "auto"
    log_group: str = "aws/spans"
    filter: str = ""
    variant: str = ""
    variant_field: str = ""
    segments: Mapping[str, str] = Field(default_factory=dict)
    bands: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    most_segments: int = Field(default=50, ge=1)
    sampling: TraceSampling = TraceSampling()
    window: Duration = Field(default=600.0, ge=60)
    since: Duration = 3600.0
    every: Duration = 600.0
    dollars_per_month: float | None = Field(default=None, gt=0)
    endpoint_url: str | None = None

    @property
    def source_name(self) -> str:
        """What its progress is kept under."""
        asked = f"{self.endpoint} {self.log_group} {self.filter} {self.variant}"
        digest = hashlib.blake2b(asked.encode(), digest_size=6).hexdigest()
        return f"spans-{self.account}-{self.region}-{digest}"
