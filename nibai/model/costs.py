"""What serving costs, in US dollars."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SideCost:
    """What one side costs, as far as it was said; `source` says by whom.

    `usd_per_hour` is that of one instance, `instances` how many ran all the time; None: as many as
    were collected or seen, else as many as `discovered` with the change. Serverless:
    `usd_per_gb_second` times `memory_gb`, while a request runs. By tokens: dollars per million of
    each metric of tokens.
    """

    usd_per_hour: float | None = None
    instances: float | None = None
    source: str = ""
    instance_type: str = ""
    usd_per_gb_second: float | None = None
    memory_gb: float | None = None
    discovered: float | None = None
    usd_per_million: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class CostEvidence:
    """What both sides cost, each as (baseline, candidate); requests are the successful ones.

    `usd_per_hour` is that of all instances together, `instances` their mean number (None:
    serverless, or paid by tokens). `requests_per_hour` is the traffic, `sources` say where prices
    and counts are from.
    """

    usd_per_1000_requests: tuple[float, float]
    usd_per_hour: tuple[float, float]
    requests_per_hour: tuple[float, float]
    instances: tuple[float, float] | None
    usd_per_million_output_tokens: tuple[float, float] | None
    sources: tuple[str, str]
