"""One endpoint looked at before anything is configured: `nibai init --sagemaker ENDPOINT`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collector.aws.session import AwsClient, Caller, pages
from collector.sagemaker.describe import Describer
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.snapshot import Role, Snapshot, Unit
from nibai.errors import UsageError
from nibai.protocols import Survey, Surveyor

WANTED = ("ModelLatency", "OverheadLatency", "FirstChunkLatency", "ModelSetupTime")
"""Metrics that say how long a request took, as far as they are published."""

NEAR = 5


class SageMakerSurveyor:
    """Asks SageMaker what serves, and CloudWatch what is published of it."""

    def __init__(self, sagemaker: Caller, cloudwatch: Caller, region: str) -> None:
        self._sagemaker = sagemaker
        self._cloudwatch = cloudwatch
        self._region = region
        self._permitted = Permitted()
        self._describer = Describer(sagemaker, "", self._permitted)

    def survey(self, name: str) -> Survey:
        """The endpoint; UsageError names those that there are when it is not one of them."""
        described = self._describer.describe(name)
        if described is None:
            there = self._describer.names(("*",))
            near = [one for one in there if name.lower() in one.lower()] or there
            listed = ", ".join(near[:NEAR]) or "none"
            raise UsageError(f"no endpoint {name!r} in {self._region}: there is {listed}")
        snapshot = described.snapshot
        metrics = self._permitted.ask(
            lambda: self._metrics(name), "which metrics are published is not known"
        )
        notes = list(self._permitted.problems.values())
        return Survey(
            account=snapshot.account,
            region=self._region,
            name=name,
            variants=_ran(snapshot, Role.PRODUCTION),
            shadows=_ran(snapshot, Role.SHADOW),
            components=[u.name for u in snapshot.units if u.role is Role.COMPONENT],
            metrics=metrics if metrics is not None else WANTED[:2],
            capture=_capture(snapshot.context),
            notes=notes,
        )

    def _metrics(self, name: str) -> Sequence[str]:
        listed = pages(
            self._cloudwatch, "ListMetrics", "Metrics", Namespace="AWS/SageMaker",
            Dimensions=[{"Name": "EndpointName", "Value": name}],
        )  # fmt: skip
        published = {str(one["MetricName"]) for one in listed}
        return [one for one in WANTED if one in published] or WANTED[:2]


def _ran(snapshot: Snapshot, role: Role) -> Mapping[str, str]:
    return {unit.name: runs_on(unit) for unit in snapshot.units if unit.role is role}


def runs_on(unit: Unit) -> str:
    """Instances or memory of a unit in words."""
    if kind := unit.facts.get("config.InstanceType"):
        count = unit.capacity.get("live.DesiredInstanceCount", "?")
        return f"{count} x {kind}"
    if memory := unit.facts.get("config.ServerlessConfig.MemorySizeInMB"):
        return f"serverless, {memory} MB"
    return "unknown"


def _capture(context: Mapping[str, str]) -> tuple[str, float] | None:
    if context.get("DataCaptureConfig.EnableCapture") != "true":
        return None
    share = context.get("DataCaptureConfig.CurrentSamplingPercentage", "100")
    return context["DataCaptureConfig.DestinationS3Uri"], float(share)


def build(options: Mapping[str, object]) -> Surveyor:
    """One region: that of `options`, else the profile's own."""
    import boto3  # noqa: PLC0415 - 0.4 s

    url = options.get("endpoint_url")
    endpoint_url = None if url is None else str(url)
    region = options.get("region") or boto3.session.Session().region_name
    if not region:
        raise UsageError("which region? say --region, or set AWS_REGION or a profile that has one")
    return SageMakerSurveyor(
        AwsClient("sagemaker", str(region), endpoint_url=endpoint_url),
        AwsClient("cloudwatch", str(region), endpoint_url=endpoint_url),
        str(region),
    )
