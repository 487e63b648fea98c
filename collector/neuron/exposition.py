"""The same for Prometheus: gauges of the last period, and counters of how executions ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.neuron.report import NODES, PERIOD_SECONDS, Executions
from collector.replay.rows import RejectedError

LATENCY, STATUS = "execution_latency_seconds", "execution_status_total"
USE = "neuroncore_utilization_ratio"
REPLICA_LABELS = ("instance_id", "runtime_tag")


@dataclass(frozen=True, slots=True)
class Scraped:
    """Executions since the last scrape, and the counters to be kept for the next one."""

    executions: tuple[Executions, ...]
    counters: Mapping[str, float]


def read_exposition(text: str, known: Mapping[str, float]) -> Scraped:
    """What a page says; `known` are the counters of the last one. RejectedError: it is no page.

    Percentiles are of the last period only, and stand for all since the last scrape. A counter
    that fell has begun again at zero. The first scrape counts nothing.
    """
    from prometheus_client.parser import (  # noqa: PLC0415 - only for pages
        text_string_to_metric_families,
    )

    use: dict[str, list[float]] = {}
    nodes: dict[str, dict[float, float]] = {}
    outcomes: dict[str, dict[str, int]] = {}
    counters: dict[str, float] = {}
    try:
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    except (ValueError, KeyError, IndexError) as error:
        raise RejectedError("no page of metrics") from error
    for sample in samples:
        replica = "/".join(sample.labels[n] for n in REPLICA_LABELS if sample.labels.get(n))
        place = NODES.get(sample.labels.get("percentile", ""))
        if sample.name == LATENCY and place is not None and sample.value > 0:
            nodes.setdefault(replica, {})[place] = sample.value
        elif sample.name == USE and sample.value >= 0:
            use.setdefault(replica, []).append(sample.value)
        elif sample.name == STATUS:
            status = sample.labels.get("status_type", "")
            name = f"counter|{replica}|{status}"
            counters[name] = sample.value
            before = known.get(name, sample.value)
            grown = sample.value - (before if sample.value >= before else 0.0)
            outcomes.setdefault(replica, {})[status] = round(grown)
    found = tuple(
        Executions(
            replica,
            PERIOD_SECONDS,
            outcomes.get(replica, {}),
            {"model_latency": own} if {0.0, 0.5, 1.0} <= set(own := nodes.get(replica, {})) else {},
            use=tuple(use.get(replica, ())),
        )
        for replica in sorted(outcomes.keys() | use.keys())
    )
    return Scraped(found, counters)
