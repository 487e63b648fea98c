"""A step between two snapshots told as a change: kinds, dates, before and after, all evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from collector.sagemaker.artifacts import MODELS, PART
from collector.sagemaker.diff import Moved, Step
from collector.sagemaker.jobs import Job
from collector.sagemaker.kinds import precision_type
from collector.sagemaker.signals import Dated, Signal
from nibai.model import Change, ChangeKind, Sentence

MOST_FACTS = 40
SHOWN = 3


def change_of(
    endpoint: str,
    step: Step,
    when: Dated,
    *,
    job: Job | None = None,
    signals: Sequence[Signal] = (),
    sentences: Sequence[Sentence] = (),
    told: Sequence[tuple[str, str]] = (),
    fingerprints: tuple[str, str] = ("", ""),
) -> Change:
    """The change of one unit; `told` is further evidence (AWS's own figures), key and text.

    A unit that replaces another is cut in time; one that runs beside another is compared with it.
    """
    kinds = step.kinds
    evidence = {"source": "discovered", "unit": f"{step.before.name} -> {step.after.name}"}
    for number, one in enumerate(step.moved[:MOST_FACTS]):
        evidence[f"changed {number + 1}"] = str(one)
    if len(step.moved) > MOST_FACTS:
        evidence["changed further"] = f"{len(step.moved) - MOST_FACTS} more"
    for number, one in enumerate(step.covariates[:MOST_FACTS]):
        evidence[f"covariate {number + 1}"] = str(one)
    for side, unit in (("baseline", step.before), ("candidate", step.after)):
        if kind := unit.facts.get("config.InstanceType"):
            evidence[f"{side}_instance_type"] = kind  # what cost is priced by
    if job is not None:
        evidence["job"] = job.text
    if (precision := _precision(step, job)) is not None:
        evidence["precision"] = precision
    for number, signal in enumerate(signals):
        evidence[f"signal {number + 1}"] = f"{signal.source} {_iso(signal.at)}: {signal.text}"
    evidence |= _instances(step) | dict(told)
    evidence["before"], evidence["after"] = fingerprints
    if not step.side_by_side:
        evidence["dated"] = when.how
    return Change(
        id="",
        endpoint=endpoint,
        kinds=kinds,
        effective_at=None if step.side_by_side else when.shifted,
        started_at=None if step.side_by_side else when.started,
        description=description(step, job),
        sentences=tuple(sentences),
        baseline_variant=step.before.name,
        candidate_variant=step.after.name,
        evidence=evidence,
    )


def description(step: Step, job: Job | None = None) -> str:
    """What changed in one line, owning up when several kinds did at once."""
    shown = [_short(one) for one in step.moved[:SHOWN]]
    if len(step.moved) > SHOWN:
        shown.append(f"and {len(step.moved) - SHOWN} more")
    text = "; ".join(shown)
    if job is not None:
        text = f"{job.text}; {text}" if text else job.text
    if len(step.kinds) > 1:
        names = ", ".join(kind.value for kind in step.kinds)
        text += f"; confounded: {names} changed together"
    return text


def _instances(step: Step) -> dict[str, str]:
    """What both sides run on and how many of it, for claims about cost."""
    found: dict[str, str | None] = {}
    for role, unit in (("baseline", step.before), ("candidate", step.after)):
        count = unit.capacity.get("config.InitialInstanceCount")
        found[f"{role}_instance_type"] = unit.facts.get("config.InstanceType")
        found[f"{role}_instances"] = unit.capacity.get("live.DesiredInstanceCount", count)
    return {key: value for key, value in found.items() if value}


def _short(one: Moved) -> str:
    """A fact by its last word, digests without their length."""
    name = one.path.rpartition(".")[2]
    if one.path.startswith(f"{PART}."):
        name = f"contents of {one.path.partition(MODELS)[2].removesuffix(']') or name}"
    return f"{name} {_value(one.before)} -> {_value(one.after)}"


def _value(value: str | None) -> str:
    if value is None:
        return "(none)"
    name, separator, digest = value.rpartition("sha256:")
    return f"{name.rpartition('/')[2]}sha256:{digest[:8]}" if separator else value


def _precision(step: Step, job: Job | None) -> str | None:
    """The type of number after the change, for the margins of claims about answers."""
    if ChangeKind.PRECISION not in step.kinds:
        return None
    if job is not None and job.precision is not None:
        return job.precision
    values = [one.after for one in step.moved if one.kind is ChangeKind.PRECISION and one.after]
    return next(filter(None, (precision_type(value) for value in values)), None)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
