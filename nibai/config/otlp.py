"""The section `otlp`: the receiver, and which attributes name the parts of a series."""

from __future__ import annotations

from pathlib import Path

from pydantic import (
    Field,
    model_validator,
)

from nibai.config.fields import (
    Address,
    Duration,
    Patience,
    SecretReference,
    Section,
    Size,
    is_loopback,
)
from nibai.conventions import (
    MAX_SERIES_PER_MINUTE,
    OTLP_PROVIDER,
    PREDICTION_ATTRIBUTES,
    SERIES_ATTRIBUTES,
)


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
    provider: str = OTLP_PROVIDER
    scope: tuple[str, ...] = SERIES_ATTRIBUTES["scope"]
    name: tuple[str, ...] = SERIES_ATTRIBUTES["name"]
    variant: tuple[str, ...] = SERIES_ATTRIBUTES["variant"]
    replica: tuple[str, ...] = SERIES_ATTRIBUTES["replica"]
    segment: tuple[str, ...] = SERIES_ATTRIBUTES["segment"]
    segment_by: tuple[str, ...] = ()
    input_tokens: tuple[str, ...] = SERIES_ATTRIBUTES["input_tokens"]
    token_buckets: tuple[int, ...] = ()
    prediction: PredictionRules = PredictionRules()


class Tls(Section):
    """TLS of `listen` and `grpc`: files in PEM form.

    `clients` holds the authorities of client certificates, which are an alternative to tokens;
    those with a name (common or alternative) that matches one of `senders` may send, all may read.
    """

    certificate: Path
    key: Path
    clients: Path | None = None
    senders: tuple[str, ...] = ("*",)

    @model_validator(mode="after")
    def _somebody_sends(self) -> Tls:
        if self.clients is None and "senders" in self.model_fields_set:
            raise ValueError(
                "senders are names of client certificates: set clients, the file of their authority"
            )
        return self


class Otlp(Section):
    """The OTLP receiver: over HTTP at `listen`, and where it is given over gRPC at `grpc`.

    A collector to which nobody has sent for `quiet_after` has gone quiet. A watch goes on so long
    after the last push of an endpoint's past (`past_wait`).
    """

    listen: Address = "127.0.0.1:4318"
    grpc: Address | None = None
    token: SecretReference | None = None
    tls: Tls | None = None
    max_body: Size = 16 * 1024**2
    quiet_after: Patience = "learned"
    past_wait: Duration = 900.0
    max_series_per_minute: int = Field(default=MAX_SERIES_PER_MINUTE, ge=1)
    mapping: MappingRules = MappingRules()

    @model_validator(mode="after")
    def _guarded(self) -> Otlp:
        certified = self.tls is not None and self.tls.clients is not None
        for name, address in (("listen", self.listen), ("grpc", self.grpc)):
            if (
                self.token is None
                and not certified
                and address is not None
                and not is_loopback(address)
            ):
                raise ValueError(
                    f"{name}: an address other than loopback needs a token (otlp.token: env:NAME) "
                    "or client certificates (otlp.tls.clients)"
                )
        return self
