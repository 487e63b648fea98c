"""`nibai.yaml` as frozen models; everything has a default, so that no file is needed.

Durations are written "90s", "15m", "2h" or "30d"; secrets only as `env:NAME` or `file:PATH`.
All problems are reported at once: file, dotted key, fact. A value is never echoed whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from nibai.conventions import PREDICTION_ATTRIBUTES, SERIES_ATTRIBUTES
from nibai.errors import ConfigError

DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SECRET_KEY = re.compile(r"tok|secret|pass|key|auth|cred", re.IGNORECASE)
"""Keys, mistyped ones too, whose values are not repeated in an error."""

SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?")
BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _duration(value: object) -> object:
    match = DURATION.fullmatch(str(value))
    if match is None:
        raise ValueError("a duration is written like 90s, 15m, 2h or 30d")
    return float(match.group(1)) * SECONDS[match.group(2)]


def _size(value: object) -> object:
    match = SIZE.fullmatch(str(value))
    if match is None:
        raise ValueError("a size is written like 64MiB")
    return int(match.group(1)) * BYTES[match.group(2)]


def _reference(value: str) -> str:
    if not value.startswith(("env:", "file:")):
        raise ValueError("a secret is a reference: env:NAME or file:PATH, never the value itself")
    return value


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise ValueError("an address is written HOST:PORT, such as 127.0.0.1:4318")
    return f"{host}:{port}"


Duration = Annotated[float, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
Address = Annotated[str, AfterValidator(_address)]
SecretReference = Annotated[str, AfterValidator(_reference)]


def is_loopback(listen: str) -> bool:
    """Whether an address is reachable from this machine only."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PredictionRules(_Model):
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


class MappingRules(_Model):
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


class Otlp(_Model):
    """The OTLP receiver."""

    listen: Address = "127.0.0.1:4318"
    token: SecretReference | None = None
    max_body: Size = 16 * 1024**2
    max_series_per_minute: int = Field(default=10_000, ge=1)
    mapping: MappingRules = MappingRules()

    @model_validator(mode="after")
    def _guarded(self) -> Otlp:
        if self.token is None and not is_loopback(self.listen):
            raise ValueError(
                "listen: an address other than loopback needs a token (otlp.token: env:NAME)"
            )
        return self


class CloudWatch(_Model):
    """Endpoints of one AWS account and region, read from classic CloudWatch metrics.

    `endpoints` maps an endpoint to its variants. `detail`: what is bought of a distribution.
    """

    account: str = Field(pattern=r"^\d{12}$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    endpoints: Mapping[str, tuple[str, ...]]
    metrics: tuple[str, ...] = ("ModelLatency", "OverheadLatency")
    detail: Literal["TC 109", "TC 55", "TC 28", "percentiles", "base statistics"] = "TC 109"
    every: Duration = 3600.0
    dollars_per_month: float = Field(default=100.0, gt=0)
    endpoint_url: str | None = None


class Config(_Model):
    """The whole configuration."""

    data: Path = Path("nibai-data")
    state: str | None = None
    collector_id: str = Field(default="main", pattern=r"^[A-Za-z0-9_.-]+$")
    max_wal: Size = 2 * 1024**3
    minute_horizon: Duration = 30 * 86400.0
    prediction_retention: Duration = 7 * 86400.0
    otlp: Otlp = Otlp()
    cloudwatch: tuple[CloudWatch, ...] = ()

    @property
    def state_address(self) -> str:
        """Where the state is: the configured address, or a file in the data folder."""
        return self.state or str(self.data / "state.sqlite")


def load_config(path: Path | None, environment: Mapping[str, str]) -> Config:
    """The configuration of a file (None: `nibai.yaml` if it is here), NIBAI_DATA_DIR applied.

    Raises ConfigError listing every problem.
    """
    chosen = path if path is not None else Path("nibai.yaml")
    document: Any = {}
    if path is not None or chosen.exists():
        document = read_yaml(chosen)
    if "NIBAI_DATA_DIR" in environment:
        document = {"data": environment["NIBAI_DATA_DIR"], **document}
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError("\n".join(_problems(chosen, error))) from error


def resolve_secret(reference: str, environment: Mapping[str, str]) -> str:
    """The secret behind a reference; ConfigError names the reference, never the value."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        found = environment.get(where)
    else:
        try:
            found = Path(where).read_text(encoding="utf-8").strip()
        except OSError:
            found = None
    if not found:
        raise ConfigError(f"the secret {reference} is empty or missing: set it")
    return found


def environment() -> Mapping[str, str]:
    """The process environment; the only place that reads it."""
    return os.environ


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of keys and values; ConfigError when it is none."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: is no YAML: {text}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds {type(document).__name__}, not keys and values")
    return dict(document)


def _problems(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        key = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]
        ).lstrip(".")
        fact = problem["msg"].removeprefix("Value error, ")
        given = problem["input"]
        hidden = isinstance(given, dict | list) or "secret" in fact or SECRET_KEY.search(key)
        shown = "" if hidden else f" (got {given!r})"
        lines.append(f"{path}: {key or 'file'}: {fact[:1].lower()}{fact[1:]}{shown}")
    return lines
