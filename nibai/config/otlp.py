"""The section `otlp`: the receiver, and which attributes name the parts of a series."""

from __future__ import annotations

from pydantic import (
    Field,
    model_validator,
)

from nibai.config.fields import Address, Patience, SecretReference, Section, Size, is_loopback
from nibai.conventions import PREDICTION_ATTRIBUTES, SERIES_ATTRIBUTES


class PredictionRules(Section):
    """Which attributes name the parts of an answer; the first present one wins."""

    request_id: tuple[str, ...] = PREDICTION_ATTRIBUTES["request_id"]
    input_hash: tuple[str, ...] = PREDICTION_ATTRIBUTES["input_hash"]
    label: tuple[str, ...] = PREDICTION_ATTRIBUTES["label"]
    score: tuple[str, ...] = PREDICTION_ATTRIBUTES["score"]
    margin: tuple[str, ...] = PREDICTION_ATTRIBUTES["margin"]
    probabilities: tuple[str, ...] = PREDICTION_ATTRIBUTES["probabilities"]
    truth: tuple[str, ...] = PREDICTION_ATTRIBUTES["truth"]
    invalid: tuple[str, ...] = PREDICTION_ATTRIBUTES["invalid"]
    batch: tuple[str, ...] = PREDICTION_ATTRIBUTES["batch"]
    source: tuple[str, ...] = PREDICTION_ATTRIBUTES["source"]
    repeat: tuple[str, ...] = PREDICTION_ATTRIBUTES["repeat"]


class MappingRules(Section):
    """Which attributes name the parts of a series; the first present one wins."""

    endpoint: tuple[str, ...] = SERIES_ATTRIBUTES["endpoint"]
    provider: str = "otel"
    scope: tuple[str, ...] = SERIES_ATTRIBUTES["scope"]
    name: tuple[str, ...] = SERIES_ATTRIBUTES["name"]
    variant: tuple[str, ...] = SERIES_ATTRIBUTES["variant"]
    replica: tuple[str, ...] = SERIES_ATTRIBUTES["replica"]
    segment: tuple[str, ...] = SERIES_ATTRIBUTES["segment"]
    segment_by: tuple[str, ...] = ()
    input_tokens: tuple[str, ...] = SERIES_ATTRIBUTES["input_tokens"]
    token_buckets: tuple[int, ...] = ()
    prediction: PredictionRules = PredictionRules()


class Otlp(Section):
    """The OTLP receiver: over HTTP at `listen`, and where it is given over gRPC at `grpc`.

    A collector to which nobody has sent for `quiet_after` has gone quiet.
    """

    listen: Address = "127.0.0.1:4318"
    grpc: Address | None = None
    token: SecretReference | None = None
    max_body: Size = 16 * 1024**2
    quiet_after: Patience = "learned"
    max_series_per_minute: int = Field(default=10_000, ge=1)
    mapping: MappingRules = MappingRules()

    @model_validator(mode="after")
    def _guarded(self) -> Otlp:
        for name, address in (("listen", self.listen), ("grpc", self.grpc)):
            if self.token is None and address is not None and not is_loopback(address):
                raise ValueError(
                    f"{name}: an address other than loopback needs a token (otlp.token: env:NAME)"
                )
        return self
