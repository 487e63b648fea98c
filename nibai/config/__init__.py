"""`nibai.yaml` as frozen models; everything has a default, so that no file is needed.

Durations are written "90s", "15m", "2h" or "30d"; secrets only as `env:NAME` or `file:PATH`.
All problems are reported at once: file, dotted key, fact. A value is never echoed whole.
"""

from __future__ import annotations

from nibai.config.bedrock import Bedrock, BedrockLogs
from nibai.config.cost import Cost, EndpointPrice, Price, TokenPrice
from nibai.config.data_capture import CapturedAnswer, CapturedInput, DataCapture, Redact
from nibai.config.fields import (
    BYTES,
    DURATION,
    SECONDS,
    SIZE,
    Address,
    Duration,
    SecretReference,
    Section,
    Size,
    is_loopback,
)
from nibai.config.grafana import Grafana
from nibai.config.neuron import Neuron
from nibai.config.otlp import MappingRules, Otlp, PredictionRules, Tls
from nibai.config.prometheus import Prometheus, PrometheusMetric
from nibai.config.sagemaker import DEFAULT_CLAIM, SageMaker
from nibai.config.schedule import Schedule, Slots
from nibai.config.secrets import resolve_secret
from nibai.config.sources import CloudWatch
from nibai.config.spans import Spans, TraceSampling
from nibai.config.telemetry import Telemetry
from nibai.config.web import Web
from nibai.config.whole import (
    SECRET_KEY,
    Config,
    environment,
    load_config,
    read_yaml,
)

__all__ = [
    "BYTES",
    "DEFAULT_CLAIM",
    "DURATION",
    "SECONDS",
    "SECRET_KEY",
    "SIZE",
    "Address",
    "Bedrock",
    "BedrockLogs",
    "CapturedAnswer",
    "CapturedInput",
    "CloudWatch",
    "Config",
    "Cost",
    "DataCapture",
    "Duration",
    "EndpointPrice",
    "Grafana",
    "MappingRules",
    "Neuron",
    "Otlp",
    "PredictionRules",
    "Price",
    "Prometheus",
    "PrometheusMetric",
    "Redact",
    "SageMaker",
    "Schedule",
    "SecretReference",
    "Section",
    "Size",
    "Slots",
    "Spans",
    "Telemetry",
    "Tls",
    "TokenPrice",
    "TraceSampling",
    "Web",
    "environment",
    "is_loopback",
    "load_config",
    "read_yaml",
    "resolve_secret",
]
