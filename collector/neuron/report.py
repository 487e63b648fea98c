"""One report of neuron-monitor: how the executions of each application ended, and how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from collector.json_lines import json_object
from collector.replay.rows import RejectedError, mapping

NOT_A_REPORT = "no report of neuron-monitor"
PERIOD_SECONDS = 5.0
"""Its default; each group of metrics says its own."""

NODES = {"p0": 0.0, "p1": 0.01, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p99": 0.99, "p100": 1.0}
LATENCIES = {"total_latency": "model_latency", "device_latency": "device_latency"}

COMPLETED, NUMERICAL, TIMED_OUT = "completed", "completed_with_num_err", "timed_out"
FAILED = ("completed_with_err", "failed_to_queue")
"""Besides numerical errors and time-outs; incorrect input is the caller's."""


@dataclass(frozen=True, slots=True)
class Executions:
    """Executions of one application (`replica`) in a period that ends at `at`.

    `latencies` maps nibai's metric to seconds by quantile (0 and 1 are the ends); empty while idle.
    `use`: how busy each core was, from 0 to 1.
    """

    replica: str
    period_seconds: float
    outcomes: Mapping[str, int]
    latencies: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    at: float = math.nan
    use: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one report; `at` where somebody wrote a time beside it, `errors` in words."""

    executions: tuple[Executions, ...]
    period_seconds: float
    at: float | None
    errors: int


def read_report(line: bytes) -> Report:
    """A report of one line; raises RejectedError with the reason where it is none."""
    found = json_object(line, NOT_A_REPORT)
    runtimes = found.get("neuron_runtime_data")
    if not isinstance(runtimes, list):
        raise RejectedError(NOT_A_REPORT)
    instance = str(mapping(found.get("instance_info")).get("instance_id") or "")
    executions, errors = [], 0
    for runtime in map(mapping, runtimes):
        groups = mapping(runtime.get("report"))
        stats = mapping(groups.get("execution_stats"))
        cores = mapping(groups.get("neuroncore_counters"))
        errors += bool(runtime.get("error") or stats.get("error") or cores.get("error"))
        if stats or cores:
            one = _executions(_replica(instance, runtime), stats or cores)
            executions.append(replace(one, use=_use(cores)))
    period = max((one.period_seconds for one in executions), default=PERIOD_SECONDS)
    return Report(tuple(executions), period, _moment(found), errors)


def _executions(replica: str, stats: Mapping[str, object]) -> Executions:
    summary = mapping(stats.get("execution_summary"))
    outcomes = {name: int(n) for name, n in summary.items() if isinstance(n, int) and n >= 0}
    found = mapping(stats.get("latency_stats"))
    latencies = {
        metric: nodes
        for name, metric in LATENCIES.items()
        if (nodes := _nodes(mapping(found.get(name))))
    }
    period = stats.get("period")
    seconds = float(period) if isinstance(period, int | float) and period > 0 else PERIOD_SECONDS
    return Executions(replica, seconds, outcomes, latencies)


def _use(cores: Mapping[str, object]) -> tuple[float, ...]:
    """How busy each core was, which is told in percent."""
    told = (mapping(core).get("neuroncore_utilization")
            for core in mapping(cores.get("neuroncores_in_use")).values())  # fmt: skip
    return tuple(
        value / 100
        for value in told
        if isinstance(value, int | float) and math.isfinite(value) and value >= 0
    )


def _nodes(given: Mapping[str, object]) -> dict[float, float]:
    """Percentiles that are numbers; nothing where an end is missing: then nothing bounds them."""
    found = {
        NODES[name]: float(value)
        for name, value in given.items()
        if name in NODES and isinstance(value, int | float) and math.isfinite(value) and value > 0
    }
    return found if {0.0, 0.5, 1.0} <= set(found) else {}


def _replica(instance: str, runtime: Mapping[str, object]) -> str:
    """Instance and the application's tag: what does not change when the process starts again."""
    tag = str(runtime.get("neuron_runtime_tag") or "")
    return "/".join(part for part in (instance, tag) if part)


def _moment(found: Mapping[str, object]) -> float | None:
    """Seconds since the epoch, where a log shipper wrote them; neuron-monitor itself does not."""
    for name in ("timestamp", "time", "date", "ts"):
        value = found.get(name)
        if isinstance(value, int | float) and value > 0:
            return value / 1e3 if value > 1e11 else float(value)  # noqa: PLR2004 - milliseconds
    return None
