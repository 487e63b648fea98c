"""The section `bedrock`: models of one account and region, their metrics and invocation logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from nibai.config.data_capture import Redact
from nibai.config.fields import Duration, Section
from nibai.config.regions import Region


class BedrockLogs(Section):
    """Invocation logs: in S3 (`destination`) or a log group, as the logging configuration has it.

    `segments` are keys of `requestMetadata`, which callers put there; `bands` are edges in tokens
    of the lengths of requests (`in`) and answers (`out`) that become segments too. `path` leads to
    the answer in `outputBodyJson`; without it the text of the usual forms is taken.
    """

    destination: str | None = Field(
        default=None, pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$"
    )
    log_group: str | None = None
    answer: Literal["text", "json", "class"] = "text"
    path: str = ""
    segments: tuple[str, ...] = ()
    bands: Mapping[Literal["in", "out"], tuple[int, ...]] = Field(default_factory=dict)
    most_segments: int = Field(default=50, ge=1)
    redact: Redact = Redact()
    since: Duration = 7 * 86400.0

    @model_validator(mode="after")
    def _one_place(self) -> BedrockLogs:
        if (self.destination is None) == (self.log_group is None):
            raise ValueError("give either destination (s3://…) or log_group")
        return self


class Bedrock(Section):
    """Models of one AWS account and region; `endpoints` maps a name to the models that serve it.

    Each model is a variant of the endpoint: its id, or the profile's behind the last slash.
    `tokens`: they are counted by minute beside the latencies, for claims about cost. `finality`:
    as of `cloudwatch`.
    """

    account: str = Field(pattern=r"^\d{12}$")
    region: Region
    endpoints: Mapping[str, tuple[str, ...]]
    metrics: tuple[Literal["InvocationLatency", "TimeToFirstToken"], ...] = (
        "InvocationLatency",
        "TimeToFirstToken",
    )
    detail: Literal["TC 109", "TC 55", "TC 28", "percentiles", "base statistics"] = "TC 109"
    tokens: bool = True
    every: Duration = 3600.0
    finality: Literal["learned", "reread"] = "learned"
    dollars_per_month: float = Field(default=100.0, gt=0)
    logs: BedrockLogs | None = None
    endpoint_url: str | None = None

    @property
    def source_name(self) -> str:
        """What its progress is kept under."""
        return f"bedrock-{self.account}-{self.region}"
