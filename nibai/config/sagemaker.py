"""The section `sagemaker`: endpoints that are looked at for changes, and what is claimed of one."""

from __future__ import annotations

from pydantic import Field, field_validator

from nibai.claims import parse
from nibai.config.fields import Duration, Section
from nibai.config.regions import Region
from nibai.errors import UsageError

DEFAULT_CLAIM = "model_latency 2x faster at p50, p90 and p99"


class SageMaker(Section):
    """Endpoints of one AWS account and region; `endpoints` are names or patterns such as chat-*.

    `claims` is what a change has to keep when nobody declares more. `queue` is an SQS queue that
    EventBridge fills; `cloudtrail` asks who deployed and when (2 calls per second, 90 days back).
    `weights`: once an hour S3 is asked whether models were overwritten at their address.
    """

    account: str = Field(pattern=r"^\d{12}$")
    region: Region
    endpoints: tuple[str, ...] = Field(default=("*",), min_length=1)
    every: Duration = 60.0
    claims: tuple[str, ...] = (DEFAULT_CLAIM,)
    queue: str | None = Field(default=None, pattern=r"^https?://\S+/\d{12}/\S+$")
    cloudtrail: bool = False
    weights: bool = True
    endpoint_url: str | None = None

    @field_validator("claims")
    @classmethod
    def _sentences(cls, claims: tuple[str, ...]) -> tuple[str, ...]:
        for claim in claims:
            try:
                parse(claim)
            except UsageError as error:
                raise ValueError(str(error)) from error
        return claims
