"""What does nibai say about real changes: an LLM serving stack, and another instance type?

Through the product's own path, `nibai.compare` on the files as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibai
from bench.evaluate.work import Work
from nibai.claims import quantile_label
from nibai.model import Audit, Finding

LLM_FOLDER = "aibrix-regression/v0.2.1"
INSTANCE_FOLDERS = ("azure-vm-noise/redis", "azure-vm-noise/stress-ng")
BASELINE, STACK, SURVIVORS = "naive", "ps_stack", "aibrix_high_low"
ORDERS = {"descending": ("high_low",), "ascending": ("low_high",), "both": ("high_low", "low_high")}
SURVIVORS_LOAD = "4.1"
TWICE = "2x faster at p50, p90 and p99"
TWICE_WITHIN = "2x faster within 5% at p50"
OLD, NEW = "B8ms", "D8s_v5"


@dataclass(frozen=True, slots=True)
class Story:
    """One finding: what was compared, the ratio (old/new or better/worse) and the verdict."""

    what: tuple[str, ...]
    quantile: str
    value: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stories:
    """All findings; a list is empty when its data are not in the folder.

    `what` of `llm` is (requests per second, order of the sweep), of `survivors` (requests per
    second,), of `instances` (operation, region).
    """

    llm: list[Story]
    survivors: list[Story]
    instances: list[Story]


def measure(data: Path, work: Work) -> Stories:
    """Every story whose files are there."""
    work.say("real changes: serving stacks and instance types")
    llm = list(work.map(serving_stack, [(data, *task) for task in _llm_tasks(data)]))
    lost = data / LLM_FOLDER / f"{SURVIVORS}_output_{SURVIVORS_LOAD}.csv"
    survivors = survivors_only(data) if lost.exists() else []
    instances = list(work.map(instance_type, _instance_tasks(data)))
    return Stories([s for part in llm for s in part], survivors, [s for p in instances for s in p])


def serving_stack(data: Path, load: str, order: str) -> list[Story]:
    """Time to first token of the stock engine against the stack with a KV-cache store."""
    folder = data / LLM_FOLDER
    candidates = [str(folder / f"{STACK}_{o}_output_{load}.csv") for o in ORDERS[order]]
    baseline = str(folder / f"{BASELINE}_output_{load}.csv")
    audit = nibai.compare(baseline, candidates, TWICE, metric="ttft", unit="s")
    return _stories(audit, (load, order))


def survivors_only(data: Path) -> list[Story]:
    """A stack that completed fewer requests at the same load."""
    sides = (
        str(data / LLM_FOLDER / f"{name}_output_{SURVIVORS_LOAD}.csv")
        for name in (BASELINE, SURVIVORS)
    )
    return _stories(nibai.compare(*sides, TWICE, metric="ttft", unit="s"), (SURVIVORS_LOAD,))


def instance_type(old: Path, new: Path, operation: str, region: str) -> list[Story]:
    """Operations per second of long-lived machines of two instance types."""
    audit = nibai.compare(
        str(old),
        str(new),
        TWICE_WITHIN,
        metric="throughput",
        value="value",
        unit="1/s",
        time="starttime",
        replica="VM_id",
    )
    return _stories(audit, (operation, region))


def _llm_tasks(data: Path) -> list[tuple[str, str]]:
    folder = data / LLM_FOLDER
    loads = [p.stem.rpartition("_")[2] for p in folder.glob(f"{BASELINE}_output_*.csv")]
    return [
        (load, order)
        for load in sorted(loads, key=float)
        for order, names in ORDERS.items()
        if all((folder / f"{STACK}_{name}_output_{load}.csv").exists() for name in names)
    ]


def _instance_tasks(data: Path) -> list[tuple[Path, Path, str, str]]:
    tasks = []
    for folder in INSTANCE_FOLDERS:
        for old in sorted((data / folder).glob(f"*-long-*-{OLD}.csv")):
            new = old.with_name(old.name.replace(f"-{OLD}.csv", f"-{NEW}.csv"))
            if new.exists():
                operation, _, _, region, _ = old.stem.split("-")
                tasks.append((old, new, operation, region))
    return tasks


def _stories(audit: Audit, what: tuple[str, ...]) -> list[Story]:
    return [_story(finding, what) for finding in audit.findings]


def _story(finding: Finding, what: tuple[str, ...]) -> Story:
    estimate = finding.estimate
    value, low, high = (
        (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    )
    quantile = "" if finding.claim.quantile is None else quantile_label(finding.claim.quantile)
    verdict, reason = finding.verdict.value, finding.reason.code.value
    return Story(what, quantile, value, low, high, verdict, reason)
