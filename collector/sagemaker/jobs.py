"""AWS's own jobs that made a model: quantized, compiled or given a draft model, from which one.

A job and a deployment belong together by the name of the model that the job made, or by the S3
location that it wrote to. Source: nibai's aws.md, section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from collector.aws.session import Caller, pages
from collector.sagemaker.describe import PAGE
from collector.sagemaker.diff import Step
from collector.sagemaker.facts import text
from collector.sagemaker.kinds import precision_type
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.snapshot import Unit
from nibai.model import ChangeKind

Raw = Mapping[str, Any]

STEPS = {
    "ModelQuantizationConfig": ChangeKind.PRECISION,
    "ModelCompilationConfig": ChangeKind.COMPILATION,
    "ModelSpeculativeDecodingConfig": ChangeKind.SPECULATIVE_DECODING,
}
"""What a step of an optimization job is; sharding spreads a model and is none."""

WEIGHT_PATHS = ("ModelDataUrl", "S3Uri")

MOST_JOBS = 1000
"""Of a kind and a change: described, 25 calls a second at best; kept for the next change."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a finished job took and made; empty where it did not say."""

    name: str
    kinds: tuple[ChangeKind, ...]
    text: str
    made_model: str = ""
    made_at: str = ""
    from_model: str = ""
    from_at: str = ""
    precision: str | None = None
    settings: tuple[str, ...] = ()

    def made(self, unit: Unit) -> bool:
        """Whether a unit serves what the job made."""
        if self.made_model and self.made_model == unit.names.get("model"):
            return True
        return bool(self.made_at) and any(inside(at, self.made_at) for at in weights(unit))

    def took(self, unit: Unit) -> bool:
        """Whether the job started from what a unit serves."""
        if self.from_model and self.from_model == unit.names.get("model"):
            return True
        return bool(self.from_at) and any(
            inside(at, self.from_at) or inside(self.from_at, at) for at in weights(unit)
        )


def weights(unit: Unit) -> list[str]:
    """Where a unit's weights lie in S3."""
    return [value for path, value in unit.facts.items() if path.endswith(WEIGHT_PATHS)]


def explained(step: Step, jobs: Iterable[Job]) -> tuple[Step, Job | None]:
    """A step with what the job that made its model did, and that job.

    Other weights are no change of their own when the job made them of the model that served before;
    settings that the job asks for belong to it.
    """
    job = next((job for job in jobs if job.made(step.after) and not job.made(step.before)), None)
    if job is None:
        return step, None
    same_model = job.took(step.before)
    kept = []
    for one in step.moved:
        asked_for = one.path.rpartition(".env.")[2] in job.settings
        of_the_job = same_model if one.kind is ChangeKind.WEIGHTS else asked_for
        explains = one.kind in {ChangeKind.WEIGHTS, ChangeKind.ENV} and of_the_job
        kept.append(replace(one, kind=job.kinds[0]) if explains else one)
    return replace(step, moved=tuple(kept), further=job.kinds), job


class Jobs:
    """Finished jobs, each described once and only when somebody may serve what it made."""

    def __init__(self, caller: Caller, permitted: Permitted) -> None:
        self._caller = caller
        self._permitted = permitted
        self._known: dict[str, Job] = {}

    def of(self, step: Step, moment: float) -> Iterator[Job]:
        """Jobs created since that may have made what follows a step, the newest first.

        None where the same model and weights serve on: no job made what did not change. They are
        described as they are taken: whoever finds the one asks for no further.
        """
        if _serves(step.before) == _serves(step.after):
            return
        after = datetime.fromtimestamp(moment, UTC)
        for kind in KINDS:
            yield from self._of_kind(kind, after)

    def _of_kind(self, kind: Kind, after: datetime) -> Iterator[Job]:
        listed = kind.listed(self._caller, after)
        for _ in range(MOST_JOBS):
            name = self._permitted.ask(lambda: next(listed, ""), kind.without)
            if not name:
                return
            job = self._permitted.ask(partial(self._job, kind, name), kind.without)
            if job is not None:
                yield job
        self._permitted.problems[kind.name] = (
            f"only the newest {MOST_JOBS:,} {kind.name} jobs were looked at: {kind.without}"
        )

    def _job(self, kind: Kind, name: str) -> Job:
        key = f"{kind.name} {name}"
        if key not in self._known:
            self._known[key] = kind.described(self._caller, name)
        return self._known[key]


def _serves(unit: Unit) -> tuple[str, tuple[str, ...]]:
    return unit.names.get("model", ""), tuple(sorted(weights(unit)))


def optimization(told: Raw) -> Job:
    """A described optimization job."""
    kinds: list[ChangeKind] = []
    settings = dict(told.get("OptimizationEnvironment") or {})
    for config in told.get("OptimizationConfigs", ()):
        kinds += [STEPS[name] for name in config if name in STEPS]
        for one in config.values():
            settings |= one.get("OverrideEnvironment") or {}
    output, source = told.get("OutputConfig", {}), told.get("ModelSource", {})
    precision = next(filter(None, (precision_type(str(v)) for v in settings.values())), None)
    words = ", ".join(kind.value for kind in kinds) or "nothing nibai knows"
    name = text(told["OptimizationJobName"])
    return Job(
        name=name,
        kinds=tuple(dict.fromkeys(kinds)) or (ChangeKind.WEIGHTS,),
        text=f"optimization job {name}: {words}{f' ({precision})' if precision else ''}",
        made_model=str(output.get("SageMakerModel", {}).get("ModelName", "")),
        made_at=str(output.get("S3OutputLocation", "")),
        from_model=str(source.get("SageMakerModel", {}).get("ModelName", "")),
        from_at=str(source.get("S3", {}).get("S3Uri", "")),
        precision=precision if ChangeKind.PRECISION in kinds else None,
        settings=tuple(sorted(settings)),
    )


def compilation(told: Raw) -> Job:
    """A described compilation job (Neo)."""
    output = told.get("OutputConfig", {})
    target = output.get("TargetDevice") or output.get("TargetPlatform", {}).get("Accelerator", "")
    name = text(told["CompilationJobName"])
    return Job(
        name=name,
        kinds=(ChangeKind.COMPILATION,),
        text=f"compilation job {name}: compilation for {text(target) or 'its target'}",
        made_at=str(told.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")),
        from_at=str(told.get("InputConfig", {}).get("S3Uri", "")),
    )


def _optimizations(caller: Caller, after: datetime) -> Iterator[str]:
    listed = pages(
        caller, "ListOptimizationJobs", "OptimizationJobSummaries", CreationTimeAfter=after,
        StatusEquals="COMPLETED", SortBy="CreationTime", SortOrder="Descending", MaxResults=PAGE,
    )  # fmt: skip
    return (str(one["OptimizationJobName"]) for one in listed)


def _optimization(caller: Caller, name: str) -> Job:
    return optimization(caller.call("DescribeOptimizationJob", OptimizationJobName=name))


def _compilations(caller: Caller, after: datetime) -> Iterator[str]:
    listed = pages(
        caller, "ListCompilationJobs", "CompilationJobSummaries", CreationTimeAfter=after,
        StatusEquals="COMPLETED", SortBy="CreationTime", SortOrder="Descending", MaxResults=PAGE,
    )  # fmt: skip
    return (str(one["CompilationJobName"]) for one in listed)


def _compilation(caller: Caller, name: str) -> Job:
    return compilation(caller.call("DescribeCompilationJob", CompilationJobName=name))


@dataclass(frozen=True, slots=True)
class Kind:
    """Jobs of one kind, what lacks without them, and how they are asked for."""

    name: str
    without: str
    listed: Callable[[Caller, datetime], Iterator[str]]
    described: Callable[[Caller, str], Job]


KINDS = (
    Kind(
        "optimization",
        "models that an optimization job quantized or compiled are not recognised",
        _optimizations,
        _optimization,
    ),
    Kind("compilation", "models that Neo compiled are not recognised", _compilations, _compilation),
)


def inside(where: str, folder: str) -> bool:
    """Whether an S3 address is a folder's or lies in it."""
    return where == folder or where.startswith(f"{folder.rstrip('/')}/")
