"""All of `nibai.yaml`, read with every problem reported at once."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    Field,
    ValidationError,
    model_validator,
)

from nibai.config.bedrock import Bedrock
from nibai.config.cost import Cost
from nibai.config.data_capture import DataCapture
from nibai.config.fields import Duration, Section, Size
from nibai.config.grafana import Grafana
from nibai.config.neuron import Neuron
from nibai.config.otlp import Otlp
from nibai.config.prometheus import Prometheus
from nibai.config.sagemaker import SageMaker
from nibai.config.schedule import Schedule
from nibai.config.sources import CloudWatch
from nibai.config.spans import Spans
from nibai.config.telemetry import Telemetry
from nibai.config.web import Web
from nibai.errors import ConfigError

SECRET_KEY = re.compile(r"tok|secret|pass|key|auth|cred", re.IGNORECASE)
"""Keys, mistyped ones too, whose values are not repeated in an error."""


class Config(Section):
    """The whole configuration; `rules` is the rule file of the alerts.

    `query_memory` bounds what queries of `nibai run` keep in memory: the rest is spilled into the
    data folder.
    """

    data: Path = Path("nibai-data")
    state: str | None = None
    collector_id: str = Field(default="main", pattern=r"^[A-Za-z0-9_.-]+$")
    max_wal: Size = 2 * 1024**3
    query_memory: Annotated[Size, Field(ge=64 * 1024**2)] = 256 * 1024**2
    minute_horizon: Duration = 30 * 86400.0
    prediction_retention: Duration = 7 * 86400.0
    otlp: Otlp = Otlp()
    cloudwatch: tuple[CloudWatch, ...] = ()
    grafana: Grafana = Grafana()
    sagemaker: tuple[SageMaker, ...] = ()
    prometheus: tuple[Prometheus, ...] = ()
    cost: Cost = Cost()
    data_capture: tuple[DataCapture, ...] = ()
    schedule: Schedule = Schedule()
    web: Web = Web()
    telemetry: Telemetry = Telemetry()
    rules: Path | None = None
    bedrock: tuple[Bedrock, ...] = ()
    neuron: tuple[Neuron, ...] = ()
    spans: tuple[Spans, ...] = ()

    @model_validator(mode="after")
    def _each_source_once(self) -> Config:
        names = Counter(one.source_name for one in self._pulled)
        twice = [name for name, n in names.items() if n > 1]
        if twice:
            # They would keep their progress in one place and lock each other out.
            raise ValueError(
                f"{twice[0]} is read by two entries: put what they read into one (of prometheus, "
                "give each a name of its own)"
            )
        return self

    @model_validator(mode="after")
    def _rules_are_followed(self) -> Config:
        if self.rules is not None and self.schedule.follow is None:
            raise ValueError(
                "rules makes no alerts while schedule.follow is null: set schedule.follow, or "
                "remove rules"
            )
        return self

    @property
    def every_seconds(self) -> dict[str, float]:
        """How often all of each pulled source is read, by its name."""
        return {one.source_name: one.every for one in self._pulled}

    @property
    def _pulled(
        self,
    ) -> Iterator[CloudWatch | DataCapture | Bedrock | Neuron | Spans | Prometheus]:
        yield from self.cloudwatch
        yield from self.data_capture
        yield from self.bedrock
        yield from self.neuron
        yield from self.spans
        yield from self.prometheus

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
        raise ConfigError(f"{path}: is no YAML: {_where(error)}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds {type(document).__name__}, not keys and values")
    return dict(document)


def _where(error: yaml.YAMLError) -> str:
    """What is wrong at which line; the line itself may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return type(error).__name__
    mark = error.problem_mark
    said = ", ".join(filter(None, (error.context, error.problem)))
    return f"line {mark.line + 1}, column {mark.column + 1}: {said}"


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
